// The bulk disk of a VM, as the daemon sees it: a file that is a small disk in the guest, by which large streams go past
// the port (docs/adr/0015-bulk-disk.md). What the guest has written there is bytes of a stream, and is trusted no more.

import { open, stat, type FileHandle } from 'node:fs/promises';
import { DaemonError, errorMessage } from '../../errors';
import { log } from '../../log';
import type { BulkArea, BulkAreas } from '../contract/bulk';

export const bulkFileName = 'bulk';
const slotsPerArea = 2;
const areas = 4;
/** One request of the guest's, which Linux does not split. */
const slotBytes = 2 * 1024 * 1024;
export const bulkDiskBytes = slotBytes * slotsPerArea * areas;

interface OpenDisk {
  file: FileHandle;
  /** As it was when the VM was started, by whichever version. */
  bytes: number;
  slotBytes: number;
}

/** Of the VM's own file. The memory it takes is given back when no job has a part of it. */
export class BulkDisk implements BulkAreas {
  readonly #path: string;
  readonly #taken = new Set<number>();
  #file: Promise<OpenDisk | undefined> | undefined;
  /** The last emptying: what is written while one is under way could be lost. */
  #emptied: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  async lease(): Promise<BulkArea | undefined> {
    const index = Array.from({ length: areas }, (_, area) => area).find((area) => !this.#taken.has(area));
    if (index === undefined) return undefined;
    this.#taken.add(index);
    this.#file ??= this.#emptied.then(() => this.#open());
    const disk = await this.#file;
    if (disk === undefined) {
      await this.#giveBack(index);
      return undefined;
    }
    const guest = {
      offset: index * slotsPerArea * disk.slotBytes,
      slotBytes: disk.slotBytes,
      slots: slotsPerArea,
    };
    const positionOf = (turn: number): number => guest.offset + (turn % slotsPerArea) * guest.slotBytes;
    return {
      guest,
      write: (turn, chunks) => writeAll(disk, chunks, positionOf(turn)),
      read: (turn, length) => readAll(disk, length, positionOf(turn)),
      release: () => this.#giveBack(index),
    };
  }

  async #giveBack(index: number): Promise<void> {
    this.#taken.delete(index);
    const file = this.#file;
    if (this.#taken.size > 0 || file === undefined) return;
    this.#file = undefined;
    this.#emptied = file.then((opened) => (opened === undefined ? undefined : empty(opened)));
    await this.#emptied;
  }

  /** Undefined when there is none. */
  async #open(): Promise<OpenDisk | undefined> {
    try {
      const { size } = await stat(this.#path);
      if (size === 0) return undefined; // its emptying was cut off
      return { file: await open(this.#path, 'r+'), bytes: size, slotBytes: size / areas / slotsPerArea };
    } catch (error) {
      log.debug('no bulk disk', { path: this.#path, error: errorMessage(error) });
      return undefined;
    }
  }
}

/**
 * Its pages are memory where the run directory is a tmpfs, and what was copied need not lie about. Never rejects: at the
 * next use there is a file, or there is none.
 */
async function empty({ file, bytes }: OpenDisk): Promise<void> {
  try {
    await file.truncate(0);
    await file.truncate(bytes);
  } catch (error) {
    log.warn('the bulk disk is not emptied', { error: errorMessage(error) });
  } finally {
    await file.close().catch(() => undefined);
  }
}

async function writeAll(
  { file, slotBytes: most }: OpenDisk,
  chunks: readonly Buffer[],
  position: number,
): Promise<void> {
  const total = chunks.reduce((sum, { length }) => sum + length, 0);
  if (total > most) throw new RangeError(`${total} bytes for a slot of ${most}`);
  const { bytesWritten } = await file.writev(chunks, position);
  if (bytesWritten !== total) throw new DaemonError('Internal', 'the bulk disk takes no more');
}

async function readAll(
  { file, slotBytes: most }: OpenDisk,
  length: number,
  position: number,
): Promise<Buffer> {
  if (length > most) throw new RangeError(`${length} bytes of a slot of ${most}`);
  const buffer = Buffer.allocUnsafeSlow(length);
  const { bytesRead } = await file.read(buffer, 0, length, position);
  if (bytesRead !== length) throw new DaemonError('Internal', 'the bulk disk was cut');
  return buffer;
}
