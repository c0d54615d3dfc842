import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { VolumeStore } from '../../../../src/storage/disks/volume-store';
import { FakeDocuments } from '../../../support/fakes/engine-fakes';

let root: string;
let documents: FakeDocuments;
let store: VolumeStore;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'caisson-volumes-'));
  documents = new FakeDocuments();
  store = new VolumeStore(documents, root);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const directories = (): string[] => readdirSync(join(root, 'volumes')).sort();

describe('create', () => {
  test('what is there stays as it is', async () => {
    const first = await store.create({ name: 'data', labels: { a: '1' } });
    const again = await store.create({ name: 'data', labels: { a: '2' } });
    expect([first.created, again.created]).toEqual([true, false]);
    expect(again.volume.labels).toEqual({ a: '1' });
  });

  test('without a name it is anonymous', async () => {
    const { volume } = await store.create({});
    expect(volume.name).toMatch(/^[0-9a-f]{64}$/);
    expect(volume.anonymous).toBe(true);
  });

  test('a name never leads out of the directory of volumes', async () => {
    await store.repair();
    await fc.assert(
      fc.asyncProperty(fc.string({ minLength: 1, maxLength: 12 }), async (name) => {
        const made = await store.create({ name }).then(
          () => true,
          () => false,
        );
        expect(made).toBe(/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name));
      }),
    );
    expect(readdirSync(root).sort()).toEqual(['volume-disks', 'volumes']);
    expect(directories()).toEqual(
      store
        .list()
        .map(({ name }) => name)
        .sort(),
    );
  });

  test.each([
    [{ type: 'tmpfs' }, 'missing required option: "device"'],
    [{ device: 'x' }, 'missing required option: "type"'],
    [{ o: 'bind', device: 'x' }, 'missing required option: "type"'],
    [{ other: 'x' }, 'invalid option: "other"'],
    [{ size: '10m' }, 'quota size requested but no quota support'],
    [{ size: 'ten' }, "invalid size: 'ten'"],
  ])('options %j are refused', async (options, message) => {
    await expect(store.create({ name: 'data', options })).rejects.toThrow(`create data: ${message}`);
    expect(store.list()).toEqual([]);
  });

  test('a name that the file system refuses leaves nothing', async () => {
    await expect(store.create({ name: 'x'.repeat(300) })).rejects.toThrow('file name too long');
    expect(store.list()).toEqual([]);
  });
});

describe('source', () => {
  test.each([
    [
      { type: 'tmpfs', device: 'tmpfs', o: 'size=1m,mode=700' },
      {
        kind: 'tmpfs',
        hostPath: expect.stringMatching(/volumes\/data\/_data$/) as string,
        device: 'tmpfs',
        words: ['size=1m', 'mode=700'],
      },
    ],
    [
      { type: 'nfs', device: ':/x', o: 'addr=192.0.2.1,ro' },
      { kind: 'nfs', type: 'nfs', device: ':/x', words: ['addr=192.0.2.1', 'ro'] },
    ],
    [
      { type: 'none', device: '/srv', o: 'bind' },
      { kind: 'directory', hostPath: '/srv', mountFlags: 0x1000 },
    ],
    [
      { type: 'none', device: '/srv', o: 'rbind,ro' },
      { kind: 'directory', hostPath: '/srv', mountFlags: 0x5001 },
    ],
  ])('of %j', async (options, source) => {
    await store.create({ name: 'data', options });
    expect(store.source('data')).toEqual(source);
  });

  test('another file system is refused, and still listed, measured and removed', async () => {
    await store.create({ name: 'data', options: { type: 'cifs', device: '//a/x', o: 'addr=192.0.2.1' } });
    expect(() => store.source('data')).toThrow('file system type "cifs" can\'t be mounted for a VM');
    expect(await store.usageBytes('data')).toBe(0);
    await store.remove('data');
    expect(store.list()).toEqual([]);
  });
});

test('a file with several names counts once', async () => {
  await store.create({ name: 'data' });
  const path = store.hostPath('data');
  mkdirSync(join(path, 'sub'));
  writeFileSync(join(path, 'one'), '12345');
  linkSync(join(path, 'one'), join(path, 'sub', 'two'));
  writeFileSync(join(path, 'sub', 'three'), '123');
  expect(await store.usageBytes('data')).toBe(8);
});

test('names of no encoding count, and paths past PATH_MAX count and can be removed', async () => {
  await store.create({ name: 'data' });
  const path = store.hostPath('data');
  writeFileSync(Buffer.concat([Buffer.from(`${path}/`), Buffer.from([0x68, 0xff, 0xfe])]), '12345');
  const dig =
    'n=$(printf %0200d 1); for i in $(seq 25); do mkdir $n && cd -P ./$n; done 2>/dev/null; echo deep >f';
  execFileSync('bash', ['-c', dig], { cwd: path });
  expect(await store.usageBytes('data')).toBe(10);
  await store.remove('data');
  expect(directories()).toEqual([]);
});

