// Which files of the host a Pod's VM has as disks.

import { withoutRepeats, type ContainerDisks, type LayerDisks } from '../../translate/pod-to-vm';
import type { LayerStore, WritableDiskStore } from '../../storage/contract/stores';
import { diskMounts, imageMounts, type ContainerRecord } from '../../semantics/containers/container-record';
import { findEmulator, type EmulatorConfig } from '../core/emulators';

export interface DiskStores {
  readonly config: EmulatorConfig;
  readonly layers: Pick<LayerStore, 'bundle' | 'diskPaths'>;
  readonly disks: Pick<WritableDiskStore, 'path'>;
}

/** Host paths of what a container's root is made of, and of the images and disks that are mounted in it. */
export async function disksOf(
  { config, layers, disks }: DiskStores,
  record: Pick<ContainerRecord, 'id' | 'layers' | 'mounts' | 'mountDetails' | 'architecture'>,
): Promise<ContainerDisks> {
  const [root = { layerPaths: [] }, ...images] = await Promise.all(
    [record, ...imageMounts(record)].map((image) => layerDisks(layers, image.layers)),
  );
  const trees = [
    ...images,
    ...diskMounts(record).map(({ diskPath }) => ({ layerPaths: [], ownPath: diskPath })),
  ];
  // without one its start fails, in the kernel's words
  const emulator = findEmulator(config, record.architecture ?? '');
  return {
    containerId: record.id,
    ...root,
    writablePath: disks.path(record.id),
    ...(trees.length === 0 ? {} : { trees }),
    ...(emulator === undefined ? {} : { emulator }),
  };
}

async function layerDisks(store: DiskStores['layers'], layers: readonly string[]): Promise<LayerDisks> {
  const once = withoutRepeats(layers);
  const bundlePath = await store.bundle(once);
  return { layerPaths: store.diskPaths(once), ...(bundlePath === undefined ? {} : { bundlePath }) };
}
