// The copy action: which files its source names, and how they come into another tree. By the rules of BuildKit's copies
// (LLB FileActionCopy), which are not those of the classic builder.

import {
  baseOf,
  displayName,
  joinPath,
  parentOf,
  partsOf,
  toName,
  walk,
  type Attributes,
  type DirectoryNode,
  type FileNode,
  type FileTree,
  type TreeNode,
} from '../../../builder/file-tree';
import { applyArchive, type ArchivedEntry } from '../../../builder/archive-tree';
import type { Identity } from '../../../builder/copy';
import type { TreeChanges } from '../../../builder/tree-changes';
import type { Archive } from '../../../builder/file-tree';
import { hasWildcards, pathMatcher } from '../../../go/path-match';
import { BuildError } from '../../contract/errors';
import type { FileActionCopy } from '../../contract/llb';
import type { SelectedFile } from '../files/content-digests';
import { PatternList } from '../../llb/patterns';
import { parseMode } from './symbolic-mode';

/** What a source path stands for. */
export interface CopySource {
  /** As it was named, without wildcards; no slash at its ends. */
  readonly path: string;
  readonly node: TreeNode;
}

export interface CopySettings {
  /** Undefined: files keep their owners. */
  readonly owner: Identity | undefined;
  /** The archive that a file is; undefined where it is none, or none is wanted. */
  readonly unpack: (file: FileNode) => Promise<{ entries: ArchivedEntry[]; archive: Archive } | undefined>;
}

/** In the order of a walk. Throws NotFound for what isn't there, unless the action allows that. */
export function copySources(tree: FileTree, action: FileActionCopy): CopySource[] {
  const given = toName(cleanPath(action.src));
  const names =
    action.allowWildcard && hasWildcards(given) ? matchesOf(tree, given, action.followSymlink) : [given];
  if (names.length === 0 && !action.allowEmptyWildcard) throw notFound(action.src);
  return names.map((path) => {
    const node = tree.lookup(tree.resolve(path, { keepLast: !action.followSymlink }));
    if (node === undefined) throw notFound(path === given ? action.src : displayName(path));
    return { path, node };
  });
}

/** All files that the action would take, by names within its source: what counts in its key. */
export function copiedFiles(tree: FileTree, action: FileActionCopy): SelectedFile[] {
  const included = filterOf(action);
  return copySources(tree, action).flatMap(({ path, node }) => {
    const root = { path, node };
    if (node.kind === 'file') return [root];
    const below = [...included(node)];
    requirePaths(action, below);
    return [root, ...below.map((file) => ({ path: joinPath(path, file.path), node: file.node }))];
  });
}

/** Throws BuildError in BuildKit's words. */
export async function copyFiles(
  changes: TreeChanges,
  tree: FileTree,
  action: FileActionCopy,
  settings: CopySettings,
): Promise<void> {
  const copy = new Copy(changes, action, settings.owner);
  if (!action.createDestPath) copy.requireParent();
  for (const source of copySources(tree, action)) {
    const archive =
      action.attemptUnpackDockerCompatibility && source.node.kind === 'file'
        ? await settings.unpack(source.node)
        : undefined;
    if (archive === undefined) copy.add(source);
    else copy.unpack(archive);
  }
}

class Copy {
  readonly #changes: TreeChanges;
  readonly #action: FileActionCopy;
  readonly #owner: Identity | undefined;
  readonly #mtime: number | undefined;
  readonly #mode: ((mode: number, isDirectory: boolean) => number) | undefined;
  readonly #included: ReturnType<typeof filterOf>;
  /** Names of one file stay names of one file. */
  readonly #copies = new Map<FileNode, FileNode>();

  constructor(changes: TreeChanges, action: FileActionCopy, owner: Identity | undefined) {
    this.#changes = changes;
    this.#action = action;
    this.#owner = owner;
    this.#mtime = secondsOf(action.timestamp);
    if (action.modeStr !== '') this.#mode = parseMode(action.modeStr);
    else if (action.mode !== -1) this.#mode = () => action.mode & 0o7777;
    this.#included = filterOf(action);
  }

