import { execFileSync } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openLab, type StorageLab } from './storage-lab';

const megabyte = 1024 ** 2;
const gibibyte = 1024 ** 3;

/** A block for each of three: of 1 KiB on a disk of less than 512 MiB. */
function ownDirectories(mebibytes: number): number {
  return 3 * (mebibytes < 512 ? 1024 : 4096);
}

describe('writable disks', () => {
  let lab: StorageLab;
  beforeEach(async () => {
    lab = await openLab({ writableDiskBytes: 20 * gibibyte });
  });
  afterEach(() => {
    lab.close();
  });

  test.each([20 * gibibyte, gibibyte, 10 * 1024 * 1024 + 1000])(
    '%i bytes: a clean file system, sparse',
    async (size) => {
      const { writableDisks } = lab.storage;
      const path = await writableDisks.create('one', size);
      expect(path).toBe(writableDisks.path('one'));
      // The kernel's blocks: a size that is no multiple of them is rounded up.
      expect(statSync(path).size - size).toBeLessThan(4096);
      expect(await writableDisks.usageBytes('one')).toBeLessThan(1024 * 1024);
      expect(statSync(path).mode & 0o777).toBe(0o600);
      expect(() => execFileSync('e2fsck', ['-fn', path], { stdio: 'pipe' })).not.toThrow();
    },
  );

  test('after the first one they take no time', async () => {
    const { writableDisks } = lab.storage;
    await writableDisks.create('first', 20 * gibibyte);
    const start = process.hrtime.bigint();
    for (let i = 0; i < 20; i += 1) await writableDisks.create(`disk${i}`, 20 * gibibyte);
    expect(Number(process.hrtime.bigint() - start) / 20e6).toBeLessThan(250);
    expect(await writableDisks.list()).toHaveLength(21);
  });

  test.each([100, 1024, 20 * 1024])(
    '%i MiB: an inode for every 4 KiB, and what is in it is counted',
    async (mebibytes) => {
      const size = mebibytes * 1024 * 1024;
      const { writableDisks } = lab.storage;
      const path = await writableDisks.create('one', size);
      const superblock = execFileSync('dumpe2fs', ['-h', path], { encoding: 'utf8', stdio: 'pipe' });
      expect(Number(/^Inode count: +(\d+)/m.exec(superblock)?.[1]) / (size / 4096)).toBeCloseTo(1, 1);
      // the agent has not made its directories yet
      expect(await writableDisks.contentBytes('one')).toBe(0);
      expect(await contentOfOneFile(path)).toBe(megabyte - ownDirectories(mebibytes));

      // as earlier versions made them
      execFileSync('mke2fs', ['-qF', '-t', 'ext4', '-m0', '-O', '^resize_inode', '-i', '16384', path]);
      expect(await contentOfOneFile(path)).toBe(megabyte - ownDirectories(mebibytes));
    },
  );

  /** What the store says when a file of a megabyte is in the disk. */
  async function contentOfOneFile(path: string): Promise<number> {
    const file = join(lab.dataRoot, 'file');
    writeFileSync(file, Buffer.alloc(megabyte, 'x'));
    execFileSync('debugfs', ['-w', '-R', `write ${file} file`, path], { stdio: 'pipe' });
    return lab.storage.writableDisks.contentBytes('one');
  }

  test('are removed, also twice; what is not there uses nothing', async () => {
    const { writableDisks } = lab.storage;
    await writableDisks.create('one', gibibyte);
    await writableDisks.remove('one');
    await writableDisks.remove('one');
    expect(await writableDisks.usageBytes('one')).toBe(0);
    expect(await writableDisks.list()).toEqual([]);
  });

  test('a restart removes the half-made ones and keeps the others', async () => {
    const path = await lab.storage.writableDisks.create('one', gibibyte);
    const unfinished = join(lab.dataRoot, 'disks', 'two.new');
    writeFileSync(unfinished, 'x');
    const { writableDisks } = await lab.reopen();
    expect(await writableDisks.list()).toEqual(['one']);
    expect([existsSync(path), existsSync(unfinished)]).toEqual([true, false]);
  });
});
