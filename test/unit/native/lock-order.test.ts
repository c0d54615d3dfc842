// The file server's locks have one order (base/lock-order.h), and its checked build ends when a thread breaks it: all tests of the
// server run on that build.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { makeScratchDir } from '../../support/process/scratch-dir';

const sources = resolve(__dirname, '../../../native/fs-server');
let directory: string;

beforeAll(() => {
  directory = makeScratchDir('lock-order');
  mkdirSync(directory, { recursive: true });
});
afterAll(() => rmSync(directory, { recursive: true }));

/** How a program ends that does this with its locks, and what it says. */
function run(body: string): { signal: string | null; status: number | null; stderr: string } {
  const program = join(directory, 'program');
  const source = `
    #include "base/lock-order.h"
    static struct lock watches = LOCK_OF(LOCK_WATCHES), table = LOCK_OF(LOCK_TABLE), other = LOCK_OF(LOCK_TABLE);
    int main(void) { (void)watches; (void)table; (void)other; ${body} return 0; }`;
  writeFileSync(`${program}.c`, source);
  const files = [`${program}.c`, join(sources, 'base/lock-order.c'), join(sources, 'base/memory.c')];
  const flags = ['-std=gnu17', '-D_GNU_SOURCE', '-DCHECK_LOCK_ORDER', '-pthread', '-iquote', sources];
  execFileSync('gcc', [...flags, '-o', program, ...files]);
  const { signal, status, stderr } = spawnSync(program, { encoding: 'utf8' });
  return { signal, status, stderr };
}

test('locks in their order, given back by scope, may be taken again', () => {
  const once = '{ auto_lock first = take_lock(&watches); auto_lock second = take_lock(&table); }';
  expect(run(once + once)).toEqual({ signal: null, status: 0, stderr: '' });
});

test.each([
  ['a lock that comes before one that is held', 'take_lock(&table); take_lock(&watches);'],
  ['a second lock of the same kind', 'take_lock(&table); take_lock(&other);'],
  ['a lock that nobody else has, all the same', 'take_lock(&table); try_lock(&watches);'],
  ['what is no mutex', 'note_taken(LOCK_HELD); take_lock(&watches);'],
  [
    'a lock that is given back by who has not taken it',
    'pthread_mutex_lock(&table.mutex); give_lock(&table);',
  ],
])('%s ends the process', (_, body) => {
  const { signal, stderr } = run(body);
  expect(signal).toBe('SIGABRT');
  expect(stderr).toMatch(/^fs-server: lock \d+ is (taken|given back) by a thread that has 0x?[\da-f]*\n$/);
});
