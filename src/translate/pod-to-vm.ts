// Which disks and resources a Pod needs of its VM.

import type { VmDisk, VmResources } from '../vm/contract/vm';
import type { Emulator, GuestDisk, GuestEmulator, GuestTree } from '../vm/contract/protocol';
import type { PodSpec } from './pod';

/** Host paths of layers. */
export interface LayerDisks {
  /** Lowest layer first, as in the image. */
  layerPaths: string[];
  /** A VMDK descriptor that has the layers as its partitions, in the same order. */
  bundlePath?: string;
}

/** Host paths of one container's disks. */
export interface ContainerDisks extends LayerDisks {
  containerId: string;
  writablePath: string;
  /** Of a writable disk that other containers of the Pod have too, each a directory of it. */
  writableId?: string;
  /** Of what is mounted beside its root. */
  trees?: readonly TreeDisks[];
  /** Of a container whose programs are another processor's. */
  emulator?: Emulator;
}

/** Layers, and the disk that takes the place of what is changed of them. */
export interface TreeDisks extends LayerDisks {
  ownPath?: string;
}

/** What to plug for a Pod, and what it needs besides. */
export interface VmPlan {
  resources: Partial<VmResources>;
  /** Each file once, however many containers use it. */
  disks: VmDisk[];
}

/**
 * Of a layer that an image has twice only the upper one shows; overlayfs refuses to have both. Takes and returns them
 * lowest first.
 */
export function withoutRepeats(layers: readonly string[]): string[] {
  return layers.filter((layer, index) => layers.lastIndexOf(layer) === index);
}

/** Of a container's writable disk in its VM, for every daemon. */
export function writableDiskId(containerId: string): string {
  return `w-${containerId.slice(0, 12)}`;
}

function writableOf({ writableId, containerId }: ContainerDisks): string {
  return writableDiskId(writableId ?? containerId);
}

/** Disks of a container that others have, or may come to have. */
export function sharedDiskIds(container: ContainerDisks): string[] {
  const layers = diskIds(container).filter(isLayerDisk);
  return container.writableId === undefined ? layers : [writableOf(container), ...layers];
}

/** The same for every container of the VM, and for every daemon: layers lie under their digests. */
function layerDiskId(hostPath: string): string {
  const name = hostPath.slice(hostPath.lastIndexOf('/') + 1).split('.')[0] ?? '';
  return `l-${name.replaceAll(/[^A-Za-z0-9]/g, '-')}`;
}

/** Whether the disk is read-only, and thus the same for whoever has it plugged. */
export function isLayerDisk(id: string): boolean {
  return id.startsWith('l-');
}

const ownDiskId = (hostPath: string): string => `o${layerDiskId(hostPath).slice(1)}`;

/** Ids of the disks that a container uses, its writable one first. */
export function diskIds(container: ContainerDisks): string[] {
  const { trees = [] } = container;
  return [
    writableOf(container),
    ...[container, ...trees].flatMap((layers) => readOnlyPaths(layers).map(layerDiskId)),
    ...trees.flatMap(({ ownPath }) => (ownPath === undefined ? [] : [ownDiskId(ownPath)])),
    ...(container.emulator === undefined ? [] : [layerDiskId(container.emulator.hostPath)]),
  ];
}

function readOnlyPaths({ bundlePath, layerPaths }: LayerDisks): readonly string[] {
  return bundlePath === undefined ? layerPaths : [bundlePath];
}

/**
 * Writable disks of containers drop flushes: what runs in them ends with the VM or is synced before. Those of trees outlive the
 * containers: they keep what is flushed.
 */
export function containerDisks(containers: readonly ContainerDisks[]): VmDisk[] {
  const disks = new Map<string, VmDisk>();
  const add = (disk: VmDisk): unknown => disks.set(disk.id, disk);
  for (const container of containers) {
    const { trees = [], emulator, writablePath: hostPath } = container;
    const writable = { format: 'raw', readOnly: false } as const;
    add({ id: writableOf(container), hostPath, ...writable, durable: false });
    for (const layers of [container, ...trees]) {
      const format = layers.bundlePath === undefined ? 'raw' : 'vmdk';
      for (const path of readOnlyPaths(layers))
        add({ id: layerDiskId(path), hostPath: path, format, readOnly: true, durable: false });
    }
    for (const { ownPath } of trees)
      if (ownPath !== undefined)
        add({ id: ownDiskId(ownPath), hostPath: ownPath, ...writable, durable: true });
    if (emulator !== undefined) {
      const id = layerDiskId(emulator.hostPath);
      add({ id, hostPath: emulator.hostPath, format: 'raw', readOnly: true, durable: false });
    }
  }
  return [...disks.values()];
}

export function podToVm(pod: PodSpec, containers: readonly ContainerDisks[]): VmPlan {
  return {
    resources: {
      ...(pod.memoryBytes === undefined ? {} : { memoryBytes: pod.memoryBytes }),
      ...(pod.cpus === undefined ? {} : { cpus: pod.cpus }),
    },
    disks: containerDisks(containers),
  };
}

/** The guest's view of one container's root, by the LUNs of the VM's disks. */
export function guestRootfs(
  luns: ReadonlyMap<string, number>,
  container: ContainerDisks,
): { layers: GuestDisk[]; writable: GuestDisk; directory?: string } {
  const writable = diskOf(luns, writableOf(container));
  const directory = container.writableId === undefined ? {} : { directory: container.containerId };
  return { layers: guestLayers(luns, container), writable, ...directory };
}

/** As `guestRootfs`, of what is mounted beside it. */
export function guestTrees(luns: ReadonlyMap<string, number>, { trees = [] }: ContainerDisks): GuestTree[] {
  return trees.map((tree) => ({
    layers: guestLayers(luns, tree),
    ...(tree.ownPath === undefined ? {} : { disk: diskOf(luns, ownDiskId(tree.ownPath)) }),
  }));
}

/** As `guestRootfs`, of what runs its programs: nothing to add for those of the processor. */
export function guestEmulator(
  luns: ReadonlyMap<string, number>,
  { emulator }: ContainerDisks,
): { emulator?: GuestEmulator } {
  if (emulator === undefined) return {};
  const { hostPath, ...told } = emulator;
  return { emulator: { ...told, disk: diskOf(luns, layerDiskId(hostPath)) } };
}

/** The guest wants the top layer first, as overlayfs does. */
function guestLayers(luns: ReadonlyMap<string, number>, { bundlePath, layerPaths }: LayerDisks): GuestDisk[] {
  const layers =
    bundlePath === undefined
      ? layerPaths.map((path) => diskOf(luns, layerDiskId(path)))
      : layerPaths.map((_path, index) => ({
          ...diskOf(luns, layerDiskId(bundlePath)),
          partition: index + 1,
        }));
  return layers.reverse();
}

function diskOf(luns: ReadonlyMap<string, number>, id: string): GuestDisk {
  const lun = luns.get(id);
  if (lun === undefined) throw new RangeError(`disk ${id} was not plugged`);
  return { lun };
}
