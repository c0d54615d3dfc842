import { existsSync, rmSync } from 'node:fs';
import { Readable } from 'node:stream';

import { readEntries } from '../../../../src/builder/archive-tree';
import { LayerIndexes } from '../../../../src/builder/image-files';
import { CacheTars, keepCache, openCache } from '../../../../src/cluster/builds/cache-tars';
import { mountFiles } from '../../../../src/cluster/builds/mount-files';
import { buildEntry, emptyEntry, padding } from '../../../../src/storage/tar/tar-header';
import { makeScratchDir } from '../../../support/process/scratch-dir';

function file(name: string, text: string): Buffer[] {
  const header = emptyEntry({ name, type: '0', size: text.length, mode: 0o644 });
  return [buildEntry(header), Buffer.from(text), padding(text.length)];
}

const directory = (name: string): Buffer => buildEntry(emptyEntry({ name, type: '5', mode: 0o750 }));
const end = Buffer.alloc(1024);
const layers: Record<string, Buffer> = {
  lower: Buffer.concat([directory('tree/'), ...file('tree/old', 'old'), ...file('tree/kept', 'kept'), end]),
  upper: Buffer.concat([...file('tree/.wh.old', ''), ...file('tree/new', 'new'), end]),
};
const reader = { openTar: (diffId: string) => Readable.from([layers[diffId] ?? end]) };
const needs = { layers: reader, indexes: new LayerIndexes(reader) };

async function namesIn(tar: Readable): Promise<string[]> {
  return (await readEntries(tar as AsyncIterable<Buffer>)).map(({ entry }) => `${entry.type} ${entry.name}`);
}

const tree = {
  kind: 'layers',
  dest: '/t',
  diffIds: ['lower', 'upper'],
  readonly: true,
  keepsChanges: false,
} as const;

it.each([
  ['/tree', ['5 content/', '0 content/kept', '0 content/new']],
  ['/tree/new', ['0 content']],
])('files of layers are sent as what is mounted: %s', async (selector, names) => {
  const mount = { mount: { ...tree, selector }, target: '/t', directory: '/mounts/mount-0' };
  expect((await namesIn(await mountFiles(needs, mount))).sort()).toEqual([...names].sort());
});

it('a selector that leads nowhere is told', async () => {
  const mount = { mount: { ...tree, selector: '/no' }, target: '/t', directory: '/mounts/mount-0' };
  await expect(mountFiles(needs, mount)).rejects.toThrow('"/no": not found');
});

const root = makeScratchDir('cache-tars');
afterAll(() => rmSync(root, { recursive: true }));

it('a cache has what the last step left, within its bound', async () => {
  const caches = new CacheTars(root);
  const path = await caches.create('one');
  const mount = {
    mount: { kind: 'cache', dest: '/c', diskPath: path, fill: ['lower'], selector: '/tree', readonly: false },
    ...{ target: '/c', directory: '/mounts/mount-0' },
  } as const;
  expect(await namesIn(await mountFiles(needs, mount))).toContain('0 content/old');
  const left = Buffer.concat([directory('content/'), ...file('content/left', 'left'), end]);
  await keepCache(path, '/tree', Readable.from([left]), 1 << 20);
  expect(await namesIn(await mountFiles(needs, mount))).toEqual(['5 content/', '0 content/left']);
  expect(await openCache(path, '/other')).toBeUndefined();
  await expect(keepCache(path, '/tree', Readable.from([left, left]), left.length)).rejects.toThrow('bytes');
  expect(await namesIn(await mountFiles(needs, mount))).toEqual(['5 content/', '0 content/left']);
  expect(await caches.usageBytes('one')).toBeGreaterThan(0);
  await caches.keepOnly(new Set());
  expect(existsSync(path)).toBe(false);
});
