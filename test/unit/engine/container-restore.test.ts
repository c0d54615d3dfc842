import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StoredCheckpoint } from '../../../src/engine/checkpoint-store';
import { RestoredDisk, restoreSource } from '../../../src/engine/container-restore';
import { containerDisks } from '../../../src/translate/pod-to-vm';

describe('the disk of a start from a checkpoint', () => {
  let directory: string;
  let path: string;
  let checkpoint: StoredCheckpoint;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'restored-'));
    path = join(directory, 'c.ext4');
    await writeFile(path, 'own');
    const diskPath = join(directory, 'saved');
    await writeFile(diskPath, 'saved');
    checkpoint = { diskPath, statePath: '' } as StoredCheckpoint;
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const content = (): Promise<string> => readFile(path, 'utf8');

  test('is the checkpoint’s once it has started', async () => {
    const disk = new RestoredDisk(path);
    await disk.replace(checkpoint);
    await disk.keep();
    expect(await content()).toBe('saved');
    expect((await readdir(directory)).sort()).toEqual(['c.ext4', 'saved']);
  });

  test('is the old one when the start fails, at whatever point', async () => {
    const early = new RestoredDisk(path);
    await early.undo();
    expect(await content()).toBe('own');
    const late = new RestoredDisk(path);
    await late.replace(checkpoint);
    await late.undo();
    expect(await content()).toBe('own');
    expect((await readdir(directory)).sort()).toEqual(['c.ext4', 'saved']);
  });

  test.each([
    [true, 'saved'],
    [false, 'own'],
  ])('after a crash, with the start recorded: %s, it is the %s one', async (started, expected) => {
    await new RestoredDisk(path).replace(checkpoint);
    await new RestoredDisk(path).recover(started);
    expect(await content()).toBe(expected);
    expect((await readdir(directory)).sort()).toEqual(['c.ext4', 'saved']);
    await new RestoredDisk(path).recover(started);
    expect(await content()).toBe(expected);
  });
});

describe('disks of a saved VM', () => {
  const disks = (containerId: string, layer: string) => ({
    containerId,
    layerPaths: [layer],
    writablePath: `/disks/${containerId}.ext4`,
  });
  const [writable, ...layers] = containerDisks([disks('saved', '/layers/a')]);

  function checkpoint(vmDisks: Record<string, number>): StoredCheckpoint {
    const record = {
      writableDiskId: writable?.id,
      layerDiskIds: layers.map(({ id }) => id),
      vm: { disks: vmDisks },
    };
    return { record, statePath: '/state', diskPath: '/disk' } as unknown as StoredCheckpoint;
  }
  const luns = Object.fromEntries([writable, ...layers].map((disk, lun) => [disk?.id ?? '', lun + 3]));

  test('another container’s own disk comes where the saved one’s was', () => {
    const { disks: plugged } = restoreSource(checkpoint(luns), disks('other', '/layers/a'), []);
    expect(plugged.map(({ disk, lun }) => [disk.hostPath, lun])).toEqual([
      ['/disks/other.ext4', 3],
      ['/layers/a', 4],
    ]);
  });

  test('a disk too few or other layers are refused', () => {
    const refusal = "the image's layers are not stored as they were at the checkpoint";
    expect(() => restoreSource(checkpoint({ ...luns, more: 9 }), disks('other', '/layers/a'), [])).toThrow(
      refusal,
    );
    expect(() => restoreSource(checkpoint(luns), disks('other', '/layers/b'), [])).toThrow(refusal);
  });
});
