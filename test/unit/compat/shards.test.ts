import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { shardCount, shardOf, tailRuns, wantedShard } from '../../support/shards';
import { publishEnvironment } from '../../compat/harness/environment';
import { projectDir } from '../../support/process/project-dir';

// heavy to load, and not used before a case runs
jest.mock('dockerode', () => ({}));
jest.mock('../../support/wire/wire-replies', () => ({}));

const numbers = Array.from({ length: shardCount }, (_, index) => index + 1);
const compatDir = join(projectDir, 'test', 'compat');
const files = readdirSync(compatDir, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.test.ts'),
);

/** The titles that a file of test/compat declares in a run that takes `shard`. */
function titlesOf(file: string, shard: string): string[] {
  const titles: string[] = [];
  const before: string[] = [];
  const declare = Object.assign((title: string) => void titles.push([...before, title].join(' ')), {
    concurrent: (title: string) => void titles.push(title),
    todo: (title: string) => void titles.push(title),
    each:
      (rows: readonly unknown[]) =>
      (title: string): void =>
        rows.forEach((row) => titles.push([...before, title, JSON.stringify(row)].join(' '))),
  });
  const block = (title: string, body: () => void): void => {
    before.push(title);
    body();
    before.pop();
  };
  const nothing = (): void => undefined;
  const globals = {
    ...{ test: declare, it: declare, beforeAll: nothing, afterAll: nothing, beforeEach: nothing },
    describe: Object.assign(block, {
      skip: nothing,
      each: (rows: readonly unknown[]) => (title: string, body: (...row: unknown[]) => void) => {
        rows.forEach((row) => block(`${title} ${JSON.stringify(row)}`, () => body(...[row].flat())));
      },
    }),
  };
  const real = Object.fromEntries(
    Object.keys(globals).map((name) => [name, (globalThis as unknown as Record<string, unknown>)[name]]),
  );
  process.env['CAISSON_TEST_SHARD'] = shard;
  Object.assign(globalThis, globals);
  try {
    jest.isolateModules(() => {
      jest.requireActual(join(compatDir, file));
    });
  } finally {
    Object.assign(globalThis, real);
    delete process.env['CAISSON_TEST_SHARD'];
  }
  return titles;
}

beforeAll(() => {
  // of the run that this one is part of
  delete process.env['CAISSON_TEST_SHARD'];
  delete process.env['CAISSON_COMPAT_CLIS'];
  const clis = ['20.10.24', '28.2.2'].map((version) => ({ version, path: '/nonexistent/docker' }));
  const hosts = { dockerd: 'unix:///nonexistent/d', caisson: 'unix:///nonexistent/c' };
  publishEnvironment({ target: 'both', hosts, clis, knownIds: {}, namespacePid: 1, dir: '/nonexistent' });
});

test.each(files)('%s: every run takes its main cases, and a shard what is its own', (file) => {
  const all = titlesOf(file, 'all');
  expect(new Set(all).size).toBe(all.length);
  const dir = mkdtempSync(join(tmpdir(), 'caisson-shards-'));
  try {
    process.env['CAISSON_TEST_LEFT_OUT'] = join(dir, 'left-out');
    writeFileSync(join(dir, 'left-out'), '');
    const core = titlesOf(file, 'core');
    delete process.env['CAISSON_TEST_LEFT_OUT'];
    // a file without any test is an error to jest
    expect(core).not.toEqual([]);
    const tail = readFileSync(join(dir, 'left-out'), 'utf8').split('\n').slice(0, -1);
    expect(core.length + tail.length).toBe(all.length);
    const here = titlesOf(file, '3');
    expect(here).toEqual(expect.arrayContaining(core));
    expect(here.length - core.length).toBe(tail.filter((name) => shardOf(name) === 3).length);
  } finally {
    delete process.env['CAISSON_TEST_LEFT_OUT'];
    rmSync(dir, { recursive: true });
  }
});

test('a case stays in its shard whatever others there are', () => {
  const fixed = ['run: process: umask', 'logs: of binary output', 'exec: large output', 'ü'];
  expect(fixed.map((name) => shardOf(name))).toEqual([5, 1, 5, 3]);
});

test('a run takes of the tail what is in its shard', () => {
  const name = 'exec: large output';
  const shard = shardOf(name);
  expect(numbers.filter((number) => tailRuns(name, number))).toEqual([shard]);
  expect(tailRuns(name, 'all')).toBe(true);
  expect(tailRuns(name, 'core')).toBe(false);
});

test('a shard that is none is refused', () => {
  expect([undefined, '', 'all', 'core', '1', String(shardCount)].map((value) => wantedShard(value))).toEqual([
    ...['all', 'all', 'all', 'core', 1, shardCount],
  ]);
  for (const value of ['0', String(shardCount + 1), 'x', '1.5', '-1'])
    expect(() => wantedShard(value)).toThrow('CAISSON_TEST_SHARD');
});

test('scripts/test.sh finds the number of shards', () => {
  const script = `sed -n 's/^export const shardCount = \\([0-9]*\\);$/\\1/p' test/support/shards.ts`;
  expect(execFileSync('sh', ['-c', script], { cwd: projectDir, encoding: 'utf8' })).toBe(`${shardCount}\n`);
});
