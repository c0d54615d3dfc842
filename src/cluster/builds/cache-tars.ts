// Cache mounts on a cluster: between steps their files are a tar on the daemon's disk, since no disk can go from node to node.

import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { CacheDisks } from '../../buildkit/contract/host';
import { systemErrorCode } from '../../errors';

export class CacheTars implements CacheDisks {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  async create(id: string): Promise<string> {
    const path = join(this.#root, id);
    await mkdir(path, { recursive: true, mode: 0o700 });
    return path;
  }

  async usageBytes(id: string): Promise<number> {
    const names = await readdir(join(this.#root, id)).catch(() => []);
    const sizes = await Promise.all(names.map((name) => stat(join(this.#root, id, name))));
    return sizes.reduce((sum, { blocks }) => sum + blocks * 512, 0);
  }

  async remove(id: string): Promise<void> {
    await rm(join(this.#root, id), { recursive: true, force: true });
  }

  async keepOnly(ids: ReadonlySet<string>): Promise<void> {
    for (const id of await readdir(this.#root).catch(() => [])) if (!ids.has(id)) await this.remove(id);
  }
}

/** A cache is larger than it may be. */
export class CacheTooLarge extends Error {}

/** What `path`, of `CacheTars.create`, has of the directory that is mounted; undefined: nothing yet. */
export async function openCache(path: string, selector: string): Promise<Readable | undefined> {
  const file = tarOf(path, selector);
  try {
    await stat(file);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  return createReadStream(file, { highWaterMark: 1 << 18 });
}

/** All of the tar, or what there was before. Throws CacheTooLarge. */
export async function keepCache(
  path: string,
  selector: string,
  tar: Readable,
  maxBytes: number,
): Promise<void> {
  const file = tarOf(path, selector);
  const unfinished = `${file}.new`;
  let bytes = 0;
  const bounded = async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw new CacheTooLarge(`it has more than ${maxBytes} bytes`);
      yield chunk;
    }
  };
  try {
    await pipeline(tar, bounded, createWriteStream(unfinished, { mode: 0o600 }));
    await rename(unfinished, file);
  } finally {
    await rm(unfinished, { force: true });
  }
}

function tarOf(path: string, selector: string): string {
  return join(path, `${createHash('sha256').update(selector).digest('hex').slice(0, 16)}.tar`);
}
