// A disk that has no room: Docker's error, and nothing of what did not fit is left.

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import { lockDataRoot } from '../../../src/daemon/lock';
import { DaemonError } from '../../../src/errors';
import { openDocumentStore } from '../../../src/storage/documents/document-store';
import { openStartReserve } from '../../../src/daemon/start-reserve';
import { makeTar } from '../../support/images/tar-maker';
import { sha256 } from './scripted-registry';
import { openLab, type StorageLab } from './storage-lab';

const never = new AbortController().signal;
const megabyte = 1024 * 1024;
jest.setTimeout(60_000);

/** Takes what room a file system has left. Returns what gives it back. */
function fill(disk: string): () => void {
  const filler = join(disk, 'filler');
  const take =
    'dd if=/dev/zero of="$1" bs=64k; dd if=/dev/zero of="$1" bs=1k oflag=append conv=notrunc; true';
  execFileSync('sh', ['-c', take, 'sh', filler], { stdio: 'ignore' });
  return () => rmSync(filler);
}

function archiveOf(tag: string, tar: Buffer): Readable {
  const rootfs = { type: 'layers', diff_ids: [sha256(tar)] };
  const archive = makeTar([
    { name: 'manifest.json', data: JSON.stringify([{ Config: 'c', RepoTags: [tag], Layers: ['l'] }]) },
    { name: 'c', data: JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs }) },
    { name: 'l', data: tar },
  ]);
  return Readable.from([archive], { objectMode: false });
}

describe('on a disk of 24 MiB', () => {
  const disk = mkdtempSync(join(tmpdir(), 'caisson-small-'));
  let lab: StorageLab;
  beforeAll(async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk]);
    lab = await openLab({ dataRoot: join(disk, 'root') });
  });
  afterAll(() => {
    lab.close();
    execFileSync('umount', [disk]);
    rmSync(disk, { recursive: true, force: true });
  });
  const load = (tag: string, tar: Buffer): Promise<void> =>
    lab.storage.images.load(archiveOf(tag, tar), { quiet: true }, () => undefined, never);
  const importTar = (tar: Buffer): Promise<string> =>
    lab.storage.images.importTar(
      Readable.from([tar], { objectMode: false }),
      { changes: [], message: '' },
      () => undefined,
      never,
    );

  test('what is too large is refused, what is not comes in after it', async () => {
    await load('small:1', makeTar([{ name: 'a', data: randomBytes(megabyte) }]));
    const before = lab.files();
    const tooLarge = makeTar([{ name: 'b', data: randomBytes(25 * megabyte) }]);
    await expect(load('large:1', tooLarge)).rejects.toThrow(/no space left on device/);
    await expect(importTar(tooLarge)).rejects.toThrow(/no space left on device/);
    expect(lab.files()).toEqual(before);
    await load('small:2', makeTar([{ name: 'c', data: randomBytes(megabyte) }]));
    await lab.reopen();
    expect(lab.storage.images.list()).toHaveLength(2);
  });

  test('others may fill it meanwhile', async () => {
    const before = lab.files();
    const filler = join(disk, 'filler');
    execFileSync('sh', ['-c', 'head -c 50000000 /dev/zero >"$1" || true', 'sh', filler], {
      stdio: 'ignore',
    });
    try {
      const tar = makeTar([{ name: 'd', data: randomBytes(4 * megabyte) }]);
      await expect(load('late:1', tar)).rejects.toThrow(/no space left on device/);
      await expect(importTar(tar)).rejects.toThrow(/no space left on device/);
      expect(lab.files()).toEqual(before);
    } finally {
      writeFileSync(filler, '');
    }
    await load('late:1', makeTar([{ name: 'e', data: 'fits' }]));
  });
});

describe('records on a full disk', () => {
  const disk = mkdtempSync(join(tmpdir(), 'caisson-small-'));
  beforeAll(() => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'tmpfs', disk]);
  });
  afterAll(() => {
    execFileSync('umount', [disk]);
    rmSync(disk, { recursive: true, force: true });
  });
  const value = (n: number): { n: number; text: string } => ({ n, text: 'x'.repeat(3000) });

  test('can be changed and removed, and some can be added', () => {
    const path = join(disk, 'db');
    const store = openDocumentStore(path);
    for (let i = 0; i < 50; i += 1) store.put('c', String(i), value(i));
    const free = fill(disk);
    for (let i = 0; i < 5000; i += 1) store.put('c', String(i % 50), value(i));
    let added = 0;
    const addMany = (): void => {
      for (; added < 5000; added += 1) store.put('new', String(added), value(added));
    };
    expect(addMany).toThrow(new DaemonError('Internal', 'no space left on device'));
    expect(added).toBeGreaterThan(100);
    expect(added).toBeLessThan(5000);
    for (let i = 0; i < 5000; i += 1) store.put('c', String(i % 50), value(i));
    for (let i = 0; i < added; i += 1) store.delete('new', String(i));
    store.put('new', 'one', value(1));
    store.close();

    const again = openDocumentStore(path);
    expect(again.all('c')).toHaveLength(50);
    expect(again.get('c', '49')).toEqual(value(4999));
    expect(again.all('new')).toEqual([value(1)]);
    free();
    for (added = 0; added < 1000; added += 1) again.put('new', String(added), value(added));
    again.close();
  });

  test('a daemon starts on a disk that was filled after its end', async () => {
    const dataRoot = join(disk, 'root');
    mkdirSync(dataRoot);
    const path = join(dataRoot, 'caisson.db');
    for (let round = 0; round < 2; round += 1) {
      const holdReserve = await openStartReserve(dataRoot);
      const unlock = await lockDataRoot(dataRoot);
      const store = openDocumentStore(path);
      store.put('c', String(round), value(round));
      store.close();
      await unlock();
      await holdReserve();
      if (round === 0) fill(disk);
    }
    await openStartReserve(dataRoot);
    const store = openDocumentStore(path);
    expect(store.all('c')).toEqual([value(0), value(1)]);
    store.close();
  });
});
