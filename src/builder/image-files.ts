// File trees of images: layers read once each, put on top of each other when a build first asks.

import { TarError } from '../storage/tar/tar-header';
import { applyLayer, readEntries, type ArchivedEntry } from './archive-tree';
import type { LayerReader } from './file-contents';
import { FileTree } from './file-tree';

/** Names of this many files are kept for the next build. */
const maxCachedEntries = 300_000;

export class LayerIndexes {
  readonly #layers: LayerReader;
  /** In order of their last use. */
  readonly #entries: Map<string, Promise<ArchivedEntry[]>>;
  readonly #counts: Map<string, number>;

  /** `others`: shares what these know. */
  constructor(layers: LayerReader, others?: LayerIndexes) {
    this.#layers = layers;
    this.#entries = others === undefined ? new Map<string, Promise<ArchivedEntry[]>>() : others.#entries;
    this.#counts = others === undefined ? new Map<string, number>() : others.#counts;
  }

  async of(diffId: string): Promise<ArchivedEntry[]> {
    const known = this.#entries.get(diffId);
    const reading = known ?? readEntries(this.#layers.openTar(diffId) as AsyncIterable<Buffer>); // a stream of bytes
    this.#entries.delete(diffId);
    this.#entries.set(diffId, reading);
    try {
      const entries = await reading;
      this.#counts.set(diffId, entries.length);
      this.#evict(diffId);
      return entries;
    } catch (error) {
      if (this.#entries.get(diffId) === reading) this.#entries.delete(diffId);
      // another build read it, which may have been given up
      if (known !== undefined) return this.of(diffId);
      throw error instanceof TarError ? new TarError(`layer ${diffId}: ${error.message}`) : error;
    }
  }

  #evict(keep: string): void {
    let total = [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
    for (const diffId of this.#entries.keys()) {
      if (total <= maxCachedEntries) return;
      if (diffId === keep) continue;
      total -= this.#counts.get(diffId) ?? 0;
      this.#counts.delete(diffId);
      this.#entries.delete(diffId);
    }
  }
}

/** The files of a stage as it grows. */
export class StageFiles {
  readonly #indexes: LayerIndexes;
  #tree = new FileTree();
  #diffIds: string[] = [];

  constructor(indexes: LayerIndexes) {
    this.#indexes = indexes;
  }

  /** Brought up to these layers. Changes made to it must be told by `grew`. */
  async tree(diffIds: readonly string[]): Promise<FileTree> {
    const isPrefix = this.#diffIds.every((diffId, i) => diffId === diffIds[i]);
    if (!isPrefix) {
      this.#tree = new FileTree();
      this.#diffIds = [];
    }
    for (const diffId of diffIds.slice(this.#diffIds.length)) {
      applyLayer(this.#tree, await this.#indexes.of(diffId), { kind: 'layer', diffId });
      this.#diffIds.push(diffId);
    }
    return this.#tree;
  }

  /** The tree's changes have become this layer. */
  grew(diffId: string): void {
    this.#diffIds.push(diffId);
  }
}
