// What lies on disk, by kind, and what of it pruning would free.

import type { DiskUsage } from '../../../src/docker/types';

export interface Usage {
  name: string;
  /** Bytes, as `docker system df` counts them. */
  total: number;
  /** Bytes that are gone after a prune: of images those layers alone that no other image has. */
  free: number;
  /** The request that prunes. */
  prune: string;
}

/** Those of which docker says that they are active. */
const active = ['running', 'paused', 'restarting'];

export function usageOf({ LayersSize, Images, Containers, Volumes, BuildCache }: DiskUsage): Usage[] {
  // -1 stands for a size that nobody knows
  const sum = (values: readonly number[]): number =>
    values.reduce((all, value) => all + Math.max(0, value), 0);
  const unused = (Images ?? []).filter((image) => image.Containers === 0);
  const containers = Containers ?? [];
  const stopped = containers.filter(({ State }) => !active.includes(State));
  const volumes = (Volumes ?? []).flatMap(({ UsageData }) => UsageData ?? []);
  // what an image has, too, is counted there
  const caches = (BuildCache ?? []).filter(({ Shared }) => !Shared);
  return [
    {
      name: 'Images',
      total: LayersSize,
      free: sum(unused.map(({ Size, SharedSize }) => Size - Math.max(0, SharedSize))),
      prune: '/images/prune?filters={"dangling":["false"]}',
    },
    {
      name: 'Containers',
      total: sum(containers.map(({ SizeRw = 0 }) => SizeRw)),
      free: sum(stopped.map(({ SizeRw = 0 }) => SizeRw)),
      prune: '/containers/prune',
    },
    {
      name: 'Volumes',
      total: sum(volumes.map(({ Size }) => Size)),
      free: sum(volumes.filter(({ RefCount }) => RefCount === 0).map(({ Size }) => Size)),
      prune: '/volumes/prune',
    },
    {
      name: 'Build cache',
      total: sum(caches.map(({ Size }) => Size)),
      free: sum(caches.filter(({ InUse }) => !InUse).map(({ Size }) => Size)),
      prune: '/build/prune?all=1',
    },
  ];
}
