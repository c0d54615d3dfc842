// The bulk disk of a VM, as the daemon sees it: a file that is a small disk in the guest, by which large streams go past
// the port (docs/adr/0015-bulk-disk.md). What the guest has written there is bytes of a stream, and is trusted no more.

import { open, type FileHandle } from 'node:fs/promises';
import { DaemonError, errorMessage } from '../../errors';
import { log } from '../../log';
import type { BulkArea, BulkAreas } from '../contract/bulk';

export const bulkFileName = 'bulk';
/** One request of the guest's, which Linux does not split. */
const slotBytes = 512 * 1024;
const slotsPerArea = 4;
const areas = 4;
const areaBytes = slotBytes * slotsPerArea;
export const bulkDiskBytes = areaBytes * areas;

/** Of the VM's own file. The memory it takes is given back when no job has a part of it. */
export class BulkDisk implements BulkAreas {
  readonly #path: string;
  readonly #taken = new Set<number>();
  #file: Promise<FileHandle | undefined> | undefined;
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
    const file = await this.#file;
    if (file === undefined) {
      await this.#giveBack(index);
      return undefined;
    }
    return {
      guest: { offset: index * areaBytes, slotBytes, slots: slotsPerArea },
      write: (turn, chunks) => writeAll(file, chunks, positionOf(index, turn)),
      read: (turn, length) => readAll(file, length, positionOf(index, turn)),
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
  async #open(): Promise<FileHandle | undefined> {
    try {
      return await open(this.#path, 'r+');
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
async function empty(file: FileHandle): Promise<void> {
  try {
    await file.truncate(0);
    await file.truncate(bulkDiskBytes);
  } catch (error) {
    log.warn('the bulk disk is not emptied', { error: errorMessage(error) });
  } finally {
    await file.close().catch(() => undefined);
  }
}

function positionOf(area: number, turn: number): number {
  return area * areaBytes + (turn % slotsPerArea) * slotBytes;
}

async function writeAll(file: FileHandle, chunks: readonly Buffer[], position: number): Promise<void> {
  const total = chunks.reduce((sum, { length }) => sum + length, 0);
  if (total > slotBytes) throw new RangeError(`${total} bytes for a slot of ${slotBytes}`);
  const { bytesWritten } = await file.writev(chunks, position);
  if (bytesWritten !== total) throw new DaemonError('Internal', 'the bulk disk takes no more');
}

async function readAll(file: FileHandle, length: number, position: number): Promise<Buffer> {
  if (length > slotBytes) throw new RangeError(`${length} bytes of a slot of ${slotBytes}`);
  const buffer = Buffer.allocUnsafeSlow(length);
  const { bytesRead } = await file.read(buffer, 0, length, position);
  if (bytesRead !== length) throw new DaemonError('Internal', 'the bulk disk was cut');
  return buffer;
}
