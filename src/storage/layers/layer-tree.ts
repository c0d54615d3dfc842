// The tree that unpacking a layer entry by entry would make, without unpacking it. For the rare layer that can't be
// rewritten as it comes: one whose names repeat, or lead through symbolic links of its own.

import { TarError } from '../tar/tar-header';

/** Where an entry of the layer ends up, or the name to which a hard link leads. */
export interface PlannedEntry {
  name: string;
  link: string;
}

/** By number (from 0) of the entries that are left in the end. */
export type LayerPlan = ReadonlyMap<number, PlannedEntry>;

interface TreeNode {
  kind: 'directory' | 'symlink' | 'whiteout' | 'other';
  /** Of its entry; -1 for a directory that none describes. */
  number: number;
  /** Of a symbolic link. */
  target: string;
  /** Of a hard link. */
  linked: TreeNode | undefined;
  children: Map<string, TreeNode>;
}

export interface TreeEntry {
  number: number;
  /** `a/b`: relative, without dots. */
  name: string;
  type: string;
  link: string;
  isWhiteout: boolean;
}

const maxSymlinks = 40;

export class LayerTree {
  readonly #root = newNode('directory', -1);

  /** Puts an entry where the earlier ones make its name lead. Throws what unpacking it would end with. */
  add(entry: TreeEntry): void {
    const parts = entry.name.split('/');
    const base = parts.pop() ?? '';
    const parent = this.#walk(parts, `${entry.type === '5' ? 'mkdir' : 'open'} /${entry.name}`, true);
    const existing = parent.children.get(base);
    if (entry.type === '5' && !entry.isWhiteout) {
      if (existing?.kind === 'directory') existing.number = entry.number;
      else parent.children.set(base, newNode('directory', entry.number));
      return;
    }
    const node = newNode(
      entry.isWhiteout ? 'whiteout' : entry.type === '2' ? 'symlink' : 'other',
      entry.number,
      entry.link,
    );
    if (entry.type === '1' && !entry.isWhiteout) node.linked = this.#linked(entry);
    parent.children.set(base, node);
  }

  plan(): LayerPlan {
    const names = new Map<TreeNode, string>();
    const visit = (directory: TreeNode, path: string): void => {
      for (const [base, node] of directory.children) {
        const name = path === '' ? base : `${path}/${base}`;
        names.set(node, name);
        visit(node, name);
      }
    };
    visit(this.#root, '');
    const plan = new Map<number, PlannedEntry>();
    for (const [node, name] of names) {
      if (node.number < 0) continue;
      const link = node.linked === undefined ? node.target : names.get(node.linked);
      // Its first name was given to something else: dockerd refuses every layer with such names.
      if (link === undefined) throw new TarError('duplicates of file paths not supported');
      plan.set(node.number, { name, link });
    }
    return plan;
  }

  #linked({ name, link }: TreeEntry): TreeNode {
    const context = `link /${link} /${name}`;
    const parts = link.split('/');
    const base = parts.pop() ?? '';
    const node = this.#walk(parts, context, false).children.get(base);
    if (link === '') throw new TarError(`${context}: operation not permitted`);
    if (node === undefined) throw new TarError(`${context}: no such file or directory`);
    if (node.kind === 'directory') throw new TarError(`${context}: operation not permitted`);
    return node.linked ?? node;
  }

  /** The directory that a path leads to; symbolic links never lead out of the root. */
  #walk(path: readonly string[], context: string, create: boolean): TreeNode {
    const stack = [this.#root];
    const left = [...path].reverse();
    let symlinks = 0;
    let mayCreate = create;
    for (let part = left.pop(); part !== undefined; part = left.pop()) {
      const here = stack.at(-1) ?? this.#root;
      if (part === '' || part === '.') continue;
      if (part === '..') {
        if (stack.length > 1) stack.pop();
        continue;
      }
      let next = here.children.get(part);
      if (next === undefined) {
        if (!mayCreate) throw new TarError(`${context}: no such file or directory`);
        next = newNode('directory', -1);
        here.children.set(part, next);
      }
      if (next.kind === 'symlink') {
        symlinks += 1;
        if (symlinks > maxSymlinks) throw new TarError(`${context}: too many levels of symbolic links`);
        if (next.target.startsWith('/')) stack.splice(1);
        left.push(...next.target.split('/').reverse());
        mayCreate = false; // what a link leads to has to be there
      } else if (next.kind !== 'directory') throw new TarError(`${context}: not a directory`);
      else stack.push(next);
      if (left.length > 4096) throw new TarError(`${context}: file name too long`);
    }
    return stack.at(-1) ?? this.#root;
  }
}

function newNode(kind: TreeNode['kind'], number: number, target = ''): TreeNode {
  return { kind, number, target, linked: undefined, children: new Map() };
}
