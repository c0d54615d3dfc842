import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StoredCheckpoint } from '../../../../../src/engine/lifecycle/checkpoints/checkpoint-store';
import type { ContainerRecord } from '../../../../../src/semantics/containers/container-record';
import {
  RestoredDisk,
  restoredShares,
  restoreSource,
  savedMounts,
} from '../../../../../src/engine/lifecycle/checkpoints/restore';
import { shareNames } from '../../../../../src/engine/mounts/container-shares';
import type { Engine } from '../../../../../src/engine/engine';
import { containerDisks } from '../../../../../src/translate/pod-to-vm';

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

describe('volumes and binds of a start from a checkpoint', () => {
  let directory: string;
  let engine: Pick<Engine, 'volumes' | 'config'>;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'restored-'));
    const volumes = {
      tmpfs: { use: () => Promise.resolve() },
      hostPath: () => directory,
      source: (name: string) =>
        name === 'memory'
          ? { kind: 'tmpfs', hostPath: directory, device: 'tmpfs', words: [] }
          : { kind: 'directory', hostPath: directory },
    };
    engine = { volumes, config: { hosts: [] } } as unknown as typeof engine;
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const volume = (target: string, name = 'any', RW = true): unknown => ({
    Type: 'volume',
    Name: name,
    Source: '',
    Destination: target,
    RW,
  });
  const recordOf = (id: string, ...mounts: unknown[]): ContainerRecord =>
    ({ id, mounts }) as unknown as ContainerRecord;
  const savedOf = (record: ContainerRecord): StoredCheckpoint => {
    const mounts = savedMounts(engine.volumes, record, shareNames(record), {});
    // as it comes back from a file
    return { record: JSON.parse(JSON.stringify({ mounts })) as unknown } as StoredCheckpoint;
  };
  const one = (...mounts: unknown[]): ContainerRecord => recordOf('1'.repeat(64), ...mounts);
  const two = (...mounts: unknown[]): ContainerRecord => recordOf('2'.repeat(64), ...mounts);

  test('have the names that the guest has for them, in whatever order they were given', async () => {
    const saved = savedOf(one(volume('/a'), { Type: 'tmpfs', Destination: '/t', RW: true }, volume('/b')));
    const { shares, names, fillable } = await restoredShares(engine, two(volume('/b'), volume('/a')), saved);
    const [a, b] = [`${'1'.repeat(12)}-0`, `${'1'.repeat(12)}-2`];
    expect(names).toEqual({ '/a': a, '/b': b });
    expect(shares.map(({ name }) => name)).toEqual([b, a]);
    expect(fillable.size).toBe(0);
  });

  test.each<[string, unknown[]]>([
    ['/b', [volume('/a'), volume('/b')]],
    ['/a', []],
    ['/b, /a', [volume('/b')]],
    ['/a', [volume('/a', 'memory')]],
    ['/a', [volume('/a', 'any', false)]],
  ])('are refused where they are not the saved ones: %s', async (targets, mounts) => {
    await expect(restoredShares(engine, two(...mounts), savedOf(one(volume('/a'))))).rejects.toThrow(
      `other volumes or binds (${targets})`,
    );
  });

  test('of an older checkpoint are none', async () => {
    const older = { record: {} } as StoredCheckpoint;
    expect((await restoredShares(engine, one({ Type: 'tmpfs', Destination: '/t' }), older)).names).toEqual(
      {},
    );
    await expect(restoredShares(engine, one(volume('/a')), older)).rejects.toThrow('(/a)');
  });
});
