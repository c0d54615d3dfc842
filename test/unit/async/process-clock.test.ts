import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { processClock } from '../../../src/async/process-clock';

const children: ChildProcess[] = [];
afterEach(() => children.splice(0).forEach((child) => child.kill('SIGKILL')));

/** All on one CPU. */
async function busy(): Promise<number> {
  const child = spawn('taskset', ['-c', '0', 'sh', '-c', 'echo; while :; do :; done'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  children.push(child);
  await once(child.stdout, 'data');
  return child.pid ?? 0;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

it('does not count the time in which the process waits for a CPU', async () => {
  const [pid] = await Promise.all([busy(), busy(), busy(), busy()]);
  const start = performance.now();
  const elapsed = processClock(pid)();
  await pause(1000);
  expect(elapsed()).toBeLessThan(0.7 * (performance.now() - start));
});

it('counts all the time of a process that wants no CPU, is stopped, or is gone', async () => {
  const pid = await busy();
  process.kill(pid, 'SIGSTOP');
  await pause(50);
  for (const clock of [processClock(pid), processClock(2 ** 22 + 1)]) {
    const start = performance.now();
    const elapsed = clock();
    await pause(200);
    expect(elapsed()).toBeGreaterThan(0.8 * (performance.now() - start));
  }
});
