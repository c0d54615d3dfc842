import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { VolumeFillings } from '../../../../src/storage/disks/volume-filling';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'volume-filling-'));
  for (const name of ['a', 'b']) mkdirSync(join(root, name, '_data'), { recursive: true });
});

afterEach(() => rmSync(root, { recursive: true }));

const content = (name: string): string[] => readdirSync(join(root, name, '_data'));
const put = (name: string, file: string): void => writeFileSync(join(root, name, '_data', file), '');

it('gives the empty ones to be filled, and once filled to nobody', async () => {
  put('b', 'file');
  const fillings = new VolumeFillings(root);
  const first = await fillings.begin(['b', 'a', 'a']);
  expect([...first.names]).toEqual(['a']);
  put('a', 'image');
  await first.complete();
  await first.abandon();
  expect((await fillings.begin(['a'])).names.size).toBe(0);
  expect(content('a')).toEqual(['image']);
  expect(readdirSync(join(root, 'a'))).toEqual(['_data']);
});

it('lets the second wait for the first', async () => {
  const fillings = new VolumeFillings(root);
  const first = await fillings.begin(['a', 'b']);
  const order: string[] = [];
  const others = [['b', 'a'], ['a']].map(async (names) => {
    const other = await fillings.begin(names);
    order.push(`${[...other.names].join()} of ${names.join()}`);
    put('a', 'image');
    await other.complete();
  });
  order.push('filled');
  await first.complete();
  await Promise.all(others);
  expect(order).toHaveLength(3);
  expect(order[0]).toBe('filled');
  // nothing was copied by the first: one of the others fills it
  expect(order.filter((line) => line.startsWith('a'))).toHaveLength(1);
});

it('empties what was given up, and what a crash has cut short', async () => {
  const fillings = new VolumeFillings(root);
  const first = await fillings.begin(['a', 'b']);
  put('a', 'half');
  put('b', 'half');
  const crashed = new VolumeFillings(root);
  expect([...(await crashed.begin(['b'])).names]).toEqual(['b']);
  expect(content('b')).toEqual([]);
  await first.abandon();
  expect(content('a')).toEqual([]);
});

it('holds nothing after it has failed', async () => {
  const fillings = new VolumeFillings(root);
  await expect(fillings.begin(['a', 'gone'])).rejects.toThrow('ENOENT');
  mkdirSync(join(root, 'gone', '_data'), { recursive: true });
  expect((await fillings.begin(['a', 'gone'])).names.size).toBe(2);
});

it('empties what has names of no encoding', async () => {
  const first = await new VolumeFillings(root).begin(['a']);
  writeFileSync(Buffer.concat([Buffer.from(join(root, 'a', '_data', 'h')), Buffer.from([0xff, 0xfe])]), '');
  mkdirSync(join(root, 'a', '_data', 'directory', 'inner'), { recursive: true });
  await first.abandon();
  expect(content('a')).toEqual([]);
});

it('leaves a volume alone that a container has which runs', async () => {
  const fillings = new VolumeFillings(root);
  const first = await fillings.begin(['a', 'b'], (name) => name === 'a');
  for (const name of ['a', 'b']) put(name, 'theirs');
  await first.abandon();
  expect([content('a'), content('b')]).toEqual([['theirs'], []]);
  expect(readdirSync(join(root, 'a'))).toEqual(['_data']);
  // nor what a crash has cut short
  put('b', 'theirs');
  writeFileSync(join(root, 'b', 'filling'), '');
  expect((await fillings.begin(['b'], () => true)).names.size).toBe(0);
  expect(content('b')).toEqual(['theirs']);
});
