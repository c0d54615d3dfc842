// A host-to-guest byte stream: offsets and credit.

import { DaemonError, isDaemonError } from '../../errors';
import type { AgentInput } from '../contract/agent';
import { encodeData, encodeOffset, maxDataBytes, ProtocolError, type FrameWriter } from './frame';
import { channelWindowBytes, FrameType } from '../contract/protocol';

interface QueuedWrite {
  rest: Buffer;
  resolve: () => void;
  reject: (error: Error) => void;
}

/** Writes go out in the order of their calls, as far as the credit goes; the end follows the last of them. */
export class InputChannel implements AgentInput {
  readonly channel: number;
  readonly #write: FrameWriter;
  readonly #onDone: () => void;
  readonly #queue: QueuedWrite[] = [];
  #sent: number;
  #acknowledged: number;
  #closed: Error | undefined;
  #ending = false;
  #endSent = false;

  constructor(channel: number, fromOffset: number, write: FrameWriter, onDone: () => void) {
    this.channel = channel;
    this.#sent = fromOffset;
    this.#acknowledged = fromOffset;
    this.#write = write;
    this.#onDone = onDone;
  }

  write(data: Buffer): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (this.#ending) return Promise.reject(new Error(`channel ${this.channel} was ended`));
    return new Promise((resolve, reject) => {
      this.#queue.push({ rest: data, resolve, reject });
      this.#pump();
    });
  }

  end(): void {
    if (this.#ending || this.#closed !== undefined) return;
    this.#ending = true;
    this.#pump();
  }

  /** An ACK frame. */
  receiveAck(offset: number): void {
    if (offset > this.#sent) {
      throw new ProtocolError(`channel ${this.channel} acknowledged what was not sent`);
    }
    this.#acknowledged = Math.max(this.#acknowledged, offset);
    this.#pump();
  }

  /** The guest wants no more, or is gone. */
  close(error: Error): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    for (const write of this.#queue.splice(0)) write.reject(error);
    this.#onDone();
  }

  #pump(): void {
    if (this.#closed !== undefined) return;
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      while (next.rest.length > 0) {
        const credit = this.#acknowledged + channelWindowBytes - this.#sent;
        if (credit <= 0) return;
        const part = next.rest.subarray(0, Math.min(credit, maxDataBytes));
        this.#write(encodeData(this.channel, this.#sent, part));
        this.#sent += part.length;
        next.rest = next.rest.subarray(part.length);
      }
      this.#queue.shift();
      next.resolve();
    }
    if (!this.#ending) return;
    if (!this.#endSent) {
      this.#endSent = true;
      this.#write(encodeOffset(FrameType.eof, this.channel, this.#sent));
    }
    if (this.#acknowledged >= this.#sent) this.#onDone();
  }
}

/** Whether a write was refused because of a RESET. */
export function isBrokenPipe(error: unknown): boolean {
  return isDaemonError(error) && 'systemCode' in error && error.systemCode === 'EPIPE';
}

/** The guest's RESET: what a process would get that writes to a closed pipe. */
export function brokenPipe(channel: number): Error {
  return Object.assign(new DaemonError('Unavailable', `the process closed its input (channel ${channel})`), {
    systemCode: 'EPIPE',
  });
}
