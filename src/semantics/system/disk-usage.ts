// `docker system df`.

import type { BuildCacheItem, ContainerSummary, DiskUsage, ImageSummary, Volume } from '../../docker/types';
import type { Image } from '../../storage/contract/image';
import { chainIds } from '../../storage/images/image-index';

export interface DiskUsageSources {
  images: readonly Image[];
  /** The images to show, unfiltered. */
  summaries: readonly ImageSummary[];
  /** Bytes of a layer. */
  layerBytes: (diffId: string) => number;
  containers: ContainerSummary[];
  volumes: Volume[];
  buildCache: readonly BuildCacheItem[];
}

export function diskUsage(sources: DiskUsageSources): DiskUsage {
  const { images, summaries, layerBytes, containers, volumes, buildCache } = sources;
  // A layer on other layers is another one, as Docker counts.
  const chainsOf = new Map(
    images.map((image) => [image.id, new Set(chainIds(image.config.rootfs.diff_ids))]),
  );
  const sizes = new Map<string, number>();
  for (const { config } of images) {
    const diffIds = config.rootfs.diff_ids;
    for (const [i, chain] of chainIds(diffIds).entries()) sizes.set(chain, layerBytes(diffIds[i] ?? ''));
  }
  // Steps of builds are not shown, so what they share with their image is that image's own.
  const users = new Map<string, number>();
  for (const { Id } of summaries) {
    for (const chain of chainsOf.get(Id) ?? []) users.set(chain, (users.get(chain) ?? 0) + 1);
  }
  const containersOf = new Map<string, number>();
  for (const { ImageID } of containers) containersOf.set(ImageID, (containersOf.get(ImageID) ?? 0) + 1);
  const sum = (chains: Iterable<string>): number => {
    let total = 0;
    for (const chain of chains) total += sizes.get(chain) ?? 0;
    return total;
  };
  return {
    LayersSize: sum(sizes.keys()),
    Images: summaries.map((summary) => ({
      ...summary,
      Containers: containersOf.get(summary.Id) ?? 0,
      SharedSize: sum([...(chainsOf.get(summary.Id) ?? [])].filter((chain) => (users.get(chain) ?? 0) > 1)),
    })),
    Containers: containers,
    Volumes: volumes,
    BuildCache: buildCache.length === 0 ? null : [...buildCache],
    BuilderSize: buildCache.reduce((total, { Size }) => total + Size, 0),
  };
}
