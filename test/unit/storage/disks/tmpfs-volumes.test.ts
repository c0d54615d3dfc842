// What is mounted is below a directory of the test’s own, and gone after it. Needs root, as the daemon does.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TmpfsVolumes } from '../../../../src/storage/disks/tmpfs-volumes';

let root: string;
let volumes: TmpfsVolumes;
const memory = { device: 'tmpfs', words: ['size=1m', 'mode=750'] };

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tmpfs-volumes-'));
  for (const name of ['one', 'two']) mkdirSync(join(root, name, '_data'), { recursive: true });
  volumes = new TmpfsVolumes((name) => join(root, name, '_data'));
});

afterEach(() => {
  for (const name of ['one', 'two']) {
    try {
      execFileSync('umount', ['--lazy', join(root, name, '_data')], { stdio: 'ignore' });
    } catch {
      // it is not mounted: as it should be
    }
  }
  rmSync(root, { recursive: true });
});

const files = (name: string): string[] => readdirSync(join(root, name, '_data'));
const put = (name: string, file: string): void => writeFileSync(join(root, name, '_data', file), '');
const mounted = (): number =>
  execFileSync('cat', ['/proc/self/mounts'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(`${root}/`)).length;

test('is shared by those that have it at once, and gone with the last', async () => {
  await Promise.all([volumes.use('one', 'a', memory), volumes.use('one', 'b', memory)]);
  expect(mounted()).toBe(1);
  put('one', 'file');
  await volumes.leave('a');
  await volumes.use('one', 'c', memory);
  expect(files('one')).toEqual(['file']);
  await Promise.all([volumes.leave('b'), volumes.leave('c')]);
  expect(mounted()).toBe(0);
  expect(files('one')).toEqual([]);
  await volumes.use('one', 'a', memory);
  expect(files('one')).toEqual([]);
  await volumes.leave('a');
});

test('one that nobody has any more is empty for the next, and one of an earlier daemon is not', async () => {
  await volumes.use('one', 'a', memory);
  put('one', 'file');
  const next = new TmpfsVolumes((name) => join(root, name, '_data'));
  next.adopt('one', 'a');
  await next.release('one');
  await next.use('one', 'b', memory);
  expect(files('one')).toEqual(['file']);
  const last = new TmpfsVolumes((name) => join(root, name, '_data'));
  await last.use('one', 'c', memory);
  expect(files('one')).toEqual([]);
  await last.leave('c');
  expect(mounted()).toBe(0);
});

test('options that the kernel refuses are told of, and leave nothing', async () => {
  const refused = volumes.use('one', 'a', { device: 'tmpfs', words: ['nonsense=1'] });
  await expect(refused).rejects.toThrow(
    /^error while mounting volume '.*': failed to mount local volume: mount tmpfs:/,
  );
  await volumes.use('one', 'a', memory);
  await volumes.leave('a');
  expect(mounted()).toBe(0);
});
