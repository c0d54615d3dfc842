// The lines of a log that the page has: as many as the limit, the oldest go first.

import { plainText } from './ansi';
import type { StreamName } from './frames';

export interface LogEntry {
  /** Counts up from 0, also over those that have gone. */
  number: number;
  stream: StreamName;
  /** As the daemon wrote it, RFC 3339 with nanoseconds; empty: none. */
  time: string;
  text: string;
}

export interface LogFilter {
  /** In any case; empty: all. */
  text: string;
  streams: 'both' | StreamName;
  /** Milliseconds since the epoch. */
  since?: number | undefined;
  until?: number | undefined;
}

export const linesKept = 200_000;

export class LogBuffer {
  #entries: LogEntry[] = [];
  #next = 0;
  #dropped = 0;
  readonly #limit: number;
  #filter: LogFilter = { text: '', streams: 'both' };
  /** What the filter lets through; undefined: all. */
  #shown: LogEntry[] | undefined;

  constructor(limit = linesKept) {
    this.#limit = limit;
  }

  /**
   * `line`: with the time in front, if the log was asked for with timestamps. `after`: of those up to this time it is known that they are
   * here.
   */
  add(stream: StreamName, line: string, after = ''): void {
    const stamped = /^(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)) ?/.exec(line);
    // of one length, so that text is in the order of time
    if (stamped?.[1] !== undefined && stamped[1] <= after) return;
    const entry = {
      number: this.#next++,
      stream,
      time: stamped?.[1] ?? '',
      text: stamped === null ? line : line.slice(stamped[0].length),
    };
    this.#entries.push(entry);
    if (this.#shown !== undefined && passes(entry, this.#filter)) this.#shown.push(entry);
    // in large pieces: one by one each would move all the others
    if (this.length > this.#limit + 10_000) this.#drop(this.length - this.#limit);
  }

  set filter(filter: LogFilter) {
    this.#filter = filter;
    const passesAll =
      filter.text === '' &&
      filter.streams === 'both' &&
      filter.since === undefined &&
      filter.until === undefined;
    this.#shown = passesAll ? undefined : this.#entries.filter((entry) => passes(entry, filter));
  }

  /** Of the last line that has one; empty: there is none. */
  get lastTime(): string {
    return this.#entries.findLast(({ time }) => time !== '')?.time ?? '';
  }

  /** All that there are. */
  get length(): number {
    return this.#entries.length;
  }

  /** Lines that came before those that are kept. */
  get dropped(): number {
    return this.#dropped;
  }

  get shown(): readonly LogEntry[] {
    return this.#shown ?? this.#entries;
  }

  get all(): readonly LogEntry[] {
    return this.#entries;
  }

  #drop(count: number): void {
    this.#entries = this.#entries.slice(count);
    this.#dropped += count;
    if (this.#shown === undefined) return;
    const first = this.#entries[0]?.number ?? this.#next;
    this.#shown = this.#shown.filter(({ number }) => number >= first);
  }
}

function passes({ stream, time, text }: LogEntry, filter: LogFilter): boolean {
  if (filter.streams !== 'both' && stream !== filter.streams) return false;
  if (filter.since !== undefined || filter.until !== undefined) {
    const at = Date.parse(time);
    if (filter.since !== undefined && !(at >= filter.since)) return false;
    if (filter.until !== undefined && !(at <= filter.until)) return false;
  }
  return filter.text === '' || plainText(text).toLowerCase().includes(filter.text.toLowerCase());
}
