// Which disks and resources a Pod needs of its VM.

import type { VmDisk, VmResources } from '../vm/vm';
import type { GuestDisk } from '../vm/agent/protocol';
import type { PodSpec } from './pod';

/** Host paths of one container's disks. */
export interface ContainerDisks {
  containerId: string;
  /** Lowest layer first, as in the image. */
  layerPaths: string[];
  writablePath: string;
}

/** What to plug for a Pod, and how the LUNs become each container's root. */
export interface VmPlan {
  resources: Partial<VmResources>;
  /** Each file once, however many containers use it. */
  disks: VmDisk[];
}

const idOfContainer = (containerId: string): string => `w-${containerId.slice(0, 12)}`;

/** Writable disks of containers drop flushes: what runs in them ends with the VM or is synced before. */
export function podToVm(pod: PodSpec, containers: readonly ContainerDisks[]): VmPlan {
  const disks: VmDisk[] = [];
  const layers = new Map<string, string>();
  for (const container of containers) {
    disks.push({
      id: idOfContainer(container.containerId),
      hostPath: container.writablePath,
      format: 'raw',
      readOnly: false,
      durable: false,
    });
    for (const hostPath of container.layerPaths) {
      if (layers.has(hostPath)) continue;
      const id = `l-${String(layers.size)}`;
      layers.set(hostPath, id);
      disks.push({ id, hostPath, format: 'raw', readOnly: true, durable: false });
    }
  }
  return {
    resources: {
      ...(pod.memoryBytes === undefined ? {} : { memoryBytes: pod.memoryBytes }),
      ...(pod.cpus === undefined ? {} : { cpus: pod.cpus }),
    },
    disks,
  };
}

/** The guest's view of one container's root, once the plan's disks have these LUNs (in the order of `plan.disks`). */
export function guestRootfs(
  plan: VmPlan,
  luns: readonly number[],
  container: ContainerDisks,
): { layers: GuestDisk[]; writable: GuestDisk } {
  const diskOf = (hostPath: string): GuestDisk => {
    const lun = luns[plan.disks.findIndex((disk) => disk.hostPath === hostPath)];
    if (lun === undefined) throw new RangeError(`no disk was plugged for ${hostPath}`);
    return { lun };
  };
  return {
    // The guest wants the top layer first, as overlayfs does.
    layers: container.layerPaths.map(diskOf).reverse(),
    writable: diskOf(container.writablePath),
  };
}
