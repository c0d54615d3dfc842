// Stops what writes to the host's disk before that is full: a small archive can unpack to anything.

import { statfs } from 'node:fs/promises';
import { TarError } from '../tar/tar-header';

/** Left free for everything else: a twentieth of a small disk, at most this much of a large one. */
const maxReservedBytes = 1024 * 1024 * 1024;
const reservedPart = 0.05;
const checkEveryBytes = 64 * 1024 * 1024;

export class SpaceGuard {
  readonly #directory: string;
  #unchecked = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Counts what is written; calls back with an error when the disk has no more room for it. */
  use(bytes: number, done: (error: Error | null) => void): void {
    this.#unchecked += bytes;
    if (this.#unchecked < checkEveryBytes) {
      done(null);
      return;
    }
    this.#unchecked = 0;
    freeBytes(this.#directory).then((free) => done(free > 0 ? null : noSpace()), done);
  }
}

/** Bytes that may still be written in a directory. */
export async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize, blocks } = await statfs(directory);
  return bavail * bsize - Math.min(maxReservedBytes, blocks * bsize * reservedPart);
}

export function noSpace(): TarError {
  return new TarError('write: no space left on device');
}
