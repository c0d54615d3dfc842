import { chown, lstat, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CheckpointStore,
  requireCheckpointName,
  type CheckpointRecord,
} from '../../../../../src/engine/lifecycle/checkpoints/checkpoint-store';

let directory: string;
let store: CheckpointStore;

beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), 'checkpoints-')), 'checkpoints');
  store = new CheckpointStore(directory, 'web');
});

afterEach(() => rm(join(directory, '..'), { recursive: true, force: true }));

// As much of it as the store looks at.
const record = { containerId: 'c', layers: ['sha256:1'] } as unknown as Omit<
  CheckpointRecord,
  'formatVersion'
>;

async function make(name: string): Promise<void> {
  const unfinished = await store.begin(name);
  await writeFile(unfinished.statePath, 'state');
  await writeFile(unfinished.diskPath, 'disk');
  await unfinished.finish(record);
}

test('a finished checkpoint is listed, found, and gone when it is removed', async () => {
  await make('second');
  await make('first');
  expect(await store.list(true)).toEqual(['first', 'second']);
  const found = await store.find('first');
  expect(found.record).toMatchObject(record);
  expect(found.statePath).toBe(join(directory, 'first', 'state'));
  await store.remove('first');
  expect(await readdir(directory)).toEqual(['second']);
  await expect(store.find('first')).rejects.toThrow('checkpoint first does not exist for container web');
  await expect(store.remove('first')).rejects.toThrow('checkpoint first does not exist for container web');
});

test('a name is taken once, and by nothing that was there before', async () => {
  await make('first');
  await expect(store.begin('first')).rejects.toThrow(
    'checkpoint with name first already exists for container web',
  );
  await writeFile(join(directory, 'file'), '');
  await expect(store.begin('file')).rejects.toThrow('exists and is not a directory');
});

test('an unfinished one is none, and leaves nothing', async () => {
  const given = await store.begin('given');
  await writeFile(given.statePath, 'half');
  expect(await store.list(true)).toEqual([]);
  await expect(store.find('given')).rejects.toThrow('does not exist');
  await given.discard();
  expect(await readdir(directory)).toEqual([]);

  await make('whole');
  const crashed = await store.begin('crashed');
  await writeFile(crashed.diskPath, 'half');
  await store.removeUnfinished();
  expect(await readdir(directory)).toEqual(['whole']);
});

test('what another user has put there is neither written to nor restored', async () => {
  const others = join(directory, '..', 'others');
  await mkdir(others);
  await mkdir(directory);
  await symlink(others, join(directory, '.first.new'));
  await make('first');
  expect(await readdir(others)).toEqual([]);
  expect((await lstat(join(directory, 'first'))).mode & 0o777).toBe(0o700);
  if (process.getuid?.() !== 0) return;
  await chown(join(directory, 'first'), 65534, 65534);
  await expect(store.find('first')).rejects.toThrow('belongs to user 65534');
});

test('there is nothing to clear away where nothing was ever saved', async () => {
  await expect(store.removeUnfinished()).resolves.toBeUndefined();
  expect(await store.list(true)).toEqual([]);
  await expect(store.list(false)).rejects.toThrow('does not exist for container web');
});

test('what is no checkpoint, or one of another version, is refused', async () => {
  await mkdir(join(directory, 'empty'), { recursive: true });
  await expect(store.find('empty')).rejects.toThrow('is no checkpoint of Caisson');
  await mkdir(join(directory, 'newer'));
  await writeFile(join(directory, 'newer', 'checkpoint.json'), '{"formatVersion":99}');
  await expect(store.find('newer')).rejects.toThrow(
    'checkpoint newer was made by another version of Caisson',
  );
});

test.each(['', 'a', '../x', '.hidden', 'a/b', 'a b', '-x'])('%j is no name', async (name) => {
  expect(() => requireCheckpointName(name)).toThrow(
    `Invalid checkpoint ID (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
  );
  await expect(store.find(name)).rejects.toThrow('does not exist for container web');
  await expect(store.remove(name)).rejects.toThrow('does not exist for container web');
});

test('dots and dashes are fine inside a name', () => {
  expect(() => {
    requireCheckpointName('before-1.2_x');
  }).not.toThrow();
});
