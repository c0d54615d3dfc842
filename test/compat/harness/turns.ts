// Who may use the engines now: cases run side by side, but one whose first attempt differed is tried again alone, so that
// what another case prunes, or a loaded machine, isn't taken for a difference. flock(2), since jest's workers are processes.

import { spawn } from 'node:child_process';
import { join } from 'node:path';

import { compatEnvironment } from './environment';

/** Runs `work` beside others, or, `alone`, while no other case of any worker runs. Others wait behind one that waits. */
export async function inTurn<T>(alone: boolean, work: () => Promise<T>): Promise<T> {
  const { dir } = compatEnvironment();
  // The first lock is the door: whoever waits to be alone stands in it, and lets nobody else in.
  const script = `exec 8>"$1" 9>"$2"; flock 8; flock ${alone ? '-x' : '-s'} 9; ${alone ? '' : 'flock -u 8; '}echo; exec cat`;
  const holder = spawn('bash', ['-c', script, 'turn', join(dir, 'door.lock'), join(dir, 'engines.lock')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => holder.once('close', () => resolve()));
  try {
    await new Promise<void>((resolve, reject) => {
      holder.once('error', reject);
      holder.once('close', (code) => reject(new Error(`the lock of the engines was not got: exit ${code}`)));
      holder.stdout.once('data', () => resolve());
    });
    return await work();
  } finally {
    holder.stdin.end();
    await ended;
  }
}
