// `docker system df`. Sizes of layers are those of their tar streams, as Docker counts them.

import type { BuildCacheItem, ContainerSummary, DiskUsage, ImageSummary, Volume } from '../../docker/types';
import type { Image } from '../../storage/contract/image';
import { chainIds } from '../../storage/images/image-index';
import type { LayerStore } from '../../storage/contract/stores';
import type { ContainerRegistry } from '../core/container-registry';

export interface DiskUsageSources {
  images: readonly Image[];
  /** The images to show, unfiltered. */
  summaries: readonly ImageSummary[];
  layers: Pick<LayerStore, 'sizeBytes'>;
  registry: ContainerRegistry;
  containers: ContainerSummary[];
  volumes: Volume[];
  buildCache: readonly BuildCacheItem[];
}

export function diskUsage(sources: DiskUsageSources): DiskUsage {
  const { images, summaries, layers, registry, containers, volumes, buildCache } = sources;
  const size = (diffId: string): number => {
    try {
      return layers.sizeBytes(diffId);
    } catch {
      // A layer that is missing takes no room.
      return 0;
    }
  };
  // A layer on other layers is another one, as Docker counts.
  const chainsOf = new Map(
    images.map((image) => [image.id, new Set(chainIds(image.config.rootfs.diff_ids))]),
  );
  const sizes = new Map<string, number>();
  for (const { config } of images) {
    const diffIds = config.rootfs.diff_ids;
    for (const [i, chain] of chainIds(diffIds).entries()) sizes.set(chain, size(diffIds[i] ?? ''));
  }
  // Steps of builds are not shown, so what they share with their image is that image's own.
  const users = new Map<string, number>();
  for (const { Id } of summaries) {
    for (const chain of chainsOf.get(Id) ?? []) users.set(chain, (users.get(chain) ?? 0) + 1);
  }
  const containersOf = new Map<string, number>();
  for (const { record } of registry.list()) {
    containersOf.set(record.imageId, (containersOf.get(record.imageId) ?? 0) + 1);
  }
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
