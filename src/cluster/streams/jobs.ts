// Jobs of a supervisor: all of a small output, or a stream of a large one.

import { Readable } from 'node:stream';
import { DaemonError } from '../../errors';
import type { SupervisorJob } from '../supervisor/protocol';
import type { RunningProcess, Supervisor } from '../supervisor/supervisor';

/** All it says, also where it failed. Throws Internal past `maxBytes`. */
export async function readJob(
  supervisor: Supervisor,
  job: SupervisorJob,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<{ output: Buffer; code: number; message: string }> {
  const running = await supervisor.job(job, signal);
  const close = (): void => running.close();
  signal?.addEventListener('abort', close, { once: true });
  try {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const { data } of running.output) {
      size += data.length;
      if (size > maxBytes) throw new DaemonError('Internal', 'the container answered with too much');
      chunks.push(data);
    }
    const { code, message } = await running.exit;
    return { output: Buffer.concat(chunks), code, message };
  } finally {
    signal?.removeEventListener('abort', close);
    running.close();
  }
}

/** Its output as a stream, which fails where the job does. Whoever destroys it gives up on the job, as `signal` does. */
export function jobStream(running: RunningProcess, signal: AbortSignal): Readable {
  const stream = Readable.from(outputOf(running), { objectMode: false });
  const giveUp = (): void => {
    stream.destroy(signal.reason as Error); // an AbortError, or what the caller gave
  };
  signal.addEventListener('abort', giveUp, { once: true });
  stream.once('close', () => {
    signal.removeEventListener('abort', giveUp);
    running.close();
  });
  if (signal.aborted) giveUp();
  return stream;
}

async function* outputOf(running: RunningProcess): AsyncGenerator<Buffer, void, undefined> {
  for await (const { data } of running.output) yield data;
  const { code, message } = await running.exit;
  if (code !== 0) throw new DaemonError('Internal', message);
}
