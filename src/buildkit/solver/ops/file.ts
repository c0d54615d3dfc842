// FileOp: copies, files, directories and removals, worked out on trees and stored as one layer for each output.

import { randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unpackable } from '../../../builder/copy-step';
import {
  displayName,
  joinPath,
  newDirectory,
  parentOf,
  toName,
  type Attributes,
  type FileNode,
  type FileTree,
} from '../../../builder/file-tree';
import { TreeChanges } from '../../../builder/tree-changes';
import { hasWildcards } from '../../../go/path-match';
import { BuildError } from '../../contract/errors';
import type {
  ChownOpt,
  FileAction,
  FileActionMkDir,
  FileActionMkFile,
  FileActionRm,
  FileActionSymlink,
  FileOp,
} from '../../contract/llb';
import type { SelectedFile } from '../files/content-digests';
import {
  cleanPath,
  copiedFiles,
  copyFiles,
  makeDirectories,
  matchesOf,
  MissingSource,
  secondsOf,
} from './copy';
import { FailedRun } from './failed-run';
import type { Operation, OperationOutput, RunContext, StepResult } from './operation';
import { ownerOf } from './owner';

const maxActions = 10_000;

/** Throws InvalidArgument for actions that use what isn't there. */
export function fileOperation(op: FileOp, inputCount: number, keyBytes: Buffer): Operation {
  checkActions(op, inputCount);
  return {
    name: op.actions.map(nameOf).join(', ').slice(0, 1024),
    keyBytes,
    recordType: 'regular',
    isStep: false,
    selected: (input, tree) => selectedFiles(op, input, tree),
    run: (inputs, context, signal) => runActions(op, inputs, context, signal),
  };
}

function checkActions({ actions }: FileOp, inputCount: number): void {
  if (actions.length === 0 || actions.length > maxActions)
    throw new BuildError('InvalidArgument', `invalid file operation of ${actions.length} actions`);
  for (const [i, { action, input, secondaryInput }] of actions.entries()) {
    if (action === undefined) throw new BuildError('InvalidArgument', 'invalid file action');
    const available = inputCount + i;
    for (const index of [input, secondaryInput]) {
      if (!Number.isInteger(index) || index < -1 || index >= available)
        throw new BuildError('InvalidArgument', `invalid input index ${index}, ${available} provided`);
    }
  }
  const outputs = actions.map(({ output }) => output).filter((output) => output !== -1);
  if (
    outputs.some((output) => output < 0 || output >= outputs.length) ||
    new Set(outputs).size !== outputs.length
  )
    throw new BuildError('InvalidArgument', 'invalid outputs of a file operation');
}

function nameOf({ action }: FileAction): string {
  switch (action?.kind) {
    case undefined:
      return 'file';
    case 'copy':
      return `copy ${action.value.src} ${action.value.dest}`;
    case 'mkfile':
      return `mkfile ${action.value.path}`;
    case 'mkdir':
      return `mkdir ${action.value.path}`;
    case 'rm':
      return `rm ${action.value.path}`;
    case 'symlink':
      return `symlink ${action.value.newpath} -> ${action.value.oldpath}`;
  }
}

/** An input that is only copied from counts by the files that the copies take. */
function selectedFiles(
  op: FileOp,
  input: number,
  tree: () => Promise<FileTree>,
): Promise<readonly SelectedFile[]> | undefined {
  const isBase = op.actions.some(({ input: base, action }) => base === input || namesUserOf(action, input));
  if (isBase) return undefined;
  const copies = op.actions.flatMap(({ action, secondaryInput }) =>
    action?.kind === 'copy' && secondaryInput === input ? [action.value] : [],
  );
  return tree().then((files) =>
    copies.flatMap((copy, i) =>
      copiedFiles(files, copy).map(({ path, node }) => ({ path: `${i}:${path}`, node })),
    ),
  );
}

function namesUserOf(action: FileAction['action'], input: number): boolean {
  const owner = action === undefined || action.kind === 'rm' ? undefined : action.value.owner;
  return [owner?.user, owner?.group].some(
    (option) => option?.user?.kind === 'byName' && option.user.value.input === input,
  );
}

/** The files at one point of the operation: layers, and changes that are none yet. */
interface FileState {
  layers: readonly string[];
  changes: TreeChanges | undefined;
}

