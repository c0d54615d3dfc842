// Applies the entries of tars to file trees: a layer with its whiteouts, or an archive as `tar -x` would unpack it.

import { DaemonError, errorMessage } from '../errors';
import { cleanMemberName } from '../storage/tar/member-name';
import { TarError, type TarEntry } from '../storage/tar/tar-header';
import { TarParser } from '../storage/tar/tar-parser';
import {
  baseOf,
  joinPath,
  newDirectory,
  parentOf,
  partsOf,
  type Archive,
  type Attributes,
  type DirectoryNode,
  type FileNode,
  type FileTree,
} from './file-tree';
import type { TreeChanges } from './tree-changes';

/** An entry and where its data begins in the plain archive. */
export interface ArchivedEntry {
  entry: TarEntry;
  offset: number;
}

const whiteoutPrefix = '.wh.';
const opaqueMarker = '.wh..wh..opq';
/** Names are kept in memory. */
const maxEntries = 2_000_000;

/** Reads the headers of a plain tar. Throws TarError. */
export async function readEntries(tar: AsyncIterable<Buffer>): Promise<ArchivedEntry[]> {
  const entries: ArchivedEntry[] = [];
  const parser = new TarParser({
    entry: (entry, offset) => {
      if (entries.length >= maxEntries) throw new TarError('the archive has too many entries');
      entries.push({ entry, offset });
      return false;
    },
    data: () => undefined,
  });
  for await (const chunk of tar) parser.write(chunk);
  parser.end();
  return entries;
}

/** Puts a layer on top of what the tree has. */
export function applyLayer(tree: FileTree, entries: readonly ArchivedEntry[], archive: Archive): void {
  const isMarker = ({ entry }: ArchivedEntry): boolean =>
    baseOf(cleanMemberName(entry.name)).startsWith(whiteoutPrefix);
  const parents = new LayerParents(tree, entries);
  for (const { entry } of entries.filter(isMarker)) {
    const path = cleanMemberName(entry.name);
    const name = baseOf(path);
    const parent = parents.of(path);
    if (name === opaqueMarker) parent.children.clear();
    else parent.children.delete(name.slice(whiteoutPrefix.length));
  }
  for (const item of entries) {
    if (isMarker(item)) continue;
    const path = cleanMemberName(item.entry.name);
    if (path === '') continue;
    const parent = parents.of(path);
    const name = baseOf(path);
    if (item.entry.type === '1') {
      const target = tree.lookup(cleanMemberName(item.entry.link));
      if (target !== undefined) parent.children.set(name, target);
      continue;
    }
    const before = parent.children.get(name);
    if (item.entry.type !== '5') parent.children.set(name, fileNode(item, archive));
    else if (before?.kind === 'directory') before.attributes = attributesOf(item.entry);
    else parent.children.set(name, newDirectory(attributesOf(item.entry)));
  }
}

/** Directories in which a layer has names. */
class LayerParents {
  readonly #tree: FileTree;
  readonly #described: ReadonlySet<string>;
  readonly #made = new Set<DirectoryNode>();

  constructor(tree: FileTree, entries: readonly ArchivedEntry[]) {
    this.#tree = tree;
    this.#described = new Set(
      entries.filter(({ entry }) => entry.type === '5').map(({ entry }) => cleanMemberName(entry.name)),
    );
  }

  /**
   * What is in its way is replaced, as the entries of a layer replace it. A directory that no entry of the layer
   * describes is a new one there, and so are its attributes.
   */
  of(path: string): DirectoryNode {
    let node = this.#tree.root;
    let at = '';
    for (const part of partsOf(parentOf(path))) {
      at = joinPath(at, part);
      let child = node.children.get(part);
      if (child?.kind !== 'directory') {
        child = newDirectory();
        node.children.set(part, child);
      } else if (!this.#described.has(at) && !this.#made.has(child)) {
        child.attributes = newDirectory().attributes;
      }
      this.#made.add(child);
      node = child;
    }
    return node;
  }
}

