// Which files of the host a Pod's VM has as disks.

import { withoutRepeats, type ContainerDisks } from '../../translate/pod-to-vm';
import type { LayerStore, WritableDiskStore } from '../../storage/contract/stores';
import type { ContainerRecord } from '../core/container-record';

export interface DiskStores {
  readonly layers: Pick<LayerStore, 'bundle' | 'diskPaths'>;
  readonly disks: Pick<WritableDiskStore, 'path'>;
}

/** Host paths of what a container's root is made of. */
export async function disksOf(
  { layers, disks }: DiskStores,
  record: Pick<ContainerRecord, 'id' | 'layers'>,
): Promise<ContainerDisks> {
  const once = withoutRepeats(record.layers);
  const bundlePath = await layers.bundle(once);
  return {
    containerId: record.id,
    layerPaths: layers.diskPaths(once),
    ...(bundlePath === undefined ? {} : { bundlePath }),
    writablePath: disks.path(record.id),
  };
}
