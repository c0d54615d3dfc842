// The writer of a driver that sends lines elsewhere: each line goes to the collector and into the container's own file,
// which `docker logs` reads (as dockerd's cache of such drivers).

import type { ContainerLogWriter } from '../../core/container-log';
import type { LogStream } from '../../../semantics/logs/log-record';
import { partialBytes } from '../../../semantics/logs/record-encoder';
import type { LogCollector } from './log-collector';

export interface LogLine {
  stream: LogStream;
  /** Without its newline. */
  text: Buffer;
  /** A part of a line that is longer than 16 KiB: not the last one. */
  partial: boolean;
  timeMs: number;
}

export class ForwardingLogWriter implements ContainerLogWriter {
  readonly #file: ContainerLogWriter;
  readonly #collector: LogCollector;
  readonly #encode: (line: LogLine) => Buffer[];
  readonly #streams: Record<LogStream, { taken: number; held: Buffer }>;

  constructor(file: ContainerLogWriter, collector: LogCollector, encode: (line: LogLine) => Buffer[]) {
    this.#file = file;
    this.#collector = collector;
    this.#encode = encode;
    const state = (stream: LogStream): { taken: number; held: Buffer } => ({
      taken: file.durableOffset(stream),
      held: Buffer.alloc(0),
    });
    this.#streams = { stdout: state('stdout'), stderr: state('stderr') };
  }

  get run(): string {
    return this.#file.run ?? '';
  }

  durableOffset(stream: LogStream): number {
    return this.#file.durableOffset(stream);
  }

  append(stream: LogStream, data: Buffer, offset: number): Promise<number> {
    const state = this.#streams[stream];
    const fresh = offset < state.taken ? data.subarray(state.taken - offset) : data;
    state.taken = Math.max(state.taken, offset + data.length);
    this.#forward(stream, fresh);
    return this.#file.append(stream, data, offset);
  }

  end(stream: LogStream): Promise<number> {
    this.#finish(stream);
    return this.#file.end(stream);
  }

  async close(): Promise<void> {
    for (const stream of ['stdout', 'stderr'] as const) this.#finish(stream);
    await Promise.all([this.#file.close(), this.#collector.close()]);
  }

  /** A last line without newline. */
  #finish(stream: LogStream): void {
    const state = this.#streams[stream];
    if (state.held.length > 0) this.#send(stream, state.held, false);
    state.held = Buffer.alloc(0);
  }

  #forward(stream: LogStream, fresh: Buffer): void {
    const state = this.#streams[stream];
    let rest = state.held.length === 0 ? fresh : Buffer.concat([state.held, fresh]);
    for (;;) {
      const end = rest.indexOf('\n');
      if (end >= 0 && end < partialBytes) {
        this.#send(stream, rest.subarray(0, end), false);
        rest = rest.subarray(end + 1);
      } else if (rest.length >= partialBytes) {
        this.#send(stream, rest.subarray(0, partialBytes), true);
        rest = rest.subarray(partialBytes);
      } else {
        break;
      }
    }
    // A copy: the caller's buffer may be part of a much larger one.
    state.held = Buffer.from(rest);
  }

  #send(stream: LogStream, text: Buffer, partial: boolean): void {
    if (text.length === 0 && !partial) return; // dockerd sends no empty lines
    for (const message of this.#encode({ stream, text, partial, timeMs: Date.now() }))
      this.#collector.send(message);
  }
}
