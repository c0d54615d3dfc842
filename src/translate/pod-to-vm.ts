// Which disks and resources a Pod needs of its VM.

import type { VmDisk, VmResources } from '../vm/contract/vm';
import type { GuestDisk } from '../vm/contract/protocol';
import type { PodSpec } from './pod';

/** Host paths of one container's disks. */
export interface ContainerDisks {
  containerId: string;
  /** Lowest layer first, as in the image. */
  layerPaths: string[];
  /** A VMDK descriptor that has the layers as its partitions, in the same order. */
  bundlePath?: string;
  writablePath: string;
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

const writableDiskId = (containerId: string): string => `w-${containerId.slice(0, 12)}`;

/** The same for every container of the VM, and for every daemon: layers lie under their digests. */
function layerDiskId(hostPath: string): string {
  const name = hostPath.slice(hostPath.lastIndexOf('/') + 1).split('.')[0] ?? '';
  return `l-${name.replaceAll(/[^A-Za-z0-9]/g, '-')}`;
}

/** Whether the disk is read-only, and thus the same for whoever has it plugged. */
export function isLayerDisk(id: string): boolean {
  return id.startsWith('l-');
}

/** Ids of the disks that a container uses, its writable one first. */
export function diskIds(container: ContainerDisks): string[] {
  return [writableDiskId(container.containerId), ...readOnlyPaths(container).map(layerDiskId)];
}

function readOnlyPaths({ bundlePath, layerPaths }: ContainerDisks): readonly string[] {
  return bundlePath === undefined ? layerPaths : [bundlePath];
}

/** Writable disks of containers drop flushes: what runs in them ends with the VM or is synced before. */
export function containerDisks(containers: readonly ContainerDisks[]): VmDisk[] {
  const disks = new Map<string, VmDisk>();
  const add = (id: string, hostPath: string, format: VmDisk['format'], readOnly: boolean): unknown =>
    disks.set(id, { id, hostPath, format, readOnly, durable: false });
  for (const container of containers) {
    add(writableDiskId(container.containerId), container.writablePath, 'raw', false);
    const format = container.bundlePath === undefined ? 'raw' : 'vmdk';
    for (const hostPath of readOnlyPaths(container)) add(layerDiskId(hostPath), hostPath, format, true);
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
): { layers: GuestDisk[]; writable: GuestDisk } {
  const diskOf = (id: string): GuestDisk => {
    const lun = luns.get(id);
    if (lun === undefined) throw new RangeError(`disk ${id} was not plugged`);
    return { lun };
  };
  const { bundlePath, layerPaths } = container;
  const [writable = ''] = diskIds(container);
  const layers =
    bundlePath === undefined
      ? layerPaths.map((path) => diskOf(layerDiskId(path)))
      : layerPaths.map((_path, index) => ({ ...diskOf(layerDiskId(bundlePath)), partition: index + 1 }));
  // The guest wants the top layer first, as overlayfs does.
  return { layers: layers.reverse(), writable: diskOf(writable) };
}
