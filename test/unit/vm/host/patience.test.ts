// On processes of our own: one that is stopped, one that works, one that sleeps.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { findProcess, type HostProcess } from '../../../../src/vm/host/host-process';
import { Patience, type PatienceOptions } from '../../../../src/vm/host/patience';

const children: ChildProcess[] = [];
const watches: Patience[] = [];

afterEach(() => {
  for (const watch of watches.splice(0)) watch.end();
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

async function start(...command: [string, ...string[]]): Promise<HostProcess> {
  const [program, ...args] = command;
  const child = spawn(program, args, { stdio: 'ignore' });
  children.push(child);
  await once(child, 'spawn');
  const found = await findProcess(child.pid ?? 0);
  if (found === undefined) throw new Error('it has ended');
  return found;
}

function watch(target: HostProcess, options: Partial<PatienceOptions>): Patience {
  const patience = new Patience(target, {
    ranMs: 1e9,
    idleMs: 1e9,
    countsStops: false,
    pollMs: 20,
    ...options,
  });
  watches.push(patience);
  return patience;
}

async function reason({ over }: Patience): Promise<string> {
  if (!over.aborted) await once(over, 'abort');
  return (over.reason as Error).message;
}

test('one that has nothing to do is given up', async () => {
  const patience = watch(await start('sleep', '60'), { idleMs: 100 });
  expect(await reason(patience)).toMatch(/no answer of the VM: it had nothing to do for \d+ ms/);
});

test('one that works is given up by the CPU time that it had', async () => {
  const patience = watch(await start('sh', '-c', 'while :; do :; done'), { ranMs: 100 });
  expect(await reason(patience)).toMatch(/it ran for \d+ ms without/);
});

test('one that has ended is given up at once', async () => {
  const target = await start('sleep', '60');
  const patience = watch(target, {});
  process.kill(target.pid, 'SIGKILL');
  expect(await reason(patience)).toMatch(/its process has ended/);
});

test('one that is stopped is waited for, or not, as is asked', async () => {
  const target = await start('sleep', '60');
  process.kill(target.pid, 'SIGSTOP');
  const [patient, impatient] = [
    watch(target, { idleMs: 100 }),
    watch(target, { idleMs: 100, countsStops: true }),
  ];
  await reason(impatient);
  while (patient.stoppedMs < 200) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(patient.over.aborted).toBe(false);
  process.kill(target.pid, 'SIGCONT');
  expect(await reason(patient)).toMatch(/it had nothing to do/);
  expect(patient.stoppedMs).toBe(0);
});
