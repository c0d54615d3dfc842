// A guest-to-host byte stream: offsets, repetition after a re-connection, coalesced acknowledgements.

import type { AgentOutput, OutputChunk } from '../contract/agent';
import { encodeFrame, encodeOffset, ProtocolError, type FrameWriter } from './frame';
import { channelWindowBytes, FrameType } from '../contract/protocol';

export interface OutputHandlers {
  onChunk: (chunk: OutputChunk) => void;
  onEnd: () => void;
  onLost: (error: Error) => void;
}

/** An acknowledgement gives credit and frees memory in the guest; neither is needed for each line of a log. */
const ackEveryBytes = 65_536;
const ackDelayMs = 10;
/** Below this a chunk is copied: it would keep alive the 64 KiB it was received in. */
const copyBelowBytes = 4096;

/**
 * Bytes are gathered in `receive` and handed over by `deliver`, once for all that one read of the socket brought: a
 * guest that sends single bytes makes no more work than one that sends them together. Until there is a consumer they
 * are kept; the window bounds them.
 */
export class OutputChannel implements AgentOutput {
  readonly channel: number;
  readonly #write: FrameWriter;
  readonly #onDone: () => void;
  #received: number;
  /** What the consumer has acknowledged, and what the guest knows of it. */
  #acknowledged: number;
  #told: number;
  #ackTimer: NodeJS.Timeout | undefined;
  #endOffset: number | undefined;
  #handlers: OutputHandlers | undefined;
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;
  #lost: Error | undefined;
  #endDelivered = false;
  #over = false;

  constructor(channel: number, fromOffset: number, write: FrameWriter, onDone: () => void) {
    this.channel = channel;
    this.#received = fromOffset;
    this.#acknowledged = fromOffset;
    this.#told = fromOffset;
    this.#write = write;
    this.#onDone = onDone;
  }

  /**
   * For a channel of an earlier daemon: everything before `offset` is where it belongs already. What the guest has sent
   * since the connection was made was kept.
   */
  adopt(offset: number): void {
    if (offset <= this.#acknowledged || this.#over) return;
    const start = this.#received - this.#gatheredBytes;
    const rest = Buffer.concat(this.#gathered).subarray(Math.max(0, offset - start));
    this.#gathered = rest.length > 0 ? [rest] : [];
    this.#gatheredBytes = rest.length;
    this.#received = Math.max(this.#received, offset);
    // The guest may wait for it: nobody else acknowledges bytes that no consumer sees.
    this.#acknowledge(offset);
  }

  consume(handlers: OutputHandlers): void {
    if (this.#handlers !== undefined) throw new Error(`channel ${this.channel} has a consumer`);
    this.#handlers = handlers;
    this.deliver();
  }

  ack(offset: number): void {
    this.#acknowledge(Math.min(offset, this.#received));
  }

  reset(): void {
    if (this.#over) return;
    this.#write(encodeFrame(FrameType.reset, this.channel, Buffer.alloc(0)));
    this.#finish();
  }

  /** A DATA frame. `data` is a view that may be kept. What lies before the expected offset was received before. */
  receive(offset: number, data: Buffer): void {
    if (this.#over) return;
    if (this.#endOffset !== undefined && offset + data.length > this.#endOffset) {
      throw new ProtocolError(`channel ${this.channel} goes on after its end`);
    }
    const repeated = this.#received - offset;
    if (repeated < 0) throw new ProtocolError(`channel ${this.channel} left out ${-repeated} bytes`);
    if (repeated >= data.length) return;
    if (offset + data.length > this.#acknowledged + channelWindowBytes) {
      throw new ProtocolError(`channel ${this.channel} sent more than its window`);
    }
    const fresh = data.subarray(repeated);
    this.#gathered.push(fresh.length < copyBelowBytes ? Buffer.from(fresh) : fresh);
    this.#gatheredBytes += fresh.length;
    this.#received += fresh.length;
  }

  /** An EOF frame; again after a re-connection. */
  receiveEnd(offset: number): void {
    if (this.#endOffset !== undefined || this.#over) return;
    if (offset !== this.#received && offset > this.#acknowledged) {
      throw new ProtocolError(`channel ${this.channel} ended at ${offset} instead of ${this.#received}`);
    }
    this.#endOffset = offset;
    this.deliver();
  }

  /** Hands over what was gathered, then the end. */
  deliver(): void {
    const handlers = this.#handlers;
    if (handlers === undefined) {
      // Kept for a consumer to come, without the overhead of many small buffers.
      if (this.#gathered.length > 256) this.#gathered = [Buffer.concat(this.#gathered)];
      return;
    }
    const [first] = this.#gathered;
    if (first !== undefined && !this.#over) {
      const data = this.#gathered.length === 1 ? first : Buffer.concat(this.#gathered);
      this.#gathered = [];
      this.#gatheredBytes = 0;
      handlers.onChunk({ data, offset: this.#received - data.length });
    }
    if (this.#over || this.#endDelivered) return;
    if (this.#endOffset !== undefined) {
      this.#endDelivered = true;
      handlers.onEnd();
      this.#tell();
    } else if (this.#lost !== undefined) {
      this.#finish();
      handlers.onLost(this.#lost);
    }
  }

  /** The VM or the connection is gone for good. */
  lose(error: Error): void {
    if (this.#over) return;
    this.#lost = error;
    if (this.#endDelivered) this.#finish();
    else this.deliver();
  }

  #acknowledge(offset: number): void {
    if (offset <= this.#acknowledged || this.#over) return;
    this.#acknowledged = offset;
    if (this.#endOffset !== undefined || offset - this.#told >= ackEveryBytes) this.#tell();
    else this.#ackTimer ??= setTimeout(() => this.#tell(), ackDelayMs).unref();
  }

  /** Sends what is acknowledged. The guest forgets the channel when that is everything. */
  #tell(): void {
    clearTimeout(this.#ackTimer);
    this.#ackTimer = undefined;
    if (this.#over) return;
    const everything = this.#endDelivered && this.#acknowledged >= (this.#endOffset ?? Infinity);
    if (this.#acknowledged > this.#told || everything) {
      this.#told = this.#acknowledged;
      this.#write(encodeOffset(FrameType.ack, this.channel, this.#told));
    }
    if (everything) this.#finish();
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#ackTimer);
    this.#gathered = [];
    this.#onDone();
  }
}
