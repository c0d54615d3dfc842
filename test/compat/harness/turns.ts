// Who may use the engines now: cases run side by side, but one whose first attempt differed is tried again alone, so that
// what another case prunes, or a loaded machine, isn't taken for a difference. flock(2), since jest's workers are processes.

import { spawn } from 'node:child_process';
import { join } from 'node:path';

import { compatEnvironment } from './environment';

interface Lock {
  release(): Promise<void>;
}

/** One for all cases of this process that run side by side. */
let shared: Promise<Lock> | undefined;
let sharers = 0;

/**
 * Runs `work` beside others, or, `alone`, while no other case of any worker runs. Nobody waits for one that waits to be
 * alone: its turn comes in a pause, at the end of a file at the latest.
 */
export async function inTurn<T>(alone: boolean, work: () => Promise<T>): Promise<T> {
  if (!alone) return beside(work);
  const lock = await takeLock('--exclusive');
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

async function beside<T>(work: () => Promise<T>): Promise<T> {
  sharers += 1;
  shared ??= takeLock('--shared');
  const taken = shared;
  try {
    await taken;
    return await work();
  } finally {
    sharers -= 1;
    if (sharers === 0) {
      shared = undefined;
      await taken.then((lock) => lock.release());
    }
  }
}

async function takeLock(kind: '--shared' | '--exclusive'): Promise<Lock> {
  const path = join(compatEnvironment().dir, 'engines.lock');
  const holder = spawn('flock', [kind, path, 'sh', '-c', 'echo; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => holder.once('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    holder.once('error', reject);
    holder.once('close', (code) => reject(new Error(`the lock of the engines was not got: exit ${code}`)));
    holder.stdout.once('data', () => resolve());
  });
  return {
    release: async () => {
      holder.stdin.end();
      await ended;
    },
  };
}
