// The files of an image or of a build context, as known from tars: names, attributes, and where the contents are. Nothing
// is unpacked on the host. Names are latin1 strings, one character a byte, as in storage/tar-header.

import { DaemonError } from '../errors';
import type { SparseMap } from '../storage/tar/tar-header';

export interface Attributes {
  mode: number;
  uid: number;
  gid: number;
  /** Whole seconds. */
  mtime: number;
  /** PAX records `SCHILY.xattr.…`. */
  xattrs: ReadonlyMap<string, Buffer>;
}

/** Where the bytes of files are: a layer of the store, or a plain tar or file of ours. */
export type Archive = { kind: 'layer'; diffId: string } | { kind: 'file'; path: string };

export interface FileData {
  archive: Archive;
  offset: number;
  /** Without holes. */
  storedBytes: number;
  sparse: SparseMap | undefined;
}

/** An inode: several names of one tree may lead to the same object (hard links). No two trees share one. */
export interface FileNode {
  kind: 'file';
  /** As in tar headers: `0` file, `2` symbolic link, `3` and `4` devices, `6` FIFO. */
  type: string;
  attributes: Attributes;
  /** Of a symbolic link. */
  link: string;
  deviceMajor: number;
  deviceMinor: number;
  size: number;
  data: FileData | undefined;
}

export interface DirectoryNode {
  kind: 'directory';
  attributes: Attributes;
  children: Map<string, TreeNode>;
}

export type TreeNode = FileNode | DirectoryNode;

/** A part of a path, and what has it, if anything does. */
interface Step {
  part: string;
  node: TreeNode | undefined;
}

const maxLinks = 255;

export function newDirectory(attributes: Partial<Attributes> = {}): DirectoryNode {
  const plain = { mode: 0o755, uid: 0, gid: 0, mtime: Math.floor(Date.now() / 1000), xattrs: new Map() };
  return { kind: 'directory', attributes: { ...plain, ...attributes }, children: new Map() };
}

export class FileTree {
  readonly root: DirectoryNode;

  constructor(root = newDirectory()) {
    this.root = root;
  }

  /** By a path without symbolic links, such as `resolve` gives. '' is the root. */
  lookup(path: string): TreeNode | undefined {
    let node: TreeNode | undefined = this.root;
    for (const part of partsOf(path)) {
      if (node?.kind !== 'directory') return undefined;
      node = node.children.get(part);
    }
    return node;
  }

  /**
   * The path that `path` leads to, with all symbolic links followed (the last one too, unless `keepLast`) as if `scope`
   * were the root directory; parts that don't exist stay as they are.
   */
  resolve(path: string, options: { keepLast?: boolean; scope?: string } = {}): string {
    const scope = this.#walk(partsOf(options.scope ?? ''));
    const todo = path.split('/').filter(isPart).reverse();
    let done = [...scope];
    let links = 0;
    for (let part = todo.pop(); part !== undefined; part = todo.pop()) {
      if (part === '..') {
        if (done.length > scope.length) done.pop();
        continue;
      }
      const above = done.length === 0 ? this.root : done.at(-1)?.node;
      const node = above?.kind === 'directory' ? above.children.get(part) : undefined;
      if (node?.kind !== 'file' || node.type !== '2' || (options.keepLast === true && todo.length === 0)) {
        done.push({ part, node });
        continue;
      }
      links += 1;
      if (links > maxLinks) throw new DaemonError('Internal', `too many links in ${displayName(path)}`);
      if (node.link.startsWith('/')) done = [...scope];
      todo.push(...node.link.split('/').filter(isPart).reverse());
    }
    return done.map(({ part }) => part).join('/');
  }

  #walk(parts: readonly string[]): Step[] {
    let node: TreeNode | undefined = this.root;
    return parts.map((part) => {
      node = node?.kind === 'directory' ? node.children.get(part) : undefined;
      return { part, node };
    });
  }

  /** Follows symbolic links. */
  find(path: string): TreeNode | undefined {
    return this.lookup(this.resolve(path));
  }
}

/** Every name below a directory, parents first, each directory's in order of bytes. `path` is relative to it. */
export function* walk(
  directory: DirectoryNode,
  prefix = '',
): Generator<{ path: string; node: TreeNode }, void, undefined> {
  for (const name of [...directory.children.keys()].sort()) {
    const node = directory.children.get(name);
    if (node === undefined) continue;
    const path = prefix === '' ? name : `${prefix}/${name}`;
    yield { path, node };
    if (node.kind === 'directory') yield* walk(node, path);
  }
}

/** Text from a Dockerfile as a name in a tree. */
export function toName(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** A name in a tree as text for people. */
export function displayName(name: string): string {
  return Buffer.from(name, 'latin1').toString('utf8');
}

export function joinPath(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('/');
}

export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

export function baseOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

export function partsOf(path: string): string[] {
  return path === '' ? [] : path.split('/');
}

function isPart(part: string): boolean {
  return part !== '' && part !== '.';
}
