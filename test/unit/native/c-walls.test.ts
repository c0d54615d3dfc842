// scripts/c-walls.mjs against small programs of two folders: `low` stands below `high`.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

import { makeScratchDir } from '../../support/process/scratch-dir';

const root = resolve(__dirname, '../../..');
let directory: string;

beforeEach(() => {
  directory = makeScratchDir('c-walls');
});

afterEach(() => rmSync(directory, { recursive: true }));

function write(file: string, text: string): void {
  const source = join(directory, 'source', file);
  mkdirSync(dirname(source), { recursive: true });
  writeFileSync(source, text);
}

function compile(file: string): void {
  const source = join(directory, 'source');
  const object = join(directory, 'objects', file.replace(/c$/, 'o'));
  mkdirSync(dirname(object), { recursive: true });
  execFileSync('gcc', ['-c', '-iquote', source, '-o', object, join(source, file)]);
}

/** What the script complains of, in a program of these files, line by line. */
function complaints(files: Record<string, string>): string[] {
  for (const [file, text] of Object.entries(files)) write(file, text);
  for (const file of Object.keys(files)) if (file.endsWith('.c')) compile(file);
  const script = join(root, 'scripts/c-walls.mjs');
  const run = spawnSync(process.execPath, [script, 'source', 'objects', 'low', 'high'], {
    cwd: directory,
    encoding: 'utf8',
  });
  const lines = run.stderr.split('\n').filter((line) => line !== '');
  expect(run.status).toBe(lines.length > 0 ? 1 : 0);
  return lines;
}

const high = { 'high/high.h': 'void high(void);\n', 'high/high.c': 'void high(void) {}\n' };

test('a folder may use those below it, and the top uses all', () => {
  expect(
    complaints({
      'low/low.h': 'void low(void);\n',
      'low/low.c': '#include "low/low.h"\nvoid low(void) {}\n',
      'high/high.h': 'void high(void);\n',
      'high/high.c': '#include "low/low.h"\nvoid high(void) { low(); }\n',
      'main.c': '#include "high/high.h"\nint main(void) { high(); }\n',
    }),
  ).toEqual([]);
});

test('an include of what stands above is named by its line', () => {
  expect(complaints({ ...high, 'low/low.c': 'int low;\n#include "high/high.h"\n' })).toEqual([
    'source/low/low.c:2 includes high/high.h, but high stands above low',
  ]);
});

test('a call of what stands above needs no include to be found', () => {
  expect(complaints({ ...high, 'low/low.c': 'void high(void);\nvoid low(void) { high(); }\n' })).toEqual([
    'source/low/low.c uses high of high/high.c, but high stands above low',
  ]);
});

test('files of a folder that need each other are a circle', () => {
  expect(
    complaints({
      'low/a.h': 'void a(void);\n',
      'low/a.c': '#include "low/b.h"\nvoid a(void) {}\n',
      'low/b.h': 'void b(void);\n',
      'low/b.c': 'void a(void);\nvoid b(void) { a(); }\n',
    }),
  ).toEqual([
    'a circle of files:',
    '  source/low/a.c:1 includes low/b.h',
    '  source/low/b.c uses a of low/a.c',
  ]);
});

test('a folder without a row is refused', () => {
  expect(complaints({ 'middle/middle.c': 'int middle;\n' })).toEqual([
    'source/middle has no row in scripts/c-walls.mjs',
  ]);
});

test('headers are named from the top of the program', () => {
  const own = { 'low/low.h': 'void low(void);\n', 'low/low.c': '#include "low.h"\nvoid low(void) {}\n' };
  expect(complaints(own)).toEqual([
    'source/low/low.c:1 includes low.h: headers are named from source or from the top',
  ]);
});
