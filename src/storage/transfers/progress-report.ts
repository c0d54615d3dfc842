// Docker's progress lines for a stream of known length: not more often than anybody can read.

import { Transform, type TransformCallback } from 'node:stream';
import { progressText } from './progress-text';
import type { ProgressSink } from '../contract/stores';

const intervalMs = 100;

/** Passes a stream through and tells how far it is as `status` of layer `id`. */
export class ProgressReport extends Transform {
  received: number;
  readonly #tell: (current: number) => void;
  readonly #total: number;
  #lastReport = 0;

  /** `received`: of what was got before, when it goes on from there. */
  constructor(status: string, id: string, total: number, progress: ProgressSink, received = 0) {
    super({ readableHighWaterMark: 1 << 18, writableHighWaterMark: 1 << 18 });
    this.received = received;
    this.#total = total;
    this.#tell = (current) => {
      progress(progressLine(status, id, current, total));
    };
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.count(chunk.length);
    done(null, chunk);
  }

  /** Of bytes that pass elsewhere. */
  count(bytes: number): void {
    this.received += bytes;
    const now = Date.now();
    if (now - this.#lastReport >= intervalMs || this.received === this.#total) {
      this.#lastReport = now;
      this.#tell(this.received);
    }
  }
}

export function progressLine(
  status: string,
  id: string,
  current: number,
  total: number,
): Parameters<ProgressSink>[0] {
  const progressDetail = { current, ...(total === 0 ? {} : { total }) };
  return { status, progressDetail, progress: progressText({ current, total }), id };
}
