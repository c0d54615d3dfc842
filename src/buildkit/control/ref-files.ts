// Reads single files of a ref, for frontends: names as in its tree, links followed below its root alone.

import { readContents, type LayerReader } from '../../builder/file-contents';
import {
  displayName,
  joinPath,
  parentOf,
  toName,
  type FileTree,
  type TreeNode,
} from '../../builder/file-tree';
import { pathMatcher } from '../../go/path-match';
import { BuildError } from '../contract/errors';
import type { FileStat } from '../contract/session';

const maxReadBytes = 16 * 1024 * 1024;

const types: Readonly<Record<string, FileStat['type']>> = {
  '0': 'file',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '6': 'fifo',
};

export async function readFile(
  layers: LayerReader,
  tree: FileTree,
  path: string,
  { offset = 0, length = 0 }: { offset?: number; length?: number },
): Promise<Buffer> {
  const node = tree.find(toName(path));
  if (node === undefined) throw missing('open', path);
  if (node.kind === 'directory') throw new BuildError('InvalidArgument', `read ${path}: is a directory`);
  if (offset < 0 || length < 0) throw new BuildError('InvalidArgument', `read ${path}: invalid argument`);
  const end = length === 0 ? node.size : Math.min(node.size, offset + length);
  if (end - offset > maxReadBytes) throw new BuildError('ResourceExhausted', `read ${path}: file too large`);
  const parts: Buffer[] = [];
  let at = 0;
  for await (const { chunk } of readContents(layers, [node])) {
    parts.push(chunk.subarray(Math.max(0, offset - at), Math.max(0, end - at)));
    at += chunk.length;
    if (at >= end) break;
  }
  return Buffer.concat(parts);
}

/** In order of their names. */
export function readDirectory(tree: FileTree, path: string, pattern: string): FileStat[] {
  const resolved = tree.resolve(toName(path));
  const node = tree.lookup(resolved);
  if (node === undefined) throw missing('open', path);
  if (node.kind !== 'directory')
    throw new BuildError('InvalidArgument', `readdirent ${path}: not a directory`);
  const matches = pattern === '' ? () => true : pathMatcher(pattern);
  return [...node.children]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .filter(([name]) => matches(displayName(name)))
    .map(([name, child]) => statOf(displayName(name), child));
}

/** Of a link itself. */
export function statFile(tree: FileTree, path: string): FileStat {
  const name = toName(path);
  const resolved = joinPath(tree.resolve(name, { keepLast: true }));
  const node = tree.lookup(resolved);
  if (node === undefined || (resolved !== '' && tree.lookup(parentOf(resolved)) === undefined)) {
    throw missing('lstat', path);
  }
  return statOf(displayName(resolved.slice(resolved.lastIndexOf('/') + 1)) || '/', node);
}

function statOf(path: string, node: TreeNode): FileStat {
  const { mode, uid, gid, mtime, xattrs } = node.attributes;
  const common = {
    path,
    mode: mode & 0o7777,
    uid,
    gid,
    modifiedNs: BigInt(mtime) * 1_000_000_000n,
    xattrs: new Map([...xattrs].map(([key, value]) => [key.replace(/^SCHILY\.xattr\./, ''), value])),
  };
  if (node.kind === 'directory') {
    return { ...common, type: 'directory', sizeBytes: 0, linkName: '', deviceMajor: 0, deviceMinor: 0 };
  }
  return {
    ...common,
    type: types[node.type] ?? 'file',
    sizeBytes: node.size,
    linkName: displayName(node.link),
    deviceMajor: node.deviceMajor,
    deviceMinor: node.deviceMinor,
  };
}

function missing(operation: string, path: string): BuildError {
  return new BuildError('NotFound', `${operation} ${path}: no such file or directory`);
}
