// COPY and ADD on file trees, by the rules of dockerd's classic builder: who owns what, what replaces what, which links
// are followed.

import { DaemonError, errorMessage } from '../errors';
import type { ArchivedEntry } from './archive-tree';
import { applyArchive } from './archive-tree';
import type { CopyItem } from './copy-source';
import {
  baseOf,
  displayName,
  joinPath,
  parentOf,
  walk,
  type Archive,
  type Attributes,
  type DirectoryNode,
  type FileNode,
  type TreeNode,
} from './file-tree';
import type { TreeChanges } from './tree-changes';

export interface Identity {
  uid: number;
  gid: number;
}

export interface CopyOptions {
  /** Undefined: files keep their owners. */
  owner: Identity | undefined;
  /** ADD: what a file unpacks to; undefined for what is no archive. */
  unpack: (file: FileNode) => Promise<{ entries: ArchivedEntry[]; archive: Archive } | undefined>;
}

/** Copies to `destination`, an absolute path whose trailing slash counts. Throws `failed to copy files: …`. */
export async function copyItem(
  changes: TreeChanges,
  item: CopyItem,
  destination: string,
  options: CopyOptions,
): Promise<void> {
  try {
    const path = changes.tree.resolve(destination);
    if (item.node.kind === 'directory') {
      copyDirectory(changes, item.node, path, options.owner);
      return;
    }
    const unpacked = item.keepsPacked ? undefined : await options.unpack(item.node);
    if (unpacked === undefined) {
      copyFile(changes, { ...item, node: item.node }, path, destination.endsWith('/'), options.owner);
      return;
    }
    changes.makeDirectories(path);
    applyArchive(changes, path, unpacked.entries, unpacked.archive);
  } catch (error) {
    throw new DaemonError('Internal', `failed to copy files: ${errorMessage(error)}`, { cause: error });
  }
}

function copyDirectory(
  changes: TreeChanges,
  source: DirectoryNode,
  path: string,
  owner: Identity | undefined,
): void {
  const exists = changes.tree.lookup(path) !== undefined;
  // taken before the first change: a directory may be copied into itself
  const below = [...walk(source)];
  try {
    const directory = changes.makeDirectories(path);
    if (!exists && owner !== undefined) {
      changes.setDirectory(path, owned(directory, directory.attributes, owner));
    }
  } catch (error) {
    throw new DaemonError('Internal', `failed to copy directory: ${errorMessage(error)}`, { cause: error });
  }
  // Names of one file stay names of one file.
  const copies = new Map<FileNode, FileNode>();
  for (const { path: name, node } of below) {
    const target = joinPath(path, name);
    if (node.kind === 'directory') {
      changes.setDirectory(target, owned(node, node.attributes, owner));
      continue;
    }
    const copy = copies.get(node) ?? copyOf(node, owner);
    copies.set(node, copy);
    changes.setFile(target, copy);
  }
}

function copyFile(
  changes: TreeChanges,
  { path: name, node }: { path: string; node: FileNode },
  path: string,
  isDirectoryName: boolean,
  owner: Identity | undefined,
): void {
  const isInto = isDirectoryName || changes.tree.lookup(path)?.kind === 'directory';
  const target = isInto ? joinPath(path, lastName(name)) : path;
  if (changes.tree.lookup(parentOf(target))?.kind === 'file') {
    if (isDirectoryName)
      throw new DaemonError(
        'Internal',
        `failed to create new directory: mkdir /${displayName(path)}: not a directory`,
      );
    throw new DaemonError('Internal', `lstat /${displayName(target)}: not a directory`);
  }
  changes.makeDirectories(parentOf(target), owner ?? {});
  changes.setFile(target, copyOf(node, owner));
}

/** A trailing slash is no part of a name, and `.` none at all. */
function lastName(name: string): string {
  let end = name.length;
  while (name.charAt(end - 1) === '/') end -= 1;
  const last = baseOf(name.slice(0, end));
  return last === '.' ? '' : last;
}

function copyOf(node: FileNode, owner: Identity | undefined): FileNode {
  return { ...node, attributes: owned(node, node.attributes, owner) };
}

/** As chown(2) leaves them: a file that changes hands is no longer set-uid, and has no capabilities. */
function owned(node: TreeNode, attributes: Attributes, owner: Identity | undefined): Attributes {
  if (owner === undefined) return attributes;
  if (node.kind === 'directory') return { ...attributes, ...owner };
  const { mode } = attributes;
  const cleared = 0o4000 | ((mode & 0o010) !== 0 ? 0o2000 : 0);
  const xattrs = new Map(attributes.xattrs);
  xattrs.delete('SCHILY.xattr.security.capability');
  return { ...attributes, ...owner, mode: node.type === '2' ? mode : mode & ~cleared, xattrs };
}
