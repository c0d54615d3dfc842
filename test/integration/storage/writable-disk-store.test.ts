import { execFileSync } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { openLab, type StorageLab } from './storage-lab';

const megabyte = 1024 ** 2;
const gibibyte = 1024 ** 3;

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
      expect(await writableDisks.fileBytes('one')).toBe(0);
      expect(await bytesOfFiles(path)).toBe(3 * megabyte + 7 + 1 + 4);

      // as earlier versions made them
      execFileSync('mke2fs', ['-qF', '-t', 'ext4', '-m0', '-O', '^resize_inode', '-i', '16384', path]);
      expect(await bytesOfFiles(path)).toBe(3 * megabyte + 7 + 1 + 4);
    },
  );

  /** What the store says of files of odd sizes, of two names for one, a link, a directory and one that was removed. */
  async function bytesOfFiles(path: string): Promise<number> {
    const file = join(lab.dataRoot, 'file');
    const commands: string[] = [];
    for (const [name, size] of Object.entries({ large: 3 * megabyte, small: 7, 'dir/one': 1, gone: 99 })) {
      writeFileSync(`${file}-${size}`, Buffer.alloc(size, 'x'));
      if (name.startsWith('dir/')) commands.push('mkdir dir');
      commands.push(`write ${file}-${size} ${name}`);
    }
    commands.push('ln small dir/other', 'sif small links_count 2', 'symlink link four', 'rm gone');
    execFileSync('debugfs', ['-w', '-f', '-', path], { input: commands.join('\n'), stdio: 'pipe' });
    return lab.storage.writableDisks.fileBytes('one');
  }

  test('a disk whose numbers cannot be so counts nothing, and soon', async () => {
    const { writableDisks } = lab.storage;
    const path = await writableDisks.create('one', gibibyte);
    const disk = await open(path, 'r+');
    const writeNumber = async (offset: number, value: number, bytes = 4): Promise<void> => {
      const data = Buffer.alloc(bytes);
      data.writeUIntLE(value, 0, bytes);
      await disk.write(data, 0, bytes, 1024 + offset);
    };
    try {
      // inodes, inodes in a group, size of an inode, block size, size of a descriptor
      for (const [offset, value, bytes] of [
        [0, 0xffffffff, 4],
        [0x28, 0, 4],
        [0x28, 1, 4],
        [0x58, 0, 2],
        [0x18, 40, 4],
        [0xfe, 7, 2],
      ] as const) {
        const before = Buffer.alloc(bytes);
        await disk.read(before, 0, bytes, 1024 + offset);
        await writeNumber(offset, value, bytes);
        expect(await writableDisks.fileBytes('one')).toBe(0);
        await disk.write(before, 0, bytes, 1024 + offset);
      }
    } finally {
      await disk.close();
    }
  });

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
