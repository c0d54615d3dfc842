// Changes to a file tree that are to become a layer: what was written, and which directories took another's place.

import { DaemonError } from '../errors';
import {
  baseOf,
  displayName,
  joinPath,
  newDirectory,
  parentOf,
  partsOf,
  type Attributes,
  type DirectoryNode,
  type FileNode,
  type FileTree,
  type TreeNode,
} from './file-tree';

/** Paths are without symbolic links, as `FileTree.resolve` gives them. */
export class TreeChanges {
  readonly tree: FileTree;
  /** Written here, and still there. */
  readonly #written = new Set<string>();
  /** Directories that something else took the place of: should one come back, the old content must stay hidden. */
  readonly #removed = new Set<string>();
  readonly #opaque = new Set<string>();
  /** Names that were not there before. */
  readonly #made = new Set<string>();
  /** Removed without anything in their place. */
  readonly #whiteouts = new Set<string>();
  /** Directories whose times are given, whatever is put into them. */
  readonly #dated = new Set<string>();

  constructor(tree: FileTree) {
    this.tree = tree;
  }

  get isEmpty(): boolean {
    return this.#written.size === 0 && this.#whiteouts.size === 0;
  }

  /** Paths that are hidden, in order of their names. */
  get whiteouts(): readonly string[] {
    return [...this.#whiteouts].sort();
  }

  isOpaque(path: string): boolean {
    return this.#opaque.has(path);
  }

  /** What the layer has, with the directories that lead there, parents first. */
  *entries(): Generator<{ path: string; node: TreeNode }, void, undefined> {
    const all = new Set<string>();
    for (const path of this.#written) {
      for (let at = path; at !== '' && !all.has(at); at = parentOf(at)) all.add(at);
    }
    for (const path of [...all].sort()) {
      const node = this.tree.lookup(path);
      if (node !== undefined) yield { path, node };
    }
  }

  /** Creates what is missing of the path. Throws `mkdir …: not a directory` in the words of Go. */
  makeDirectories(path: string, attributes: Partial<Attributes> = {}): DirectoryNode {
    let node = this.tree.root;
    let at = '';
    for (const part of partsOf(path)) {
      at = joinPath(at, part);
      let child = node.children.get(part);
      if (child === undefined) {
        child = newDirectory(attributes);
        node.children.set(part, child);
        this.#touch(parentOf(at));
        this.#note(at, child, undefined);
      }
      if (child.kind !== 'directory') throw notADirectory('mkdir', path);
      node = child;
    }
    return node;
  }

  /** Makes it a directory with these attributes; an existing one keeps its content. */
  setDirectory(path: string, attributes: Attributes): void {
    const parent = this.#parent(path);
    const name = baseOf(path);
    const before = parent.children.get(name);
    if (before?.kind !== 'directory') this.#touch(parentOf(path));
    this.#dated.add(path);
    const children = before?.kind === 'directory' ? before.children : new Map<string, TreeNode>();
    const node: DirectoryNode = { kind: 'directory', attributes, children };
    parent.children.set(name, node);
    this.#note(path, node, before);
  }

  /** Puts it in the place of whatever is there. */
  setFile(path: string, node: FileNode): void {
    const parent = this.#parent(path);
    const name = baseOf(path);
    const before = parent.children.get(name);
    if (before?.kind === 'directory') this.#forget(path);
    parent.children.set(name, node);
    this.#touch(parentOf(path));
    this.#note(path, node, before);
  }

  /** With all that is below it. Does nothing where nothing is. */
  remove(path: string): void {
    const parent = this.tree.lookup(parentOf(path));
    const name = baseOf(path);
    const before = parent?.kind === 'directory' ? parent.children.get(name) : undefined;
    if (parent?.kind !== 'directory' || before === undefined) return;
    parent.children.delete(name);
    this.#touch(parentOf(path));
    this.#forget(path);
    this.#written.delete(path);
    if (this.#made.delete(path)) this.#removed.delete(path);
    else {
      this.#whiteouts.add(path);
      this.#written.add(parentOf(path));
    }
  }

  /** As its file system does with a directory in which a name is made. */
  #touch(path: string): void {
    const node = this.tree.lookup(path);
    if (node?.kind !== 'directory' || this.#dated.has(path)) return;
    node.attributes = { ...node.attributes, mtime: newDirectory().attributes.mtime };
  }

  #parent(path: string): DirectoryNode {
    const parent = this.tree.lookup(parentOf(path));
    if (parent?.kind !== 'directory') throw notADirectory('lstat', path);
    return parent;
  }

  #note(path: string, node: TreeNode, before: TreeNode | undefined): void {
    if (before === undefined && !this.#whiteouts.delete(path)) this.#made.add(path);
    this.#written.add(path);
    if (node.kind === 'directory' && this.#removed.delete(path)) this.#opaque.add(path);
  }

  #forget(directory: string): void {
    this.#removed.add(directory);
    this.#opaque.delete(directory);
    for (const paths of [this.#written, this.#made, this.#whiteouts]) {
      for (const path of paths) if (path.startsWith(`${directory}/`)) paths.delete(path);
    }
  }
}

function notADirectory(operation: string, path: string): DaemonError {
  return new DaemonError('Internal', `${operation} /${displayName(path)}: not a directory`);
}