/** In dockerd's words, what unpacking an archive ended with. */
export function unpackingError(reason: string, cause?: unknown): DaemonError {
  return new DaemonError('Internal', `Error processing tar file(exit status 1): ${reason}`, { cause });
}

/**
 * Unpacks below `destination`, which exists, as dockerd does in a chroot there: names never lead out of it. Throws
 * `unpackingError`.
 */
export function applyArchive(
  changes: TreeChanges,
  destination: string,
  entries: readonly ArchivedEntry[],
  archive: Archive,
): void {
  for (const item of entries) {
    const name = cleanMemberName(item.entry.name);
    if (name === '') continue;
    try {
      unpackEntry(changes, destination, { ...item, entry: { ...item.entry, name } }, archive);
    } catch (error) {
      throw unpackingError(errorMessage(error), error);
    }
  }
}

/** `item` has a name below the destination, without dots. */
function unpackEntry(changes: TreeChanges, destination: string, item: ArchivedEntry, archive: Archive): void {
  const { tree } = changes;
  const { entry } = item;
  const inside = (path: string): string => tree.resolve(path, { keepLast: true, scope: destination });
  if (!'0123456'.includes(entry.type))
    throw new TarError(`unhandled tar header type ${entry.type.charCodeAt(0)}`);
  makeParents(changes, destination, entry);
  const path = inside(entry.name);
  if (entry.type === '5') changes.setDirectory(path, attributesOf(entry));
  else if (entry.type === '1') {
    const first = inside(entry.link);
    const target = tree.lookup(first);
    const failed = `link /${cleanMemberName(entry.link)} /${entry.name}`;
    if (target?.kind === 'directory') throw new TarError(`${failed}: operation not permitted`);
    if (target === undefined || first === path) throw new TarError(`${failed}: no such file or directory`);
    // dockerd gives the file what the header of the link says: it has that under all its names
    target.attributes = target.type === '2' ? ownedAs(target.attributes, entry) : attributesOf(entry);
    changes.setFile(first, target);
    changes.setFile(path, target);
  } else if (entry.type === '2' && entry.link === '')
    throw new TarError(`symlink  /${entry.name}: no such file or directory`);
  else changes.setFile(path, fileNode(item, archive));
}

/** Makes the directories that an entry lies in. What a symbolic link leads to is not made. */
function makeParents(changes: TreeChanges, destination: string, { name, type }: TarEntry): void {
  const { tree } = changes;
  const failed = `${type === '5' ? 'mkdir' : 'open'} /${name}`;
  const parent = tree.resolve(parentOf(name), { scope: destination });
  const parts = partsOf(parent);
  if (parts.some((_part, i) => tree.lookup(parts.slice(0, i + 1).join('/'))?.kind === 'file'))
    throw new TarError(`${failed}: not a directory`);
  const unresolved = tree.lookup(tree.resolve(parentOf(name), { keepLast: true, scope: destination }));
  if (unresolved?.kind === 'file' && tree.lookup(parent) === undefined)
    throw new TarError(`${failed}: no such file or directory`);
  changes.makeDirectories(parent);
}

function ownedAs(attributes: Attributes, { uid, gid, mtime }: TarEntry): Attributes {
  return { ...attributes, uid, gid, mtime: Math.max(0, mtime) };
}

export function fileNode({ entry, offset }: ArchivedEntry, archive: Archive): FileNode {
  const { sparse } = entry;
  const hasData = entry.type === '0' && entry.size > 0;
  return {
    kind: 'file',
    type: entry.type,
    attributes: attributesOf(entry),
    link: entry.type === '2' ? entry.link : '',
    deviceMajor: entry.deviceMajor,
    deviceMinor: entry.deviceMinor,
    size: entry.type === '0' ? (sparse?.realSize ?? entry.size) : 0,
    data: hasData || sparse !== undefined ? { archive, offset, storedBytes: entry.size, sparse } : undefined,
  };
}

function attributesOf(entry: TarEntry): Attributes {
  return {
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    mtime: Math.max(0, entry.mtime),
    xattrs: entry.records,
  };
}
