// Applies the entries of tars to file trees: a layer with its whiteouts, or an archive as `tar -x` would unpack it.

import { DaemonError } from '../errors';
import { cleanMemberName } from '../storage/member-name';
import { TarError, type TarEntry } from '../storage/tar-header';
import { TarParser } from '../storage/tar-parser';
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

/** Unpacks below `destination`, which exists, as dockerd does in a chroot there: names never lead out of it. */
export function applyArchive(
  changes: TreeChanges,
  destination: string,
  entries: readonly ArchivedEntry[],
  archive: Archive,
): void {
  const { tree } = changes;
  const inside = (name: string): string => tree.resolve(name, { keepLast: true, scope: destination });
  for (const item of entries) {
    const { entry } = item;
    const name = cleanMemberName(entry.name);
    if (name === '' || !'0123456'.includes(entry.type)) continue;
    changes.makeDirectories(tree.resolve(parentOf(name), { scope: destination }));
    const path = inside(name);
    if (entry.type === '5') changes.setDirectory(path, attributesOf(entry));
    else if (entry.type === '1') {
      const first = inside(entry.link);
      const target = tree.lookup(first);
      if (target?.kind !== 'file') {
        throw new DaemonError('Internal', `link /${entry.link} /${name}: no such file or directory`);
      }
      // dockerd gives the file what the header of the link says: it has that under all its names
      if (target.type !== '2') target.attributes = attributesOf(entry);
      changes.setFile(first, target);
      changes.setFile(path, target);
    } else changes.setFile(path, fileNode(item, archive));
  }
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
