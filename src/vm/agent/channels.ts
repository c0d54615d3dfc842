// Byte streams between daemon and guest: offsets, credit and acknowledgement of each channel.

import { DaemonError } from '../../errors';
import type { AgentInput, AgentOutput, OutputChunk } from './agent';
import { encodeFrame, encodeOffset, ProtocolError } from './frame';
import { channelWindowBytes, FrameType, maxPayloadBytes } from './protocol';

/** Writes frames; buffers without limit are not possible, since each channel's credit bounds what it sends. */
export type FrameWriter = (frame: Buffer) => void;

interface OutputHandlers {
  onChunk: (chunk: OutputChunk) => void;
  onEnd: () => void;
  onLost: (error: Error) => void;
}

/** Guest to host. Chunks that come before the consumer are kept; the window bounds them. */
export class OutputChannel implements AgentOutput {
  readonly channel: number;
  readonly #write: FrameWriter;
  readonly #onDone: () => void;
  #received: number;
  #acknowledged: number;
  #endOffset: number | undefined;
  #handlers: OutputHandlers | undefined;
  #waiting: OutputChunk[] = [];
  #lost: Error | undefined;
  #over = false;

  constructor(channel: number, fromOffset: number, write: FrameWriter, onDone: () => void) {
    this.channel = channel;
    this.#received = fromOffset;
    this.#acknowledged = fromOffset;
    this.#write = write;
    this.#onDone = onDone;
  }

  consume(handlers: OutputHandlers): void {
    if (this.#handlers !== undefined) throw new Error(`channel ${this.channel} has a consumer`);
    this.#handlers = handlers;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const chunk of waiting) handlers.onChunk(chunk);
    this.#settle();
  }

  ack(offset: number): void {
    if (offset <= this.#acknowledged || this.#over) return;
    this.#acknowledged = Math.min(offset, this.#received);
    this.#write(encodeOffset(FrameType.ack, this.channel, this.#acknowledged));
    if (this.#endOffset !== undefined && this.#acknowledged >= this.#endOffset) this.#finish();
  }

  reset(): void {
    if (this.#over) return;
    this.#write(encodeFrame(FrameType.reset, this.channel, Buffer.alloc(0)));
    this.#waiting = [];
    this.#finish();
  }

  /** A DATA frame. What lies before the expected offset was received before a re-connection. */
  receive(offset: number, data: Buffer): void {
    if (this.#over) return;
    const repeated = this.#received - offset;
    if (repeated < 0) throw new ProtocolError(`channel ${this.channel} left out ${-repeated} bytes`);
    if (repeated >= data.length) return;
    if (offset + data.length > this.#acknowledged + channelWindowBytes + maxPayloadBytes) {
      throw new ProtocolError(`channel ${this.channel} sent more than its window`);
    }
    const chunk: OutputChunk = { data: Buffer.from(data.subarray(repeated)), offset: this.#received };
    this.#received += chunk.data.length;
    if (this.#handlers === undefined) this.#waiting.push(chunk);
    else this.#handlers.onChunk(chunk);
  }

  /** An EOF frame; again after a re-connection. */
  receiveEnd(offset: number): void {
    if (this.#endOffset !== undefined || this.#over) return;
    if (offset > this.#received) throw new ProtocolError(`channel ${this.channel} ended too early`);
    this.#endOffset = offset;
    if (this.#acknowledged >= offset) {
      // Nothing is left to acknowledge, but the guest waits for it before it forgets the channel.
      this.#write(encodeOffset(FrameType.ack, this.channel, this.#acknowledged));
    }
    this.#settle();
  }

  /** The VM or the connection is gone for good. */
  lose(error: Error): void {
    if (this.#over) return;
    this.#lost = error;
    this.#settle();
  }

  #settle(): void {
    const handlers = this.#handlers;
    if (handlers === undefined) return;
    if (this.#endOffset !== undefined) {
      const ended = this.#endOffset;
      this.#handlers = { onChunk: () => undefined, onEnd: () => undefined, onLost: () => undefined };
      handlers.onEnd();
      if (this.#acknowledged >= ended) this.#finish();
    } else if (this.#lost !== undefined) {
      this.#finish();
      handlers.onLost(this.#lost);
    }
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#onDone();
  }
}

/** Host to guest. */
export class InputChannel implements AgentInput {
  readonly channel: number;
  readonly #write: FrameWriter;
  readonly #onDone: () => void;
  #sent: number;
  #acknowledged: number;
  #closed: Error | undefined;
  #ended = false;
  #wake: (() => void)[] = [];

  constructor(channel: number, fromOffset: number, write: FrameWriter, onDone: () => void) {
    this.channel = channel;
    this.#sent = fromOffset;
    this.#acknowledged = fromOffset;
    this.#write = write;
    this.#onDone = onDone;
  }

  async write(data: Buffer): Promise<void> {
    let rest = data;
    while (rest.length > 0) {
      if (this.#closed !== undefined) throw this.#closed;
      if (this.#ended) throw new Error(`channel ${this.channel} was ended`);
      const credit = this.#acknowledged + channelWindowBytes - this.#sent;
      if (credit <= 0) {
        await new Promise<void>((resolve) => this.#wake.push(resolve));
        continue;
      }
      const part = rest.subarray(0, Math.min(credit, maxPayloadBytes - 8));
      const payload = Buffer.allocUnsafe(8 + part.length);
      payload.writeBigUInt64LE(BigInt(this.#sent));
      part.copy(payload, 8);
      this.#write(encodeFrame(FrameType.data, this.channel, payload));
      this.#sent += part.length;
      rest = rest.subarray(part.length);
    }
  }

  end(): void {
    if (this.#ended || this.#closed !== undefined) return;
    this.#ended = true;
    this.#write(encodeOffset(FrameType.eof, this.channel, this.#sent));
    if (this.#acknowledged >= this.#sent) this.#onDone();
  }

  /** An ACK frame. */
  receiveAck(offset: number): void {
    if (offset > this.#sent)
      throw new ProtocolError(`channel ${this.channel} acknowledged what was not sent`);
    if (offset > this.#acknowledged) this.#acknowledged = offset;
    this.#wakeAll();
    if (this.#ended && this.#acknowledged >= this.#sent) this.#onDone();
  }

  /** The guest wants no more, or is gone. */
  close(error: Error): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    this.#wakeAll();
    this.#onDone();
  }

  #wakeAll(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const resolve of wake) resolve();
  }
}

/** The guest's RESET, as a system error: what a process would get that writes to a closed pipe. */
export function brokenPipe(channel: number): Error {
  return Object.assign(new DaemonError('Unavailable', `the process closed its input (channel ${channel})`), {
    systemCode: 'EPIPE',
  });
}
