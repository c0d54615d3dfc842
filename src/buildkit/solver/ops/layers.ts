// MergeOp and DiffOp: what they are on lists of layers.

import { joinPath, walk, type DirectoryNode, type FileNode, type TreeNode } from '../../../builder/file-tree';
import { TreeChanges } from '../../../builder/tree-changes';
import { BuildError } from '../../contract/errors';
import type { DiffOp, MergeOp } from '../../contract/llb';
import type { ContentDigests } from '../files/content-digests';
import type { Operation, RunContext, StepResult } from './operation';

/** One file system over the other: their layers one after the other, whose whiteouts hide what is below. */
export function mergeOperation(
  { inputs: indexes }: MergeOp,
  inputCount: number,
  keyBytes: Buffer,
): Operation {
  for (const { input } of indexes) requireInput(input, inputCount);
  return {
    name: 'merge',
    keyBytes,
    recordType: 'regular',
    isStep: false,
    selected: () => undefined,
    run: async (inputs, _context, signal) => {
      const lists = await Promise.all(indexes.map(({ input }) => layersOf(inputs[input], signal)));
      return { outputs: [lists.flat()] };
    },
  };
}

/** What makes `upper` of `lower`. */
export function diffOperation({ lower, upper }: DiffOp, inputCount: number, keyBytes: Buffer): Operation {
  for (const side of [lower, upper]) if (side !== undefined) requireInput(side.input, inputCount);
  return {
    name: 'diff',
    keyBytes,
    recordType: 'regular',
    isStep: false,
    selected: () => undefined,
    run: async (inputs, context, signal) => {
      const [below, above] = await Promise.all(
        [lower, upper].map((side) => layersOf(inputs[side?.input ?? -1], signal)),
      );
      return { outputs: [await layersBetween(below ?? [], above ?? [], context, signal)] };
    },
  };
}

async function layersBetween(
  lower: readonly string[],
  upper: readonly string[],
  { trees, digests, holds }: RunContext,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (lower.every((diffId, i) => upper[i] === diffId)) return upper.slice(lower.length);
  const changes = new TreeChanges(await trees.copyOf(lower));
  const wanted = await trees.of(upper);
  await new Comparison(changes, digests, signal).directory('', wanted.root);
  const diffId = await trees.store(changes, holds, signal);
  return diffId === undefined ? [] : [diffId];
}

class Comparison {
  readonly #changes: TreeChanges;
  readonly #digests: ContentDigests;
  readonly #signal: AbortSignal;
  readonly #copies = new Map<FileNode, FileNode>();

  constructor(changes: TreeChanges, digests: ContentDigests, signal: AbortSignal) {
    this.#changes = changes;
    this.#digests = digests;
    this.#signal = signal;
  }

  /** Makes what is there at the path what is wanted. */
  async directory(path: string, wanted: DirectoryNode): Promise<void> {
    const { tree } = this.#changes;
    const there = tree.lookup(path);
    const gone = there?.kind === 'directory' ? [...there.children.keys()] : [];
    for (const name of gone) if (!wanted.children.has(name)) this.#changes.remove(joinPath(path, name));
    for (const [name, node] of [...wanted.children].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const at = joinPath(path, name);
      const before = tree.lookup(at);
      if (before?.kind !== node.kind) {
        this.#put(at, node, before !== undefined);
      } else if (node.kind === 'directory') {
        await this.directory(at, node);
        // after what is in it, whose changes touch its times
        if (!sameAttributes(tree.lookup(at) ?? before, node)) this.#changes.setDirectory(at, node.attributes);
      } else if (!(await this.#isSameFile(before as FileNode, node))) this.#put(at, node, false); // of the same kind
    }
  }

  #put(at: string, node: TreeNode, replaces: boolean): void {
    if (replaces) this.#changes.remove(at);
    if (node.kind === 'file') {
      this.#changes.setFile(at, this.#copyOf(node));
      return;
    }
    this.#changes.setDirectory(at, node.attributes);
    for (const below of walk(node)) {
      const path = joinPath(at, below.path);
      if (below.node.kind === 'directory') this.#changes.setDirectory(path, below.node.attributes);
      else this.#changes.setFile(path, this.#copyOf(below.node));
    }
  }

  #copyOf(node: FileNode): FileNode {
    const copy = this.#copies.get(node) ?? { ...node };
    this.#copies.set(node, copy);
    return copy;
  }

  async #isSameFile(a: FileNode, b: FileNode): Promise<boolean> {
    if (!sameAttributes(a, b) || a.size !== b.size) return false;
    const digests = await Promise.all(
      [a, b].map((node) => this.#digests.of([{ path: '', node }], this.#signal)),
    );
    return digests[0] === digests[1];
  }
}

function sameAttributes(a: TreeNode, b: TreeNode): boolean {
  const [of, to] = [a.attributes, b.attributes];
  return (
    of.mode === to.mode &&
    of.uid === to.uid &&
    of.gid === to.gid &&
    of.mtime === to.mtime &&
    of.xattrs.size === to.xattrs.size &&
    [...of.xattrs].every(([key, value]) => to.xattrs.get(key)?.equals(value) === true)
  );
}

/** None: scratch. */
function layersOf(input: StepResult | undefined, signal: AbortSignal): Promise<readonly string[]> {
  return input === undefined ? Promise.resolve([]) : input.layers(signal);
}

/** -1 is scratch. */
function requireInput(index: number, inputCount: number): void {
  if (!Number.isInteger(index) || index < -1 || index >= inputCount)
    throw new BuildError('InvalidArgument', `invalid input index ${index}, ${inputCount} provided`);
}
