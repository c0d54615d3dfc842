// What an export tells: a vertex of its own, and a counter for each of its parts.

import { randomBytes } from 'node:crypto';
import { errorMessage } from '../../../errors';
import { digestOf } from '../../llb/graph';
import type { Progress } from '../../contract/progress';

/** Runs one part of it. */
export type ExportPart = <T>(id: string, work: () => Promise<T>) => Promise<T>;

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
    const result = await run();
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
