// What an export tells: a vertex of its own, and a counter for each of its parts.

import { randomBytes } from 'node:crypto';
import { errorMessage } from '../../../errors';
import { digestOf } from '../../llb/graph';
import type { Progress } from '../../contract/progress';
import type { TransferCounter } from '../../../storage/contract/stores';

/** Runs one part of it. `counter` is for what it transfers. */
export type ExportPart = <T>(id: string, work: (counter: TransferCounter) => Promise<T>) => Promise<T>;

export async function tellingExport<T>(
  progress: Progress,
  name: string,
  work: (part: ExportPart) => Promise<T>,
): Promise<T> {
  const digest = digestOf(randomBytes(32));
  const state = { digest, name, inputs: [], startedMs: Date.now() };
  progress.vertex(state);
  const part: ExportPart = async (id, run) => {
    const counter = { vertex: digest, id, current: 0, total: 0, startedMs: Date.now() };
    progress.counter(counter);
    const result = await run(({ id: blob, currentBytes, totalBytes, done }) =>
      progress.counter({
        ...counter,
        id: blob,
        current: currentBytes,
        total: totalBytes,
        ...(done ? { completedMs: Date.now() } : {}),
      }),
    );
    progress.counter({ ...counter, completedMs: Date.now() });
    return result;
  };
  try {
    const result = await work(part);
    progress.vertex({ ...state, completedMs: Date.now() });
    return result;
  } catch (error) {
    progress.vertex({ ...state, completedMs: Date.now(), error: errorMessage(error) });
    throw error;
  }
}
