// File trees of layers, and layers of changed trees.

import { Readable } from 'node:stream';
import type { LayerReader } from '../../../builder/file-contents';
import { FileTree } from '../../../builder/file-tree';
import { LayerIndexes } from '../../../builder/image-files';
import { applyLayer } from '../../../builder/archive-tree';
import { layerStream } from '../../../builder/layer-stream';
import type { TreeChanges } from '../../../builder/tree-changes';
import type { LayerStore } from '../../../storage/contract/stores';

export type BuildLayers = LayerStore & LayerReader;

/** A tar without entries. It stands for a step that changed nothing, so that each step has a layer; images are made without it. */
export const emptyLayer = 'sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef';
const emptyTar = Buffer.alloc(1024);

/** Trees that are kept for who asks next; each may be large. */
const maxKept = 8;

export class LayerTrees {
  readonly layers: BuildLayers;
  readonly #indexes: LayerIndexes;
  /** In order of their last use. */
  readonly #kept = new Map<string, Promise<FileTree>>();

  constructor(layers: BuildLayers) {
    this.layers = layers;
    this.#indexes = new LayerIndexes(layers);
  }

  /** Not to be changed. The layers are held by the caller until it resolves. */
  async of(diffIds: readonly string[]): Promise<FileTree> {
    const key = diffIds.join();
    const tree = this.#kept.get(key) ?? this.copyOf(diffIds);
    this.#kept.delete(key);
    this.#kept.set(key, tree);
    for (const old of this.#kept.keys()) {
      if (this.#kept.size <= maxKept) break;
      this.#kept.delete(old);
    }
    try {
      return await tree;
    } catch (error) {
      this.#kept.delete(key);
      throw error;
    }
  }

  /** The caller's own. */
  async copyOf(diffIds: readonly string[]): Promise<FileTree> {
    const tree = new FileTree();
    for (const diffId of diffIds) {
      applyLayer(tree, await this.#indexes.of(diffId), { kind: 'layer', diffId });
    }
    return tree;
  }

  async storeEmpty(holds: LayerHolds, signal: AbortSignal): Promise<string> {
    holds.add([emptyLayer]);
    const stream = Readable.from([emptyTar], { objectMode: false });
    return (await this.layers.add(stream, { signal })).diffId;
  }

  /** The layer that changes are, held; undefined if there are none. */
  async store(changes: TreeChanges, holds: LayerHolds, signal: AbortSignal): Promise<string | undefined> {
    if (changes.isEmpty) return undefined;
    const stream = Readable.from(layerStream(changes, this.layers), { objectMode: false });
    const onDiffId = (diffId: string): void => holds.add([diffId]);
    return (await this.layers.add(stream, { signal, onDiffId })).diffId;
  }
}

/** Layers that are kept for somebody, until `release`. */
export class LayerHolds {
  readonly #layers: LayerStore;
  readonly #releases: (() => void)[] = [];

  constructor(layers: LayerStore) {
    this.#layers = layers;
  }

  add(diffIds: readonly string[]): void {
    if (diffIds.length > 0) this.keep(this.#layers.hold(diffIds));
  }

  /** Something to be let go with them. */
  keep(release: () => void): void {
    this.#releases.push(release);
  }

  release(): void {
    for (const release of this.#releases.splice(0)) release();
  }
}
