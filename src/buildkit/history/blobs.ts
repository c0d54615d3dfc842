// What records of builds refer to, by digest: logs, errors. Files of one directory.

import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

const digestPattern = /^sha256:([0-9a-f]{64})$/;

export interface Descriptor {
  readonly media_type: string;
  readonly digest: string;
  readonly size: number;
}

export interface BlobInfo {
  readonly size: number;
  readonly createdAtMs: number;
}

export class Blobs {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** It is whole, or not there. */
  async put(mediaType: string, parts: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Descriptor> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const draft = join(this.#directory, `draft-${randomBytes(8).toString('hex')}`);
    const hash = createHash('sha256');
    let size = 0;
    try {
      const file = await open(draft, 'wx', 0o600);
      try {
        for await (const part of parts) {
          hash.update(part);
          size += part.length;
          await file.appendFile(part);
        }
      } finally {
        await file.close();
      }
      const hex = hash.digest('hex');
      await rename(draft, join(this.#directory, hex));
      return { media_type: mediaType, digest: `sha256:${hex}`, size };
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
  }

  async info(digest: string): Promise<BlobInfo | undefined> {
    const path = this.#path(digest);
    if (path === undefined) return undefined;
    try {
      const { size, birthtimeMs } = await stat(path);
      return { size, createdAtMs: birthtimeMs };
    } catch {
      return undefined;
    }
  }

  /** Bytes from `offset` up to `end`, which is not included. */
  async *read(digest: string, offset: number, end: number): AsyncGenerator<Buffer, void, undefined> {
    const path = this.#path(digest);
    if (path === undefined || end <= offset) return;
    yield* createReadStream(path, { start: offset, end: end - 1 }) as AsyncIterable<Buffer>;
  }

  /** Digests of all that is whole. */
  async list(): Promise<string[]> {
    const names = await readdir(this.#directory).catch(() => []);
    return names.map((name) => `sha256:${name}`).filter((digest) => digestPattern.test(digest));
  }

  async remove(digest: string): Promise<void> {
    const path = this.#path(digest);
    if (path !== undefined) await rm(path, { force: true });
  }

  /** Removes what is not of these: left by a daemon that was killed. */
  async keepOnly(digests: ReadonlySet<string>): Promise<void> {
    const names = await readdir(this.#directory).catch(() => []);
    for (const name of names)
      if (!digests.has(`sha256:${name}`)) await rm(join(this.#directory, name), { force: true });
  }

  #path(digest: string): string | undefined {
    const [, hex] = digestPattern.exec(digest) ?? [];
    return hex === undefined ? undefined : join(this.#directory, hex);
  }
}
