// Small files of the daemon's machine that containers have read-only (Compose's configs and secrets): they travel as Secrets.

import { createHash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { DaemonError, errorMessage } from '../../errors';
import type { ClusterRecord } from '../contract/cluster-record';

/** Secrets of the namespace. */
export interface FileStore {
  /** Makes it, or lets it have these contents. */
  put(name: string, data: Readonly<Record<string, Buffer>>): Promise<void>;
  /** Does nothing where there is none. */
  remove(name: string): Promise<void>;
}

export interface BoundFile {
  secretName: string;
  mode: number;
}

/** An object has a mebibyte at most, in base64. */
const maxBytes = 512 * 1024;

export class BoundFiles {
  /** Under which the Secret has the file. */
  static readonly key = 'file';
  readonly #store: FileStore;
  readonly #isAllowed: boolean;

  /** `isAllowed`: what a client may read of this machine is the operator's to say. */
  constructor(store: FileStore, isAllowed: boolean) {
    this.#store = store;
    this.#isAllowed = isAllowed;
  }

  async isSmallFile(path: string): Promise<boolean> {
    if (!this.#isAllowed) return false;
    try {
      const info = await stat(path);
      return info.isFile() && info.size <= maxBytes;
    } catch {
      return false;
    }
  }

  /** As it is now. `index`: of the mount. Throws InvalidParameter for what can't be read. */
  async keep(record: ClusterRecord, path: string, index: number): Promise<BoundFile> {
    if (!(await this.isSmallFile(path))) {
      throw new DaemonError(
        'InvalidParameter',
        `invalid mount config for type "bind": bind source path does not exist: ${path}`,
      );
    }
    const name = secretName(record, index);
    const { content, mode } = await readSmall(path);
    await this.#store.put(name, { [BoundFiles.key]: content });
    return { secretName: name, mode };
  }

  async remove(record: ClusterRecord): Promise<void> {
    for (const [index, { Type }] of record.mounts.entries())
      if (Type === 'bind') await this.#store.remove(secretName(record, index));
  }
}

function secretName({ id }: ClusterRecord, index: number): string {
  return `file-${createHash('sha256').update(`${id} ${index}`).digest('hex').slice(0, 32)}`;
}

/** It may have grown since it was looked at. */
async function readSmall(path: string): Promise<{ content: Buffer; mode: number }> {
  try {
    const file = await open(path, 'r');
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(maxBytes + 1), 0, maxBytes + 1, 0);
      if (bytesRead > maxBytes) throw new Error('it is too large');
      return { content: buffer.subarray(0, bytesRead), mode: modeOf(await file.stat()) };
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new DaemonError('InvalidParameter', `bind source ${path}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

/** In a Secret every file is root's: of somebody else's, all may read what its owner could. */
function modeOf({ mode, uid }: { mode: number; uid: number }): number {
  return uid === 0 ? mode & 0o777 : 0o444 | (mode & 0o111);
}
