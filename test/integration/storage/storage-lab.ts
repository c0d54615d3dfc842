// A data root of its own, and what tests want to know of it.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createStorage, type Storage, type StorageOptions } from '../../../src/storage/storage';
import type { ProgressMessage } from '../../../src/storage/contract/stores';

export interface StorageLab {
  readonly dataRoot: string;
  storage: Storage;
  /** As a daemon does that comes back on the same data root. */
  reopen(): Promise<Storage>;
  /** Files of layers, blobs and spools, sorted. */
  files(): string[];
  close(): void;
}

export async function openLab(options: Partial<StorageOptions> = {}): Promise<StorageLab> {
  const dataRoot = options.dataRoot ?? mkdtempSync(join(tmpdir(), 'caisson-storage-'));
  const open = (): Promise<Storage> =>
    createStorage({
      dataRoot,
      writableDiskBytes: 64 * 1024 * 1024,
      insecureRegistries: [],
      maxConcurrentDownloads: 3,
      maxConcurrentUploads: 5,
      maxDownloadAttempts: 5,
      registryMirrors: [],
      ...options,
    });
  const lab: StorageLab = {
    dataRoot,
    storage: await open(),
    async reopen() {
      lab.storage.documents.close();
      lab.storage = await open();
      return lab.storage;
    },
    files: () =>
      ['layers', 'blobs/sha256', 'tmp'].flatMap((folder) =>
        readdirSync(join(dataRoot, folder)).map((name) => `${folder}/${name}`),
      ),
    close() {
      lab.storage.documents.close();
      rmSync(dataRoot, { recursive: true, force: true });
    },
  };
  return lab;
}

/** `mode owner size path -> target` of everything in a squashfs image, by squashfs-tools. */
export function listImage(path: string): string[] {
  return execFileSync('unsquashfs', ['-llnumeric', path], {
    encoding: 'latin1',
    env: { ...process.env, TZ: 'UTC' },
  })
    .split('\n')
    .filter((line) => line.includes('squashfs-root/'))
    .map((line) =>
      line
        .replace(/\s+/g, ' ')
        .replace(/ \d{4}-\d\d-\d\d \d\d:\d\d squashfs-root\//, ' ')
        .replace(/, /, ','),
    );
}

/** The image as the kernel shows it, as a tar with extended attributes. Mounted in a mount namespace that goes at once. */
export function readImage(path: string): Buffer {
  const script =
    'dir=$(mktemp -d) && mount -t squashfs -o loop,ro "$1" "$dir" && ' +
    'tar --numeric-owner --xattrs --xattrs-include="*" --sort=name -C "$dir" -cf - . ; umount "$dir"; rmdir "$dir"';
  return execFileSync('unshare', ['--mount', 'sh', '-c', script, 'sh', path], { maxBuffer: 1 << 28 });
}

/** The statuses of one layer, or of all lines without an id; neighbours that are the same count once. */
export function statuses(messages: readonly ProgressMessage[], id?: string): string[] {
  const all = messages.filter((message) => message.id === id).map((message) => message.status ?? '');
  return all.filter((status, i) => status !== all[i - 1]);
}
