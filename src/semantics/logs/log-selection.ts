// Which lines of a log a client asked for, and as what it sees them. Pure.

import type { LogLine } from '../../api/v1.41/backend';
import { DaemonError } from '../../errors';
import { renderRecord, type LogRecord, type LogStream } from './log-record';

export interface LogSelection {
  streams: ReadonlySet<LogStream>;
  /** Milliseconds since the epoch, with fraction; 0: no limit. Both ends are included. */
  sinceMs: number;
  untilMs: number;
  timestamps: boolean;
  details: boolean;
}

/** A double holds milliseconds since the epoch to a quarter of a microsecond. */
const clockSlackMs = 0.0005;

/** Of these records the lines that are wanted; `past`: what comes later is not. */
export function selectRecords(
  records: readonly LogRecord[],
  options: LogSelection,
): { lines: LogLine[]; past: boolean } {
  const { sinceMs, untilMs, streams } = options;
  const lines: LogLine[] = [];
  for (const record of records) {
    if (sinceMs !== 0 || untilMs !== 0) {
      const time = timeMs(record.time);
      if (sinceMs !== 0 && time < sinceMs - clockSlackMs) continue;
      if (untilMs !== 0 && time > untilMs + clockSlackMs) return { lines, past: true };
    }
    if (streams.has(record.stream))
      lines.push({ stream: record.stream, data: renderRecord(record, options) });
  }
  return { lines, past: false };
}

function timeMs(time: string): number {
  const fraction = time.length > 20 ? Number(`0.${time.slice(20, -1)}`) : 0;
  return Date.parse(`${time.slice(0, 19)}Z`) + fraction * 1000;
}

/** The batches one line at a time; `more` says that the next line is at hand. */
export function logLines(batches: AsyncGenerator<LogLine[], void, undefined>): AsyncIterable<LogLine> {
  let batch: LogLine[] = [];
  let at = 0;
  const fromBatch = (): IteratorResult<LogLine> | undefined => {
    const line = batch[at];
    if (line === undefined) return undefined;
    at += 1;
    if (at < batch.length) line.more = true;
    return { done: false, value: line };
  };
  const fromNextBatch = async (): Promise<IteratorResult<LogLine>> => {
    for (;;) {
      const result = await batches.next();
      if (result.done === true) return { done: true, value: undefined };
      batch = result.value;
      at = 0;
      const line = fromBatch();
      if (line !== undefined) return line;
    }
  };
  return {
    [Symbol.asyncIterator]: () => ({
      // There may be hundreds of thousands of lines: most of them must not cost an async function's call.
      next: () => {
        const line = fromBatch();
        return line === undefined ? fromNextBatch() : Promise.resolve(line);
      },
      return: async () => {
        await batches.return();
        return { done: true, value: undefined };
      },
    }),
  };
}

/** The streams that a client wants. Throws InvalidParameter for none. */
export function wantedStreams({ stdout, stderr }: { stdout: boolean; stderr: boolean }): Set<LogStream> {
  const streams = new Set<LogStream>();
  if (stdout) streams.add('stdout');
  if (stderr) streams.add('stderr');
  if (streams.size === 0) {
    throw new DaemonError('InvalidParameter', 'Bad parameters: you must choose at least one stream');
  }
  return streams;
}