  requireParent(): void {
    const parent = toName(parentOf(cleanPath(this.#action.dest).replace(/\/$/, '')));
    if (this.#changes.tree.find(parent) !== undefined) return;
    throw new BuildError('NotFound', `failed to stat /${displayName(parent)}: no such file or directory`);
  }

  unpack({ entries, archive }: { entries: ArchivedEntry[]; archive: Archive }): void {
    const destination = this.#changes.tree.resolve(toName(cleanPath(this.#action.dest)));
    this.#makeDirectories(destination);
    const owned = entries.map((item) => ({ ...item, entry: { ...item.entry, ...this.#owner } }));
    applyArchive(this.#changes, destination, owned, archive);
  }

  add({ path, node }: CopySource): void {
    const { tree } = this.#changes;
    const cleaned = toName(cleanPath(this.#action.dest));
    if (cleaned.endsWith('/')) this.#makeDirectories(tree.resolve(cleaned));
    let target = tree.resolve(cleaned);
    const there = tree.lookup(target);
    const isInto =
      node.kind === 'directory'
        ? !this.#action.dirCopyContents && there !== undefined
        : there?.kind === 'directory';
    if (isInto) target = joinPath(target, baseOf(path));
    this.#makeDirectories(parentOf(target));
    if (node.kind === 'directory') this.#addDirectory(node, target);
    else this.#addFile(node, target);
  }

  #addDirectory(source: DirectoryNode, target: string): void {
    // taken before the first change: a directory may be copied into itself
    const below = [...this.#included(source)];
    requirePaths(this.#action, below);
    const before = this.#changes.tree.lookup(target);
    if (before?.kind !== 'directory') {
      this.#makeRoom(target, true);
      this.#changes.setDirectory(target, this.#attributes(source));
    }
    for (const { path, node } of below) {
      const at = joinPath(target, path);
      if (node.kind === 'file') this.#addFile(node, at);
      else {
        this.#makeRoom(at, true);
        this.#changes.setDirectory(at, this.#attributes(node));
      }
    }
  }

  #addFile(source: FileNode, target: string): void {
    this.#makeRoom(target, false);
    const copy = this.#copies.get(source) ?? { ...source, attributes: this.#attributes(source) };
    this.#copies.set(source, copy);
    this.#changes.setFile(target, copy);
  }

  /** What is there and may not stay, where the action says that it is replaced. */
  #makeRoom(target: string, forDirectory: boolean): void {
    const before = this.#changes.tree.lookup(target);
    if (before === undefined || (before.kind === 'directory') === forDirectory) return;
    if (this.#action.alwaysReplaceExistingDestPaths) this.#changes.remove(target);
    else if (forDirectory) throw failed(`cannot copy to non-directory: /${displayName(target)}`);
    else throw failed(`cannot replace to directory /${displayName(target)} with file`);
  }

  #makeDirectories(path: string): void {
    makeDirectories(this.#changes, path, {
      ...this.#owner,
      ...(this.#mtime === undefined ? {} : { mtime: this.#mtime }),
    });
  }

  #attributes(node: TreeNode): Attributes {
    const { attributes } = node;
    const isLink = node.kind === 'file' && node.type === '2';
    const mode =
      isLink || this.#mode === undefined
        ? attributes.mode
        : this.#mode(attributes.mode, node.kind === 'directory');
    return { ...attributes, ...this.#owner, mode, mtime: this.#mtime ?? attributes.mtime };
  }
}

/** Creates what is missing of a path without links. Throws in Go's words. */
export function makeDirectories(changes: TreeChanges, path: string, attributes: Partial<Attributes>): void {
  const parts = partsOf(path);
  for (let i = 1; i <= parts.length; i += 1) {
    const at = parts.slice(0, i).join('/');
    if (changes.tree.lookup(at)?.kind === 'file') throw failed(`mkdir /${displayName(at)}: not a directory`);
  }
  changes.makeDirectories(path, attributes);
}

/** Whole seconds of nanoseconds; -1 is none. */
export function secondsOf(timestampNs: bigint): number | undefined {
  return timestampNs < 0n ? undefined : Number(timestampNs / 1_000_000_000n);
}

/** Below the root, `.` and `..` gone, without a slash at its beginning; one at its end says that it's a directory. */
export function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  const isDirectory = /\/\.?$/.test(path) && parts.length > 0;
  return parts.join('/') + (isDirectory ? '/' : '');
}

/** What is below a directory by the action's patterns, parents first: of directories, those that are taken or lead to what is. */
function filterOf(action: FileActionCopy): (directory: DirectoryNode) => Iterable<SelectedFile> {
  const include = new PatternList(action.include_patterns);
  const exclude = new PatternList(action.exclude_patterns);
  if (include.isEmpty && exclude.isEmpty) return (directory) => walk(directory);
  return function* (directory) {
    const leading: SelectedFile[] = [];
    for (const file of walk(directory)) {
      while (leading.length > 0 && !file.path.startsWith(`${leading.at(-1)?.path ?? ''}/`)) leading.pop();
      const shown = displayName(file.path);
      const isTaken = (include.isEmpty || include.matches(shown)) && !exclude.matches(shown);
      if (isTaken) yield* [...leading.splice(0), file];
      else if (file.node.kind === 'directory') leading.push(file);
    }
  };
}

function requirePaths(action: FileActionCopy, files: readonly SelectedFile[]): void {
  for (const path of action.required_paths) {
    const matches = pathMatcher(cleanPath(path).replace(/\/$/, ''));
    if (!files.some((file) => matches(displayName(file.path)))) throw notFound(path);
  }
}

/** As Go's filepath.Match would over a walk; what is in a directory that matches isn't looked at. */
export function matchesOf(tree: FileTree, pattern: string, followLinks: boolean): string[] {
  const parts = pattern.replace(/\/$/, '').split('/');
  const first = parts.findIndex(hasWildcards);
  const prefix = parts.slice(0, first).join('/');
  const base = tree.lookup(tree.resolve(prefix, { keepLast: !followLinks }));
  if (base?.kind !== 'directory') return [];
  // each level has one part of the pattern
  let found: { path: string; node: TreeNode }[] = [{ path: prefix, node: base }];
  for (const part of parts.slice(first)) {
    const matches = pathMatcher(displayName(part));
    found = found.flatMap(({ path, node }) =>
      node.kind === 'file'
        ? []
        : [...node.children]
            .filter(([name]) => matches(displayName(name)))
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([name, child]) => ({ path: joinPath(path, name), node: child })),
    );
  }
  return found.map(({ path }) => path);
}

function notFound(path: string): MissingSource {
  return new MissingSource(`/${cleanPath(path).replace(/\/$/, '')}`);
}

/** Of what a copy takes: named differently by who looks for its key and by who copies. */
export class MissingSource extends BuildError {
  readonly path: string;

  constructor(path: string) {
    super('NotFound', `"${path}": not found`);
    this.path = path;
  }
}

function failed(reason: string): BuildError {
  return new BuildError('Unknown', reason);
}
