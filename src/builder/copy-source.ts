// What COPY and ADD take: names of a context or of another image, patterns, and the checksums the cache goes by.

import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { DaemonError } from '../errors';
import type { BuildContext } from './context';
import { readContents, type LayerReader } from './file-contents';
import {
  displayName,
  parentOf,
  toName,
  walk,
  type FileNode,
  type FileTree,
  type TreeNode,
} from './file-tree';
import { hasWildcards, pathMatcher } from '../go/path-match';
import { headerOfNode, startSum } from './tar-sum';

/** One file or directory to copy. */
export interface CopyItem {
  /** As it was named, below the source's root. */
  path: string;
  node: TreeNode;
  hash: string;
  /** Downloads are not unpacked. */
  keepsPacked: boolean;
}

export interface CopySource {
  tree: FileTree;
  /** The client's context: its errors say more. */
  isContext: boolean;
  /** Checksums of these names, links followed, in their order. */
  sums(names: readonly string[]): Promise<string[]>;
}

export function contextSource({ tree, sums }: BuildContext): CopySource {
  return {
    tree,
    isContext: true,
    // what has no entry of its own counts by its name, as in dockerd
    sums: (names) => Promise.resolve(names.map((name) => sums.get(tree.resolve(name)) ?? name)),
  };
}

/** The files of a stage or of another image. `known` keeps checksums between builds. */
export function imageSource(tree: FileTree, layers: LayerReader): CopySource {
  return {
    tree,
    isContext: false,
    sums: async (names) => {
      const sums: string[] = [];
      const contents = new Map<FileNode, { index: number; name: string }[]>();
      for (const [index, name] of names.entries()) {
        const path = tree.resolve(name);
        const node = tree.lookup(path);
        if (node?.kind === 'file' && node.data !== undefined) {
          contents.set(node, [...(contents.get(node) ?? []), { index, name: path }]);
        } else sums[index] = node === undefined ? path : startSum(headerOfNode(path, node)).digest('hex');
      }
      let hashes: ReturnType<typeof startSum>[] | undefined;
      for await (const { node, chunk, last } of readContents(layers, contents.keys())) {
        const wanted = contents.get(node) ?? [];
        hashes ??= wanted.map(({ name }) => startSum(headerOfNode(name, node)));
        for (const hash of hashes) hash.update(chunk);
        if (!last) continue;
        for (const [i, { index }] of wanted.entries()) sums[index] = hashes[i]?.digest('hex') ?? '';
        hashes = undefined;
      }
      return sums;
    },
  };
}

/** What a source of the instruction names. Throws in dockerd's words for what isn't there. */
export async function findItems(source: CopySource, given: string): Promise<CopyItem[]> {
  const name = given.replace(/^\//, '').replace(/^\.\//, '');
  if (!hasWildcards(name)) return [await itemOf(source, name, toName(name))];
  // as text: a question mark is a character, of however many bytes
  const matches = pathMatcher(name);
  const items: CopyItem[] = [];
  for (const { path } of walk(source.tree.root)) {
    const shown = displayName(path);
    if (matches(shown)) items.push(await itemOf(source, shown, path));
  }
  return items;
}

async function itemOf(source: CopySource, shown: string, path: string): Promise<CopyItem> {
  requireInside(shown);
  const resolved = source.tree.resolve(path);
  const node = source.tree.lookup(resolved);
  // What leads through a file is no path, and that is how dockerd says so.
  if (node === undefined && leadsThroughFile(source.tree, resolved)) throw outside(shown);
  if (node === undefined) {
    const why = `stat ${shown}: file does not exist`;
    const hint = 'file not found in build context or excluded by .dockerignore';
    throw new DaemonError('NotFound', source.isContext ? `${hint}: ${why}` : why);
  }
  if (node.kind === 'file') {
    const [sum = ''] = await source.sums([path]);
    return { path, node, hash: `file:${sum}`, keepsPacked: false };
  }
  const names = [...walk(node, resolved)].map((below) => below.path);
  if (resolved !== '') names.unshift(resolved);
  const sums = await source.sums(names);
  return { path, node, hash: hashOf('dir', sums.sort()), keepsPacked: false };
}

/** Throws for a name that leads out of the context by itself (links can't: they are followed inside). */
export function requireInside(name: string): void {
  const path = posix.normalize(name);
  if (path !== '..' && !path.startsWith('../')) return;
  throw outside(name);
}

function outside(name: string): DaemonError {
  return new DaemonError('Forbidden', `forbidden path outside the build context: ${name} ()`);
}

function leadsThroughFile(tree: FileTree, path: string): boolean {
  for (let parent = parentOf(path); parent !== ''; parent = parentOf(parent)) {
    const node = tree.lookup(parent);
    if (node !== undefined) return node.kind === 'file';
  }
  return false;
}

/** The cache's word for all that an instruction copies. */
export function hashOfItems(items: readonly CopyItem[]): string {
  const [first] = items;
  return items.length === 1 && first !== undefined
    ? first.hash
    : hashOf(
        'multi',
        items.map(({ hash }) => hash),
      );
}

function hashOf(prefix: string, sums: readonly string[]): string {
  return `${prefix}:${createHash('sha256').update(sums.join(','), 'latin1').digest('hex')}`;
}
