// Files that a source brought, as the snapshot that operations read.

import type { FileTree } from '../../../builder/file-tree';
import type { Snapshot } from '../../contract/source';
import { LayerHolds, type LayerTrees } from '../files/layer-trees';
import { changesOf } from '../files/whole-tree';

export class TreeSnapshot implements Snapshot {
  readonly #tree: FileTree;
  readonly #trees: LayerTrees;
  readonly #holds: LayerHolds;
  readonly #released: () => void;
  #layers: Promise<readonly string[]> | undefined;

  /** `released` is called once, when nobody needs the contents any more. */
  constructor(tree: FileTree, trees: LayerTrees, released: () => void) {
    this.#tree = tree;
    this.#trees = trees;
    this.#holds = new LayerHolds(trees.layers);
    this.#released = released;
  }

  tree(): Promise<FileTree> {
    return Promise.resolve(this.#tree);
  }

  layers(signal: AbortSignal): Promise<readonly string[]> {
    this.#layers ??= this.#store(signal);
    return this.#layers;
  }

  release(): void {
    this.#holds.release();
    this.#released();
  }

  async #store(signal: AbortSignal): Promise<readonly string[]> {
    const diffId = await this.#trees.store(changesOf(this.#tree), this.#holds, signal);
    return diffId === undefined ? [] : [diffId];
  }
}
