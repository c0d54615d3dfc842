// A log's records as the lines that Docker keeps: pieces put together, several in one record taken apart. Pure.

import type { LogRecord } from '../../semantics/logs/log-record';
import { decodeLikeGo } from '../../semantics/logs/log-record';
import { formatTimestamp } from '../../go/timestamp';
import type { LogEvent, OutputStream } from '../supervisor/records';

const newline = 10;

export class LineAssembler {
  readonly #begun: Record<OutputStream, Buffer[]> = { stdout: [], stderr: [] };
  readonly #attributes: Record<string, string> | undefined;
  /** By stream: the position behind the last line that has ended. */
  readonly endedAt: Record<OutputStream, number> = { stdout: 0, stderr: 0 };

  constructor(attributes: Record<string, string> | undefined) {
    this.#attributes = attributes;
  }

  /** The lines that end in this record. */
  push(event: LogEvent): LogRecord[] {
    if (event.kind !== 'output') return [];
    const lines: LogRecord[] = [];
    const { data, stream } = event;
    let start = 0;
    for (let at = data.indexOf(newline); at >= 0; at = data.indexOf(newline, start)) {
      lines.push(this.#line(event, data.subarray(start, at + 1), lines.length));
      start = at + 1;
    }
    const rest = data.subarray(start);
    if (event.ends && (rest.length > 0 || this.#begun[stream].length > 0)) {
      lines.push(this.#line(event, rest, lines.length));
    } else if (rest.length > 0) {
      this.#begun[stream].push(Buffer.from(rest));
    }
    if (lines.length > 0) this.endedAt[stream] = event.position - (event.ends ? 0 : rest.length);
    return lines;
  }

  /** `index`: lines of one record have times one after the other. */
  #line(event: Extract<LogEvent, { kind: 'output' }>, end: Buffer, index: number): LogRecord {
    const begun = this.#begun[event.stream];
    const bytes = begun.length === 0 ? end : Buffer.concat([...begun.splice(0), end]);
    return {
      log: decodeLikeGo(bytes),
      stream: event.stream,
      time: formatTimestamp(event.timeNs + BigInt(index)),
      ...(this.#attributes === undefined ? {} : { attrs: this.#attributes }),
    };
  }
}
