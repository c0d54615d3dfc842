// Cuts the streams of one run into records: lines, and parts of 16 KiB of longer ones, as dockerd's copier does.

import { formatTimestamp, nowNanoseconds } from '../../go/timestamp';
import { escapeBytes, isPlainText, recordSuffix, type LogStream, type RunOffsets } from './log-record';

/** A line longer than this is kept in parts of this size. */
export const partialBytes = 16_384;

const nanosecondsPerSecond = 1_000_000_000;
/** Between two records of one chunk, so that their times differ and stay in order. */
const recordStepNanoseconds = 101;

/** Timestamps that never go back; within one chunk they advance by a small step. */
class RecordClock {
  #seconds = 0;
  #nanoseconds = 0;
  #prefix = '';

  /** Call at the beginning of each chunk. */
  synchronize(): void {
    const now = nowNanoseconds();
    const seconds = Number(now / 1_000_000_000n);
    const nanoseconds = Number(now % 1_000_000_000n);
    if (seconds < this.#seconds || (seconds === this.#seconds && nanoseconds <= this.#nanoseconds)) return;
    this.#set(seconds, nanoseconds);
  }

  next(): string {
    const nanoseconds = this.#nanoseconds + recordStepNanoseconds;
    if (nanoseconds < nanosecondsPerSecond) this.#nanoseconds = nanoseconds;
    else this.#set(this.#seconds + 1, nanoseconds - nanosecondsPerSecond);
    let digits = String(nanosecondsPerSecond + this.#nanoseconds).slice(1);
    // Go drops trailing zeros of RFC3339Nano.
    if (digits.endsWith('0')) digits = digits.replace(/0+$/, '');
    return digits === '' ? `${this.#prefix}Z` : `${this.#prefix}.${digits}Z`;
  }

  #set(seconds: number, nanoseconds: number): void {
    if (seconds !== this.#seconds) {
      this.#prefix = formatTimestamp(BigInt(seconds) * 1_000_000_000n).slice(0, 19);
    }
    this.#seconds = seconds;
    this.#nanoseconds = nanoseconds;
  }
}

interface StreamState {
  /** Begin of a line that has no newline yet; shorter than partialBytes. */
  held: Buffer;
  /** Offset of the end of the last record. */
  recorded: number;
  /** Set between the parts of one long line: they share the first one's time. */
  partialTime: string | undefined;
  suffix: string;
}

export class RecordEncoder {
  readonly #clock = new RecordClock();
  readonly run: string;
  readonly #streams: Record<LogStream, StreamState>;

  /** `offsets` say which bytes of the run are in the log already. */
  constructor(offsets: RunOffsets, attributes: Record<string, string> | undefined) {
    this.run = offsets.run;
    const attributesJson = attributes === undefined ? undefined : JSON.stringify(attributes);
    const state = (stream: LogStream): StreamState => ({
      held: Buffer.alloc(0),
      recorded: offsets[stream],
      partialTime: undefined,
      suffix: recordSuffix(stream, attributesJson),
    });
    this.#streams = { stdout: state('stdout'), stderr: state('stderr') };
  }

  /** Offset of the end of the last record made of this stream. */
  recorded(stream: LogStream): number {
    return this.#streams[stream].recorded;
  }

  /** Offset of the next byte expected: what lies between `recorded` and this is held until its line ends. */
  taken(stream: LogStream): number {
    const state = this.#streams[stream];
    return state.recorded + state.held.length;
  }

  /** Forgets what is held and goes on at `offset`: bytes in between are lost (the log was cut by someone else). */
  skipTo(stream: LogStream, offset: number): void {
    const state = this.#streams[stream];
    state.held = Buffer.alloc(0);
    state.recorded = offset;
    state.partialTime = undefined;
  }

  /** Puts the records that `data` completes behind those in `into`, each with its newline. */
  encode(stream: LogStream, data: Buffer, into: string[]): void {
    const state = this.#streams[stream];
    const bytes = state.held.length === 0 ? data : Buffer.concat([state.held, data]);
    const latin1 = bytes.toString('latin1');
    const plain = isPlainText(latin1);
    this.#clock.synchronize();
    let start = 0;
    while (start < bytes.length) {
      const end = latin1.indexOf('\n', start);
      if (end >= 0 && end - start < partialBytes) {
        const line = latin1.slice(start, end);
        this.#push(
          stream,
          plain ? line : escapeBytes(bytes.subarray(start, end), line),
          end + 1 - start,
          true,
          into,
        );
        start = end + 1;
      } else if (bytes.length - start >= partialBytes) {
        const stop = start + partialBytes;
        this.#push(
          stream,
          escapeBytes(bytes.subarray(start, stop), latin1.slice(start, stop)),
          partialBytes,
          false,
          into,
        );
        start = stop;
      } else {
        break;
      }
    }
    // A copy: the caller's buffer may be part of a much larger one.
    state.held = Buffer.from(bytes.subarray(start));
  }

  /** The stream has ended: a last line without newline becomes a record without newline. */
  finish(stream: LogStream, into: string[]): void {
    const state = this.#streams[stream];
    const bytes = state.held;
    if (bytes.length === 0) return;
    this.#clock.synchronize();
    state.held = Buffer.alloc(0);
    this.#push(stream, escapeBytes(bytes, bytes.toString('latin1')), bytes.length, false, into);
  }

  #push(stream: LogStream, text: string, length: number, complete: boolean, into: string[]): void {
    const state = this.#streams[stream];
    const { stdout, stderr } = this.#streams;
    const time = state.partialTime ?? this.#clock.next();
    state.partialTime = complete ? undefined : time;
    state.recorded += length;
    const end = complete ? '\\n' : '';
    into.push(
      `{"log":"${text}${end}${state.suffix}${time}","at":"${this.run}:${stdout.recorded}:${stderr.recorded}"}\n`,
    );
  }
}
