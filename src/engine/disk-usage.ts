// `docker system df`. Sizes of layers are those of their tar streams, as Docker counts them.

import type { ContainerSummary, DiskUsage, ImageSummary, Volume } from '../api/v1.41/types';
import type { Image } from '../storage/image';
import type { LayerStore } from '../storage/stores';
import type { ContainerRegistry } from './container-registry';

export interface DiskUsageSources {
  images: readonly Image[];
  /** The images to show, unfiltered. */
  summaries: readonly ImageSummary[];
  layers: Pick<LayerStore, 'sizeBytes'>;
  registry: ContainerRegistry;
  containers: ContainerSummary[];
  volumes: Volume[];
}

export function diskUsage(sources: DiskUsageSources): DiskUsage {
  const { images, summaries, layers, registry, containers, volumes } = sources;
  const size = (diffId: string): number => {
    try {
      return layers.sizeBytes(diffId);
    } catch {
      // A layer that is missing takes no room.
      return 0;
    }
  };
  const users = new Map<string, number>();
  for (const image of images) {
    for (const diffId of new Set(image.config.rootfs.diff_ids))
      users.set(diffId, (users.get(diffId) ?? 0) + 1);
  }
  const containersOf = new Map<string, number>();
  for (const { record } of registry.list()) {
    containersOf.set(record.imageId, (containersOf.get(record.imageId) ?? 0) + 1);
  }
  const diffIdsOf = new Map(images.map((image) => [image.id, image.config.rootfs.diff_ids]));
  const sum = (diffIds: Iterable<string>): number => {
    let total = 0;
    for (const diffId of diffIds) total += size(diffId);
    return total;
  };
  return {
    LayersSize: sum(users.keys()),
    Images: summaries.map((summary) => ({
      ...summary,
      Containers: containersOf.get(summary.Id) ?? 0,
      SharedSize: sum((diffIdsOf.get(summary.Id) ?? []).filter((diffId) => (users.get(diffId) ?? 0) > 1)),
    })),
    Containers: containers,
    Volumes: volumes,
    BuildCache: null,
    BuilderSize: 0,
  };
}
