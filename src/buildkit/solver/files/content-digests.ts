// What counts of files in keys of the cache: names, attributes but times, contents.

import { createHash, type Hash } from 'node:crypto';
import { readContents, type LayerReader } from '../../../builder/file-contents';
import type { FileNode, TreeNode } from '../../../builder/file-tree';

/** A file by the name that it has for who selected it. */
export interface SelectedFile {
  readonly path: string;
  readonly node: TreeNode;
}

export class ContentDigests {
  readonly #layers: LayerReader;
  readonly #known = new WeakMap<FileNode, string>();

  constructor(layers: LayerReader) {
    this.#layers = layers;
  }

  /** Of a file whose content was seen anyway. */
  know(node: FileNode, sha256: string): void {
    this.#known.set(node, sha256);
  }

  /** Equal for equal files in equal order. Contents that aren't known are read. */
  async of(files: readonly SelectedFile[], signal: AbortSignal): Promise<string> {
    await this.#read(files, signal);
    const hash = createHash('sha256');
    const names = new Map<TreeNode, string>();
    for (const { path, node } of files) {
      const first = names.get(node);
      names.set(node, first ?? path);
      this.#add(hash, { path, node }, node.kind === 'file' ? first : undefined);
    }
    return `sha256:${hash.digest('hex')}`;
  }

  #add(hash: Hash, { path, node }: SelectedFile, hardLinkTo: string | undefined): void {
    const { mode, uid, gid, xattrs } = node.attributes;
    const content =
      node.kind === 'directory'
        ? ['directory']
        : [node.type, node.link, node.deviceMajor, node.deviceMinor, node.size, this.#known.get(node) ?? ''];
    const attributes = [...xattrs].map(([key, value]) => [key, value.toString('base64')] as const);
    attributes.sort(([a], [b]) => (a < b ? -1 : 1));
    // JSON tells where each part ends
    hash.update(JSON.stringify([path, mode, uid, gid, attributes, content, hardLinkTo ?? null]));
  }

  async #read(files: readonly SelectedFile[], signal: AbortSignal): Promise<void> {
    const unknown = new Set<FileNode>();
    for (const { node } of files) {
      if (node.kind === 'file' && node.data !== undefined && !this.#known.has(node)) unknown.add(node);
    }
    let hash = createHash('sha256');
    for await (const { node, chunk, last } of readContents(this.#layers, unknown)) {
      signal.throwIfAborted();
      hash.update(chunk);
      if (!last) continue;
      this.#known.set(node, hash.digest('hex'));
      hash = createHash('sha256');
    }
  }
}
