// How this daemon's storage shows where Docker shows its graph driver.

import type { GraphDriverData } from '../../docker/types';
import type { LayerStore } from '../../storage/contract/stores';

export const graphDriverName = 'caisson-squashfs';

/** The read-only disks of these layers (lowest first), highest first as in overlayfs. */
export function layerGraphDriver(
  diffIds: readonly string[],
  layers: Pick<LayerStore, 'diskPaths'>,
): GraphDriverData {
  let paths: string[];
  try {
    paths = layers.diskPaths(diffIds);
  } catch {
    // A layer is gone: inspect must work all the same.
    paths = [];
  }
  return { Data: paths.length === 0 ? {} : { LowerDir: paths.reverse().join(':') }, Name: graphDriverName };
}
