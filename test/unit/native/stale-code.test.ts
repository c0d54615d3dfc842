// What is preloaded into an emulating QEMU, in a program that has the two names which it looks for.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { projectDir } from '../../support/process/project-dir';

const library = join(projectDir, 'build/native/stale-code.so');
/** Works until its translations are to be forgotten, and says after how much CPU time, in seconds, that was. */
const emulator = `
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

int processor;
void *cpus;
static atomic_int flushes;
static void *flushed;

void tb_flush(void *cpu)
{
    flushed = cpu;
    atomic_fetch_add(&flushes, 1);
}

static double seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(void)
{
    cpus = &processor;
    while (atomic_load(&flushes) == 0 && seconds() < 60)
        ;
    printf("%d %d %.1f\\n", atomic_load(&flushes), flushed == &processor, seconds());
}
`;

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'stale-code-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('translations are forgotten after some seconds of CPU time, not of waiting', () => {
  const program = join(dir, 'emulator');
  writeFileSync(`${program}.c`, emulator);
  execFileSync('gcc', ['-O1', '-rdynamic', '-o', program, `${program}.c`]);
  const [flushes, isFirst, seconds] = execFileSync(program, {
    env: { LD_PRELOAD: library },
    encoding: 'utf8',
  }).split(' ');
  expect({ flushes, isFirst }).toEqual({ flushes: '1', isFirst: '1' });
  expect(Number(seconds)).toBeGreaterThanOrEqual(5);
  expect(Number(seconds)).toBeLessThan(30);
});

test('a program that has no such names is left alone', () => {
  expect(execFileSync('echo', ['fine'], { env: { LD_PRELOAD: library }, encoding: 'utf8' })).toBe('fine\n');
});
