// disks/: writable disks and volumes.
//
// The writable disks of containers: sparse ext4 files. An empty one consists of a few hundred KiB at known places, so
// it is made once for each size and written again from memory; that takes a millisecond where mke2fs takes five.

import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DaemonError, noSpaceText, systemErrorCode } from '../../errors';
import { runTool } from '../../host/run-tool';
import type { WritableDiskStore } from '../contract/stores';
import { ext4FileBytes } from './ext4-usage';

interface Extent {
  offset: number;
  data: Buffer;
}

/** The bytes of an empty file system that are not zero. */
interface BlankDisk {
  extents: Extent[];
}

const blockBytes = 4096;
const suffix = '.ext4';
/** After a disk's path: what it was while a start from a checkpoint is tried. It outlives the daemon. */
export const diskBeforeSuffix = '.before';
const inodeBytes = 256;
/** A block for each inode: as on dockerd a disk is full of small files when its blocks are, and not before. */
const bytesPerInode = 4096;
/** Of larger disks mke2fs makes fewer inodes, of which there can't be more than 2^32. */
const maxBytesOfManyInodes = 2 ** 40;
const maxBlankBytes = 8 * 1024 * 1024;

export class DiskFileStore implements WritableDiskStore {
  readonly #directory: string;
  readonly #blanks = new Map<number, Promise<BlankDisk | undefined>>();

  constructor(dataRoot: string, name = 'disks') {
    this.#directory = join(dataRoot, name);
  }

  /** Makes the directory and removes files that a crash left half-made. Prepares the blank disk of the usual size, if there is one. */
  async open(usualSizeBytes?: number): Promise<void> {
    await mkdir(this.#directory, { recursive: true });
    const names = new Set(await readdir(this.#directory));
    for (const name of names) {
      const isBefore = name.endsWith(suffix + diskBeforeSuffix);
      if (isBefore && names.has(name.slice(0, -diskBeforeSuffix.length))) continue;
      if (!name.endsWith(suffix)) await rm(join(this.#directory, name), { force: true });
    }
    if (usualSizeBytes !== undefined) void this.#blank(usualSizeBytes);
  }

  async create(containerId: string, sizeBytes: number): Promise<string> {
    const path = this.path(containerId);
    const unfinished = join(this.#directory, `${containerId}.new`);
    try {
      const blank = await this.#blank(sizeBytes);
      if (blank === undefined) await makeFileSystem(unfinished, sizeBytes);
      else await writeBlank(unfinished, sizeBytes, blank);
      await rename(unfinished, path);
    } catch (error) {
      await rm(unfinished, { force: true });
      if (systemErrorCode(error) === 'ENOSPC') {
        throw new DaemonError('Internal', noSpaceText, { cause: error });
      }
      throw error;
    }
    return path;
  }

  path(containerId: string): string {
    return join(this.#directory, `${containerId}${suffix}`);
  }

  async usageBytes(containerId: string): Promise<number> {
    try {
      return (await stat(this.path(containerId))).blocks * 512;
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return 0;
      throw error;
    }
  }

  async fileBytes(containerId: string): Promise<number> {
    let file;
    try {
      file = await open(this.path(containerId), 'r');
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return 0;
      throw error;
    }
    try {
      return (await ext4FileBytes(file)) ?? 0;
    } finally {
      await file.close();
    }
  }

  async remove(containerId: string): Promise<void> {
    await rm(this.path(containerId), { force: true });
  }

  async list(): Promise<string[]> {
    const names = await readdir(this.#directory);
    return names.filter((name) => name.endsWith(suffix)).map((name) => name.slice(0, -suffix.length));
  }

  #blank(sizeBytes: number): Promise<BlankDisk | undefined> {
    let blank = this.#blanks.get(sizeBytes);
    if (blank === undefined) {
      blank = this.#readBlank(sizeBytes).catch(() => undefined);
      this.#blanks.set(sizeBytes, blank);
    }
    return blank;
  }

  /** Undefined where the file system can't say which parts of a file have data. */
  async #readBlank(sizeBytes: number): Promise<BlankDisk | undefined> {
    const path = join(this.#directory, `blank-${sizeBytes}`);
    try {
      await makeFileSystem(path, sizeBytes);
      // `0:  logical.. logical:  physical.. physical:  length: …` in blocks of 4096 bytes
      const listing = await runTool('filefrag', ['-v', '-b4096', path]);
      const ranges = [...listing.matchAll(/^\s*\d+:\s*(\d+)\.\.\s*\d+:\s*\d+\.\.\s*\d+:\s*(\d+):/gm)];
      const total = ranges.reduce((sum, range) => sum + Number(range[2]) * blockBytes, 0);
      if (ranges.length === 0 || total > maxBlankBytes) return undefined;
      const file = await open(path, 'r');
      try {
        const extents: Extent[] = [];
        for (const [, start, length] of ranges) {
          const data = Buffer.alloc(Number(length) * blockBytes);
          const offset = Number(start) * blockBytes;
          await file.read(data, 0, data.length, offset);
          extents.push({ offset, data });
        }
        return { extents };
      } finally {
        await file.close();
      }
    } finally {
      await rm(path, { force: true });
    }
  }
}

async function writeBlank(path: string, sizeBytes: number, blank: BlankDisk): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.truncate(sizeBytes);
    for (const { offset, data } of blank.extents) await file.write(data, 0, data.length, offset);
  } finally {
    await file.close();
  }
}

/** docs/storage-layout.md tells why each option is there. */
async function makeFileSystem(path: string, sizeBytes: number): Promise<void> {
  await rm(path, { force: true });
  const extended = 'lazy_itable_init=1,lazy_journal_init=1,nodiscard,assume_storage_prezeroed=1';
  const inodes =
    sizeBytes <= maxBytesOfManyInodes ? ['-I', String(inodeBytes), '-i', String(bytesPerInode)] : [];
  const layout = ['-t', 'ext4', '-m', '0', '-O', '^resize_inode', ...inodes, '-E', extended];
  await runTool('mke2fs', ['-q', '-F', ...layout, path, `${Math.ceil(sizeBytes / 1024)}k`]);
}
