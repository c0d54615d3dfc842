// Layers without an image: what an operation has brought in and then could not use.

import type { ImageIndex } from './image-index';
import type { SquashfsLayerStore } from '../layers/layer-store';

interface Stores {
  index: ImageIndex;
  layers: RemovableLayers & Pick<SquashfsLayerStore, 'hold'>;
}

export interface RemovableLayers {
  /** Does nothing while something uses it. */
  remove(diffId: string): Promise<void>;
}

/**
 * Keeps layers while `work` brings them in and makes an image of them, also those that it names by `hold`; those no image has in
 * the end are removed.
 */
export async function holdingLayers<T>(
  { index, layers }: Stores,
  diffIds: readonly string[],
  work: (hold: (diffId: string) => void) => Promise<T>,
): Promise<T> {
  const releases = [layers.hold(diffIds)];
  const held = [...diffIds];
  const hold = (diffId: string): void => {
    releases.push(layers.hold([diffId]));
    held.push(diffId);
  };
  try {
    return await work(hold);
  } finally {
    for (const release of releases) release();
    await removeUnused({ index, layers }, held);
  }
}

/** Removes those of the layers that neither an image nor a container nor an operation needs. */
export async function removeUnused(
  { index, layers }: { index: ImageIndex; layers: RemovableLayers },
  diffIds: readonly string[],
): Promise<void> {
  for (const diffId of diffIds) {
    // Looked up each time: while a layer's files go, another image may come that has the next one.
    if (!index.usesLayer(diffId)) await layers.remove(diffId);
  }
}