test('the longest name can be removed', async () => {
  const name = 'x'.repeat(255);
  await store.create({ name });
  await store.remove(name);
  expect(directories()).toEqual([]);
});

test('repair ends what a crash cut short, and keeps what is recorded', async () => {
  await store.create({ name: 'kept' });
  mkdirSync(join(root, 'volumes', '.removing-data'));
  mkdirSync(join(root, 'volumes', 'unknown'));
  rmSync(join(root, 'volumes', 'kept'), { recursive: true });
  await new VolumeStore(documents, root).repair();
  expect(directories()).toEqual(['kept']);
});

test('repair keeps files of which there is no record: the host may have crashed before that was written', async () => {
  const anonymous = 'a'.repeat(64);
  for (const name of ['lost', anonymous, '.removing-lost', 'not a name']) {
    mkdirSync(join(root, 'volumes', name, '_data'), { recursive: true });
    writeFileSync(join(root, 'volumes', name, '_data', 'file'), 'synced');
  }
  mkdirSync(join(root, 'volumes', 'empty', '_data'), { recursive: true });
  await store.repair();
  expect(directories()).toEqual([anonymous, 'lost']);
  const repaired = new VolumeStore(documents, root);
  expect(repaired.list()).toHaveLength(2);
  expect(repaired.get(anonymous)).toMatchObject({ anonymous: true, labels: null, options: null });
  expect(repaired.get('lost')).toMatchObject({ anonymous: false, labels: null, options: null });
  expect(Math.abs(Date.parse(repaired.get('lost').createdAt) - Date.now())).toBeLessThan(600_000);
  expect(readFileSync(join(repaired.hostPath('lost'), 'file'), 'utf8')).toBe('synced');
});

test('of two that make a volume at once the second finds it', async () => {
  const both = ['1', '2'].map((label) => store.create({ name: 'data', labels: { label } }));
  const made = await Promise.all(both);
  expect(made.map(({ created }) => created).sort()).toEqual([false, true]);
  expect(new Set(made.map(({ volume }) => volume)).size).toBe(1);
});

describe('a volume that is a disk', () => {
  const disks = (): string[] =>
    readdirSync(join(root, 'volume-disks')).filter((name) => /^[0-9a-f]{32}\./.test(name));
  beforeEach(() => store.repair());

  test('by its label, or since its first container is a builder', async () => {
    await store.create({ name: 'labelled', labels: { 'caisson.volume': 'disk' } });
    await store.create({ name: 'asked', isDisk: true });
    expect(disks()).toHaveLength(2);
    expect(store.diskPath('asked')).toMatch(/\/volume-disks\/[0-9a-f]{32}\.ext4$/);
    expect(await store.usageBytes('asked')).toBe(0);
    await store.remove('labelled');
    await store.remove('asked');
    expect([...disks(), ...directories()]).toEqual([]);
  });

  test('but not if it is something else', async () => {
    await store.create({ name: 'data' });
    const { volume } = await store.create({ name: 'data', isDisk: true });
    const options = { type: 'tmpfs', device: 'tmpfs' };
    await store.create({ name: 'memory', options, labels: { 'caisson.volume': 'disk' } });
    expect(volume.disk).toBeUndefined();
    expect(store.diskPath('memory')).toBeUndefined();
    expect(disks()).toEqual([]);
  });

  test('of two that make it at once the second finds it, and there is one disk', async () => {
    const made = await Promise.all([1, 2].map(() => store.create({ name: 'data', isDisk: true })));
    expect(made.map(({ created }) => created).sort()).toEqual([false, true]);
    expect(disks()).toHaveLength(1);
  });

  test('repair keeps it, also without its record if it has files, and no disk of no volume', async () => {
    await store.create({ name: 'kept', isDisk: true });
    await store.create({ name: 'lost', isDisk: true });
    await store.create({ name: 'lost-and-empty', isDisk: true });
    const files = join(root, 'files');
    mkdirSync(files);
    writeFileSync(join(files, 'file'), 'synced');
    execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', '-d', files, store.diskPath('lost') ?? '', '8M']);
    writeFileSync(join(root, 'volume-disks', `${'a'.repeat(32)}.ext4`), '');
    for (const name of ['lost', 'lost-and-empty']) documents.delete('volumes', name);
    const repaired = new VolumeStore(documents, root);
    await repaired.repair();
    expect(repaired.list().map(({ name }) => name)).toEqual(['kept', 'lost']);
    expect(await repaired.usageBytes('lost')).toBe(6);
    expect(disks()).toHaveLength(2);
  });
});