async function runActions(
  op: FileOp,
  inputs: readonly StepResult[],
  context: RunContext,
  signal: AbortSignal,
): Promise<OperationOutput> {
  const workDir = join(context.host.temporaryDir, `file-op-${randomBytes(6).toString('hex')}`);
  await mkdir(workDir, { mode: 0o700 });
  try {
    return await new ActionRun(op, inputs, context, workDir, signal).run();
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

class ActionRun {
  readonly #op: FileOp;
  readonly #inputs: readonly StepResult[];
  readonly #context: RunContext;
  readonly #workDir: string;
  readonly #signal: AbortSignal;
  /** Of actions, by their place. */
  readonly #states: FileState[] = [];

  constructor(
    op: FileOp,
    inputs: readonly StepResult[],
    context: RunContext,
    workDir: string,
    signal: AbortSignal,
  ) {
    this.#op = op;
    this.#inputs = inputs;
    this.#context = context;
    this.#workDir = workDir;
    this.#signal = signal;
  }

  async run(): Promise<OperationOutput> {
    const outputs: (readonly string[])[] = [];
    for (const [index, action] of this.#op.actions.entries()) {
      this.#signal.throwIfAborted();
      const state = await this.#base(action.input);
      this.#states.push(state);
      try {
        await this.#apply(
          action,
          state.changes ?? new TreeChanges(await this.#context.trees.copyOf(state.layers)),
        );
      } catch (error) {
        throw error instanceof BuildError ? await this.#failed(error, index) : error;
      }
      if (action.output >= 0) outputs[action.output] = await this.#outputOf(state, action.input);
    }
    return { outputs };
  }

  /** With what the actions have made, those that were done and the one that was not. */
  async #failed(error: BuildError, index: number): Promise<BuildError> {
    const mounts: (readonly string[] | undefined)[] = [];
    for (const i of this.#op.actions.keys()) {
      const state = this.#states[i];
      mounts.push(state === undefined ? undefined : await this.#layersOf(state));
    }
    return new FailedRun(error, { inputs: this.#inputs, mounts, at: { kind: 'file', index } });
  }

  /** A state of its own to change. Changes of an action that nothing else uses are gone on with. */
  async #base(index: number): Promise<FileState> {
    const { trees } = this.#context;
    if (index < 0) return { layers: [], changes: new TreeChanges(await trees.copyOf([])) };
    const before = this.#states[index - this.#inputs.length];
    if (before !== undefined && this.#usesOf(index) === 1) return before;
    const layers = await this.#layersAt(index);
    return { layers, changes: new TreeChanges(await trees.copyOf(layers)) };
  }

  #usesOf(index: number): number {
    const uses = this.#op.actions.reduce(
      (sum, { input, secondaryInput, action }) =>
        sum + Number(input === index) + Number(secondaryInput === index) + Number(namesUserOf(action, index)),
      0,
    );
    const isOutput = (this.#op.actions[index - this.#inputs.length]?.output ?? -1) >= 0;
    return uses + Number(isOutput);
  }

  /** More than what it began with, be it an empty layer. */
  async #outputOf(state: FileState, base: number): Promise<readonly string[]> {
    const { trees, holds } = this.#context;
    const layers = await this.#layersOf(state);
    const before = await this.#depthOf(base);
    return layers.length > before ? layers : [...layers, await trees.storeEmpty(holds, this.#signal)];
  }

  /** Layers of the input that a chain of actions began with. */
  async #depthOf(index: number): Promise<number> {
    let at = index;
    while (at >= this.#inputs.length) at = this.#op.actions[at - this.#inputs.length]?.input ?? -1;
    return at < 0 ? 0 : (await this.#layersAt(at)).length;
  }

  async #layersAt(index: number): Promise<readonly string[]> {
    const state = this.#states[index - this.#inputs.length];
    if (state !== undefined) return this.#layersOf(state);
    return (await this.#inputs[index]?.layers(this.#signal)) ?? [];
  }

  async #layersOf(state: FileState): Promise<readonly string[]> {
    if (state.changes !== undefined) {
      const { trees, holds } = this.#context;
      const diffId = await trees.store(state.changes, holds, this.#signal);
      state.layers = diffId === undefined ? state.layers : [...state.layers, diffId];
      state.changes = undefined;
    }
    return state.layers;
  }

  /** Not to be changed. */
  async #treeAt(index: number): Promise<FileTree> {
    const input = this.#inputs[index];
    if (input !== undefined) return input.tree(this.#signal);
    return this.#context.trees.of(index < 0 ? [] : await this.#layersAt(index));
  }

  async #apply({ action, secondaryInput }: FileAction, changes: TreeChanges): Promise<void> {
    const { trees } = this.#context;
    switch (action?.kind) {
      case undefined:
        return;
      case 'copy': {
        const tree = await this.#treeAt(secondaryInput);
        const owner = await this.#owner(action.value.owner);
        const tools = { layers: trees.layers, workDir: this.#workDir, signal: this.#signal, zstd: true };
        try {
          await copyFiles(changes, tree, action.value, { owner, unpack: (file) => unpackable(file, tools) });
        } catch (error) {
          throw error instanceof MissingSource ? noSuchFile(error.path) : error;
        }
        return;
      }
      case 'mkfile': {
        const { data } = action.value;
        const path = join(this.#workDir, `file-${randomBytes(6).toString('hex')}`);
        if (data.length > 0) await writeFile(path, data, { mode: 0o600 });
        makeFile(changes, action.value, await this.#attributes(action.value), path);
        return;
      }
      case 'mkdir':
        makeDirectory(changes, action.value, await this.#attributes(action.value));
        return;
      case 'rm':
        remove(changes, action.value);
        return;
      case 'symlink':
        makeLink(changes, action.value, await this.#attributes({ ...action.value, mode: 0o777 }));
        return;
    }
  }

  #owner(owner: ChownOpt | undefined): ReturnType<typeof ownerOf> {
    return ownerOf(owner, (index) => this.#treeAt(index), this.#context.trees.layers);
  }

  async #attributes(action: Pick<FileActionMkDir, 'mode' | 'owner' | 'timestamp'>): Promise<Attributes> {
    const { attributes } = newDirectory({ mode: action.mode & 0o7777, ...(await this.#owner(action.owner)) });
    return { ...attributes, mtime: secondsOf(action.timestamp) ?? attributes.mtime };
  }
}

function makeFile(
  changes: TreeChanges,
  action: FileActionMkFile,
  attributes: Attributes,
  contentPath: string,
): void {
  const path = changes.tree.resolve(toName(cleanPath(action.path)));
  requireParent(changes.tree, path, 'open');
  if (changes.tree.lookup(path)?.kind === 'directory' || path === '')
    throw new BuildError('Unknown', `open /${displayName(path)}: is a directory`);
  const size = action.data.length;
  const data =
    size === 0
      ? undefined
      : {
          archive: { kind: 'file' as const, path: contentPath },
          offset: 0,
          storedBytes: size,
          sparse: undefined,
        };
  changes.setFile(path, fileOf(attributes, { type: '0', size, data }));
}

function makeDirectory(changes: TreeChanges, action: FileActionMkDir, attributes: Attributes): void {
  const path = changes.tree.resolve(toName(cleanPath(action.path)));
  const there = changes.tree.lookup(path);
  if (action.makeParents) {
    const { mode, uid, gid, mtime } = attributes;
    makeDirectories(changes, path, { mode, uid, gid, mtime });
    return;
  }
  if (there?.kind === 'directory') return;
  requireParent(changes.tree, path, 'mkdir');
  if (there !== undefined) throw new BuildError('Unknown', `mkdir /${displayName(path)}: file exists`);
  changes.setDirectory(path, attributes);
}

function makeLink(changes: TreeChanges, action: FileActionSymlink, attributes: Attributes): void {
  const path = changes.tree.resolve(toName(cleanPath(action.newpath)), { keepLast: true });
  requireParent(changes.tree, path, 'symlink');
  if (changes.tree.lookup(path) !== undefined)
    throw new BuildError('Unknown', `symlink ${action.oldpath} /${displayName(path)}: file exists`);
  changes.setFile(path, fileOf(attributes, { type: '2', link: toName(action.oldpath) }));
}

function remove(changes: TreeChanges, action: FileActionRm): void {
  const given = toName(cleanPath(action.path).replace(/\/$/, ''));
  const { tree } = changes;
  const isPattern = action.allowWildcard && hasWildcards(displayName(given));
  for (const path of isPattern ? matchesOf(tree, given, true) : [given]) {
    const parent = tree.resolve(parentOf(path));
    const name = path.slice(path.lastIndexOf('/') + 1);
    const directory = tree.lookup(parent);
    if (directory?.kind === 'directory' && directory.children.has(name))
      changes.remove(joinPath(parent, name));
    else if (!isPattern && !action.allowNotFound) throw noSuchFile(`/${displayName(given)}`);
  }
}

function noSuchFile(path: string): BuildError {
  return new BuildError('NotFound', `lstat ${path}: no such file or directory`);
}

function requireParent(tree: FileTree, path: string, operation: string): void {
  const parent = tree.lookup(parentOf(path));
  if (parent?.kind === 'directory') return;
  const reason = parent === undefined ? 'no such file or directory' : 'not a directory';
  throw new BuildError('Unknown', `${operation} /${displayName(path)}: ${reason}`);
}

function fileOf(attributes: Attributes, more: Partial<FileNode>): FileNode {
  const plain = { kind: 'file' as const, type: '0', link: '', deviceMajor: 0, deviceMinor: 0, size: 0 };
  return { ...plain, attributes, data: undefined, ...more };
}
