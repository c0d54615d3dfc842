// Hands what is shared to a file server, which can open nothing of the host itself: native/share-open opens it.

import { spawn } from 'node:child_process';
import { patientClock, wallClock, whenOver, type Clock } from '../../async/deadline';
import { processClock } from '../../async/process-clock';
import { DaemonError } from '../../errors';

/**
 * Gives native/share-open its lines (`add …`, `save PATH`, `load PATH`) for the server at that control socket, and resolves with
 * as many answers: `ok` or the name of an errno. Rejects with Unavailable when the server does not answer, by its own clock
 * and that of the program that opens.
 */
export async function handOver(
  binary: string,
  controlPath: string,
  lines: readonly string[],
  timeoutMs: number,
  serverClock: Clock,
): Promise<string[]> {
  const child = spawn(binary, [controlPath], { env: {} });
  const openerClock = child.pid === undefined ? wallClock : processClock(child.pid);
  const stopTimer = whenOver(timeoutMs, patientClock(openerClock, serverClock), () => child.kill('SIGKILL'));
  let [output, complaint] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
  child.stdin.on('error', () => undefined); // it has ended: that is told below
  child.stdin.end(lines.map((line) => `${line}\n`).join(''));
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve());
  })
    .catch((error: unknown) => {
      throw new DaemonError('Internal', `start ${binary}`, { cause: error });
    })
    .finally(stopTimer);
  const answers = output.split('\n').slice(0, -1);
  if (answers.length === lines.length) return answers;
  const reason = complaint.trim() || 'timeout';
  throw new DaemonError('Unavailable', `the VM's file server does not answer: ${reason}`);
}
