// The writing end of one run: takes chunks, makes records, gathers what comes while the disk is busy.

import { errorMessage } from '../../errors';
import { log } from '../../log';
import type { ContainerLogWriter, LogOffsets } from '../core/container-log';
import type { LogStream } from '../../semantics/logs/log-record';
import type { LogFile } from './log-file';
import type { RecordEncoder } from '../../semantics/logs/record-encoder';

interface Waiter {
  stream: LogStream;
  /** Durable once the batch is written. */
  offset: number;
  resolve: (durableOffset: number) => void;
}

export class FileLogWriter implements ContainerLogWriter {
  readonly #file: LogFile;
  readonly #encoder: RecordEncoder;
  readonly #onClosed: () => void;
  readonly #durable: Record<LogStream, number>;
  #records: string[] = [];
  #waiters: Waiter[] = [];
  #writing: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(file: LogFile, encoder: RecordEncoder, onClosed: () => void) {
    this.#file = file;
    this.#encoder = encoder;
    this.#onClosed = onClosed;
    this.#durable = { stdout: encoder.recorded('stdout'), stderr: encoder.recorded('stderr') };
  }

  get run(): string {
    return this.#encoder.run;
  }

  durableOffset(stream: LogStream): number {
    return this.#durable[stream];
  }

  /**
   * Resolves when every line that `data` completes is in the file. The begin of a line without end is held, so the
   * durable offset may lie up to 16 KiB behind the end of `data`; a new daemon gets those bytes again.
   */
  append(stream: LogStream, data: Buffer, offset: number): Promise<number> {
    if (this.#closing !== undefined) return Promise.reject(new Error('the log is closed'));
    const taken = this.#encoder.taken(stream);
    if (offset > taken) {
      log.warn('log skips output', { path: this.#file.path, stream, from: taken, to: offset });
      this.#encoder.skipTo(stream, offset);
    }
    const fresh = offset < taken ? data.subarray(taken - offset) : data;
    if (fresh.length > 0) this.#encoder.encode(stream, fresh, this.#records);
    return this.#written(stream);
  }

  end(stream: LogStream): Promise<number> {
    if (this.#closing !== undefined) return this.#closing.then(() => this.#durable[stream]);
    this.#encoder.finish(stream, this.#records);
    return this.#written(stream);
  }

  /** Resolves with the stream's durable offset when the records so far are in the file. */
  #written(stream: LogStream): Promise<number> {
    if (this.#records.length === 0 && this.#waiters.length === 0 && this.#writing === undefined) {
      return Promise.resolve(this.#durable[stream]);
    }
    const recorded = this.#encoder.recorded(stream);
    return new Promise((resolve) => {
      this.#waiters.push({ stream, offset: recorded, resolve });
      this.#writing ??= this.#writeAll();
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  async #finish(): Promise<void> {
    for (const stream of ['stdout', 'stderr'] as const) {
      this.#encoder.finish(stream, this.#records);
      this.#waiters.push({ stream, offset: this.#encoder.recorded(stream), resolve: () => undefined });
    }
    this.#writing ??= this.#writeAll();
    await this.#writing;
    // Whoever asks for the log from here on finds it closed; then the followers learn of it.
    this.#onClosed();
    await this.#file.close();
  }

  async #writeAll(): Promise<void> {
    while (this.#waiters.length > 0) {
      // What else arrives in this turn goes into the same write.
      await Promise.resolve();
      const records = this.#records;
      const waiters = this.#waiters;
      this.#records = [];
      this.#waiters = [];
      try {
        if (records.length > 0) await this.#file.write(records);
      } catch (error) {
        // As in Docker a log that can't be written costs its lines, not the container.
        log.error('writing a container log failed', { path: this.#file.path, error: errorMessage(error) });
      }
      for (const { stream, offset, resolve } of waiters) {
        this.#durable[stream] = Math.max(this.#durable[stream], offset);
        resolve(this.#durable[stream]);
      }
    }
    this.#writing = undefined;
  }
}

/** The writer of a container whose driver keeps nothing. */
export class DiscardingLogWriter implements ContainerLogWriter {
  readonly #offsets: LogOffsets;

  constructor(first: LogOffsets = { stdout: 0, stderr: 0 }) {
    this.#offsets = { ...first };
  }

  durableOffset(stream: LogStream): number {
    return this.#offsets[stream];
  }

  append(stream: LogStream, data: Buffer, offset: number): Promise<number> {
    this.#offsets[stream] = Math.max(this.#offsets[stream], offset + data.length);
    return Promise.resolve(this.#offsets[stream]);
  }

  end(stream: LogStream): Promise<number> {
    return Promise.resolve(this.#offsets[stream]);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
