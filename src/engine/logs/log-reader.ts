// Reads a container's log: rotated files first, then the one being written, then what comes while it runs.

import * as fs from 'node:fs';
import type { LogLine } from '../../api/v1.41/backend';
import type { LogSource } from './container-log-store';
import { openAge, type LogFile, type OpenLogFile } from './log-file';
import { parseRecord, parseRecords, parseRunOffsets, type RunOffsets } from '../../semantics/logs/log-record';
import { selectRecords, type LogSelection } from '../../semantics/logs/log-selection';
import { LogSegment } from './log-segment';

export interface LogReadOptions extends LogSelection {
  /** Go on with what is written until the log is closed: the end of the run. Without an open log there's nothing to follow. */
  follow: boolean;
  /** This many records from the end, of whichever stream; undefined: all. */
  tail: number | undefined;
  /** Told of the place in the run up to which all records were read, before their lines are handed out. */
  onRead?: (offsets: RunOffsets) => void;
}

/** Lines in order, in batches of those at hand. Ends at the end of the log or, without an error, with `signal`. */
export async function* readLogBatches(
  source: LogSource,
  options: LogReadOptions,
  signal: AbortSignal,
): AsyncGenerator<LogLine[], void, undefined> {
  const live = options.follow ? source.open : undefined;
  let sequence = source.open?.sequence ?? 0;
  const segments = await openSegments(source, options.tail);
  // What is written from now on belongs to those who follow.
  if (live === undefined) segments.at(-1)?.stopAtPresentEnd();
  // Watch from before the first read, so that no write falls between the last read and the wait.
  const growth = live === undefined ? undefined : new Growth(live, signal);
  try {
    for (;;) {
      const segment = segments[0];
      if (segment === undefined || signal.aborted) return;
      // Looked at before reading: what was written until then is seen by the read.
      const ended = growth === undefined || live === undefined || live.closed;
      const rotated = live !== undefined && live.sequence > sequence;
      const text = await segment.nextLines();
      if (text !== '') {
        const { lines, past } = selectRecords(parseRecords(text), options);
        if (options.onRead !== undefined) tellOffsets(text, options.onRead);
        if (lines.length > 0) yield lines;
        if (past) return;
        continue;
      }
      if (segments.length > 1) {
        segments.shift()?.close();
      } else if (rotated) {
        const next = live.openSequence(sequence + 1);
        if (next === undefined) return;
        sequence = next.sequence;
        segments.push(await LogSegment.open(next));
        segments.shift()?.close();
      } else if (ended) {
        return;
      } else {
        await growth.next();
      }
    }
  } finally {
    growth?.stop();
    for (const segment of segments) segment.close();
  }
}

/** Wakes when the log was written to, rotated or closed, or when the reader is no longer wanted. */
class Growth {
  #grown = false;
  #wake: (() => void) | undefined;
  readonly #unwatch: () => void;
  readonly #signal: AbortSignal;

  constructor(file: LogFile, signal: AbortSignal) {
    this.#unwatch = file.watch(this.#notify);
    this.#signal = signal;
    signal.addEventListener('abort', this.#notify);
  }

  /** Resolves on what happened since the last call, or on the next thing. */
  async next(): Promise<void> {
    if (!this.#grown) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#grown = this.#signal.aborted;
  }

  stop(): void {
    this.#unwatch();
    this.#signal.removeEventListener('abort', this.#notify);
  }

  readonly #notify = (): void => {
    this.#grown = true;
    this.#wake?.();
    this.#wake = undefined;
  };
}

/** The files from which reading starts, oldest first, at the right places. */
async function openSegments(source: LogSource, tail: number | undefined): Promise<LogSegment[]> {
  // All in one turn, so that no rotation comes between.
  const files: OpenLogFile[] = [];
  for (let age = source.maxFiles - 1; age >= 0; age -= 1) {
    const file = openAge(source.path, age);
    if (file !== undefined) files.push(file);
  }
  const segments: LogSegment[] = [];
  let left = tail ?? Infinity;
  try {
    // From the youngest back, until enough lines were seen.
    for (;;) {
      const file = left > 0 || segments.length === 0 ? files.pop() : undefined;
      if (file === undefined) break;
      const segment = await LogSegment.open(file);
      segments.unshift(segment);
      if (tail !== undefined) left -= await segment.seekLastLines(left);
    }
  } catch (error) {
    for (const segment of segments) segment.close();
    throw error;
  } finally {
    for (const file of files) fs.closeSync(file.fd);
  }
  return segments;
}

/** `text` is whole lines: the last says how far they go. */
function tellOffsets(text: string, onRead: (offsets: RunOffsets) => void): void {
  const last = text.slice(text.lastIndexOf('\n', text.length - 2) + 1, -1);
  const offsets = parseRunOffsets(parseRecord(last)?.at);
  if (offsets !== undefined) onRead(offsets);
}
