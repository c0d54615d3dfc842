// Directories of clients as they were sent the last time: what did not change isn't asked for again.

import { rm } from 'node:fs/promises';
import type { FileNode, FileTree } from '../../../builder/file-tree';
import { log } from '../../../log';
import type { FileStat } from '../../contract/session';

/** Listings that are kept for the next build of the same directory. */
const maxKept = 32;
/** Files of contents that a listing may be spread over. */
const maxSpools = 8;

/** Contents, one after the other. The file is gone when nobody uses it any more. */
export class Spool {
  readonly path: string;
  #users = 1;

  constructor(path: string) {
    this.path = path;
  }

  hold(): void {
    this.#users += 1;
  }

  release(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    rm(this.path, { force: true }).catch((error: unknown) =>
      log.error('contents of a build context could not be removed', { path: this.path, error }),
    );
  }
}

/** A directory as it was sent. */
export class Listing {
  readonly tree: FileTree;
  readonly files: ReadonlyMap<string, { stat: FileStat; node: FileNode }>;
  readonly #spools: ReadonlyMap<string, Spool>;
  #users = 1;

  constructor(
    tree: FileTree,
    files: ReadonlyMap<string, { stat: FileStat; node: FileNode }>,
    spools: ReadonlyMap<string, Spool>,
  ) {
    this.tree = tree;
    this.files = files;
    this.#spools = spools;
  }

  /** Of contents that are in few enough files to go on with. */
  get isReusable(): boolean {
    return this.#spools.size < maxSpools;
  }

  spoolOf({ data }: FileNode): Spool | undefined {
    return data?.archive.kind === 'file' ? this.#spools.get(data.archive.path) : undefined;
  }

  hold(): this {
    this.#users += 1;
    return this;
  }

  release(): void {
    this.#users -= 1;
    if (this.#users === 0) for (const spool of this.#spools.values()) spool.release();
  }
}

export class KeptListings {
  /** In order of their last use. */
  readonly #kept = new Map<string, Listing>();

  /** Held for the caller. */
  take(key: string): Listing | undefined {
    return this.#kept.get(key)?.hold();
  }

  keep(key: string, listing: Listing): void {
    this.#kept.get(key)?.release();
    this.#kept.delete(key);
    this.#kept.set(key, listing.hold());
    for (const [old, unused] of this.#kept) {
      if (this.#kept.size <= maxKept) return;
      unused.release();
      this.#kept.delete(old);
    }
  }
}
