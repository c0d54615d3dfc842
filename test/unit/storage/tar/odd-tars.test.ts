// Every odd archive through the two readers on the host: as a layer, and as what ADD and a build's context unpack. Some
// declare sizes that a disk has no room for: these are not for engines that would write them out.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { applyArchive, readEntries } from '../../../../src/builder/archive-tree';
import { type BuildContext, spoolContext } from '../../../../src/builder/context';
import { FileTree, walk } from '../../../../src/builder/file-tree';
import { TreeChanges } from '../../../../src/builder/tree-changes';
import { DaemonError } from '../../../../src/errors';
import { LayerTar, type LayerTarOptions } from '../../../../src/storage/layers/layer-tar';
import { type TarEntry, TarError } from '../../../../src/storage/tar/tar-header';
import { TarParser } from '../../../../src/storage/tar/tar-parser';
import { oddTars } from '../../../support/images/odd-tars';

const maxContentBytes = 1 << 24;
/** Hundreds of archives in each test. */
jest.setTimeout(60_000);

/** A layer's entries as they are handed to squashfs; undefined if it is refused. Anything thrown but TarError fails. */
async function asLayer(tar: Buffer): Promise<TarEntry[] | undefined> {
  try {
    const first = await rewrite(tar, { maxContentBytes });
    if (!first.layer.needsPlan) return first.entries;
    const scan = await rewrite(tar, { scan: true });
    return (await rewrite(tar, { maxContentBytes, plan: scan.layer.plan() })).entries;
  } catch (error) {
    if (error instanceof TarError) return undefined;
    throw error;
  }
}

async function rewrite(
  tar: Buffer,
  options: LayerTarOptions,
): Promise<{ layer: LayerTar; entries: TarEntry[] }> {
  const layer = new LayerTar(options);
  const entries: TarEntry[] = [];
  const reader = new TarParser({ entry: (entry) => (entries.push(entry), false), data: () => undefined });
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      // what was written before a plan turned out to be needed is cut, and of no use
      if (!layer.needsPlan) reader.write(chunk);
      done();
    },
  });
  await pipeline(Readable.from([tar], { objectMode: false }), layer, sink);
  return { layer, entries };
}

async function asTree(tar: Buffer): Promise<FileTree | undefined> {
  const changes = new TreeChanges(new FileTree());
  try {
    const entries = await readEntries(Readable.from([tar], { objectMode: false }) as AsyncIterable<Buffer>);
    changes.makeDirectories('in');
    applyArchive(changes, 'in', entries, { kind: 'file', path: 'nowhere' });
  } catch (error) {
    if (!(error instanceof TarError || error instanceof DaemonError)) throw error;
  }
  return changes.tree;
}

const groups = Object.entries(oddTars()).filter(([group]) => group !== 'compressed');

describe.each(groups)('odd archives: %s', (_group, archives) => {
  test('as layers they are refused, or have plain names in their root', async () => {
    for (const [name, tar] of Object.entries(archives)) {
      for (const entry of (await asLayer(tar)) ?? []) {
        expect([name, entry.name]).toEqual([name, expect.not.stringMatching(/^\/|(^|\/)\.{1,2}(\/|$)|\/\//)]);
        expect([name, entry.name.split('/').every((part) => part.length <= 255)]).toEqual([name, true]);
      }
    }
  });

  test('in a build nothing lands outside of where they are unpacked', async () => {
    for (const [name, tar] of Object.entries(archives)) {
      const tree = await asTree(tar);
      const outside = [...walk(tree?.root ?? new FileTree().root)].filter(
        ({ path }) => !/^in(\/|$)/.test(path),
      );
      expect([name, outside.map(({ path }) => path)]).toEqual([name, []]);
    }
  });
});

test('compressed ones are read or refused, whatever is wrong with them', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'caisson-odd-'));
  try {
    for (const [name, data] of Object.entries(oddTars()['compressed'] ?? {})) {
      const path = join(directory, 'context');
      const source = Readable.from([data], { objectMode: false });
      const told = await spoolContext(source, path, new AbortController().signal).catch(
        (error: unknown) => error,
      );
      const isGood = told instanceof DaemonError || (told as BuildContext).tree.lookup('noise') !== undefined;
      expect([name, isGood || name.endsWith('of nothing')]).toEqual([name, true]);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});
