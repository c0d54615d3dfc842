// Which disks and resources a Pod needs of its VM.

import type { VmDisk, VmResources } from '../vm/vm';
import type { GuestDisk } from '../vm/agent/protocol';
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

/** What to plug for a Pod, and how the LUNs become each container's root. */
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
    const { bundlePath, layerPaths } = container;
    for (const hostPath of bundlePath === undefined ? layerPaths : [bundlePath]) {
      if (layers.has(hostPath)) continue;
      const id = `l-${String(layers.size)}`;
      layers.set(hostPath, id);
      const format = bundlePath === undefined ? 'raw' : 'vmdk';
      disks.push({ id, hostPath, format, readOnly: true, durable: false });
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
  const { bundlePath, layerPaths } = container;
  const layers =
    bundlePath === undefined
      ? layerPaths.map(diskOf)
      : layerPaths.map((_path, index) => ({ ...diskOf(bundlePath), partition: index + 1 }));
  return {
    // The guest wants the top layer first, as overlayfs does.
    layers: layers.reverse(),
    writable: diskOf(container.writablePath),
  };
}
