// Layers without an image: what an operation has brought in and then could not use.

import type { ImageIndex } from './image-index';
import type { SquashfsLayerStore } from './layer-store';

interface Stores {
  index: ImageIndex;
  layers: SquashfsLayerStore;
}

/** Keeps layers while `work` brings them in and makes an image of them; those no image has in the end are removed. */
export async function holdingLayers<T>(
  { index, layers }: Stores,
  diffIds: readonly string[],
  work: () => Promise<T>,
): Promise<T> {
  const release = layers.hold(diffIds);
  try {
    return await work();
  } finally {
    release();
    await removeUnused({ index, layers }, diffIds);
  }
}

/** Removes those of the layers that neither an image nor a container nor an operation needs. */
export async function removeUnused({ index, layers }: Stores, diffIds: readonly string[]): Promise<void> {
  const used = new Set(index.list().flatMap((image) => image.config.rootfs.diff_ids));
  for (const diffId of diffIds) if (!used.has(diffId)) await layers.remove(diffId);
}
