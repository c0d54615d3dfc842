// The messages of one HTTP/2 stream, in both directions: gRPC's length-prefixed frames (PROTOCOL-HTTP2.md).

import { constants, type Http2Stream } from 'node:http2';
import { drained } from '../../async/drained';
import type { MessageType } from './codec';
import { CodecError } from './codec';
import { GrpcError, statusCodes } from './status';

const headerBytes = 5;
/** As containerd's and BuildKit's own servers. */
export const maxMessageBytes = 16 * 1024 * 1024;
/** Of unfinished messages of one connection. */
const maxUnfinishedBytes = 64 * 1024 * 1024;

/** What the streams of one connection hold together. */
export class ReadBudget {
  #held = 0;

  /** Throws where the peer leaves too much unfinished. */
  hold(bytes: number): void {
    this.#held += bytes;
    if (this.#held > maxUnfinishedBytes) {
      throw new GrpcError(statusCodes.resourceExhausted, 'too many unfinished messages on the connection');
    }
  }

  release(bytes: number): void {
    this.#held -= bytes;
  }
}

export class MessageStream<In, OutInit> {
  readonly #stream: Http2Stream;
  readonly #incoming: MessageType<In, never>;
  readonly #outgoing: MessageType<unknown, OutInit>;
  readonly #budget: ReadBudget;
  #parts: Buffer[] = [];
  #size = 0;

  constructor(
    stream: Http2Stream,
    incoming: MessageType<In, never>,
    outgoing: MessageType<unknown, OutInit>,
    budget: ReadBudget,
  ) {
    this.#stream = stream;
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    this.#budget = budget;
    stream.once('close', () => this.#drop());
  }

  /** The next message; undefined after the last. One call at a time. Rejects with GrpcError. */
  async receive(): Promise<In | undefined> {
    const bytes = await this.#frame();
    if (bytes === undefined) return undefined;
    try {
      return this.#incoming.decode(bytes);
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      throw new GrpcError(statusCodes.internal, `a message can't be decoded: ${error.message}`, {
        cause: error,
      });
    }
  }

  /** Resolves when there is room for the next one. Rejects with GrpcError when the stream is closed. */
  async send(message: OutInit): Promise<void> {
    const payload = this.#outgoing.encode(message);
    if (this.#stream.destroyed || this.#stream.writableEnded) throw closedError(this.#stream);
    const head = Buffer.alloc(headerBytes);
    head.writeUInt32BE(payload.length, 1);
    if (this.#stream.write(Buffer.concat([head, payload]))) return;
    await drained(this.#stream);
    // it may have been closed meanwhile, which types don't know
    if (this.#stream.destroyed as boolean) throw closedError(this.#stream);
  }

  async #frame(): Promise<Buffer | undefined> {
    if (!(await this.#fill(headerBytes, 'first'))) return undefined;
    const head = this.#take(headerBytes);
    if (head[0] !== 0)
      throw new GrpcError(statusCodes.unimplemented, 'compressed messages are not supported');
    const length = head.readUInt32BE(1);
    if (length > maxMessageBytes) {
      throw new GrpcError(
        statusCodes.resourceExhausted,
        `received message larger than max (${length} vs. ${maxMessageBytes})`,
      );
    }
    await this.#fill(length, 'rest');
    return this.#take(length);
  }

  /** False where the stream has ended before the first of these bytes. */
  async #fill(wanted: number, which: 'first' | 'rest'): Promise<boolean> {
    while (this.#size < wanted) {
      const chunk = await this.#chunk();
      if (chunk !== undefined) {
        this.#parts.push(chunk);
        this.#size += chunk.length;
        this.#budget.hold(chunk.length);
        continue;
      }
      if (this.#stream.aborted || this.#stream.rstCode !== constants.NGHTTP2_NO_ERROR) {
        throw closedError(this.#stream);
      }
      if (which === 'first' && this.#size === 0) return false;
      throw new GrpcError(statusCodes.internal, 'the stream ended within a message');
    }
    return true;
  }

  /** Reads on demand, so that HTTP/2's flow control holds the sender back. Undefined at the end, however it came. */
  async #chunk(): Promise<Buffer | undefined> {
    const stream = this.#stream;
    for (;;) {
      const chunk = stream.read() as Buffer | null; // a stream of bytes
      if (chunk !== null) return chunk;
      if (stream.readableEnded || stream.destroyed) return undefined;
      await new Promise<void>((resolve) => {
        const done = (): void => {
          stream.off('readable', done).off('end', done).off('close', done);
          resolve();
        };
        stream.on('readable', done).on('end', done).on('close', done);
      });
    }
  }

  /** These many bytes, which are there. */
  #take(wanted: number): Buffer {
    const taken: Buffer[] = [];
    let left = wanted;
    let used = 0;
    for (const part of this.#parts) {
      if (left === 0) break;
      const piece = part.subarray(0, left);
      taken.push(piece);
      left -= piece.length;
      if (piece.length < part.length) {
        this.#parts[used] = part.subarray(piece.length);
        break;
      }
      used += 1;
    }
    this.#parts.splice(0, used);
    this.#size -= wanted;
    this.#budget.release(wanted);
    const [only] = taken;
    return taken.length === 1 && only !== undefined ? only : Buffer.concat(taken, wanted);
  }

  #drop(): void {
    this.#budget.release(this.#size);
    this.#parts = [];
    this.#size = 0;
  }
}

/** Reads and forgets what still comes: nobody will. */
export function discardRest(stream: Http2Stream): void {
  stream.removeAllListeners('readable');
  // once it knows that nobody listens
  setImmediate(() => stream.resume());
}

/** What a stream that is closed says, if it says no status. */
export function closedError(stream: Http2Stream, cause?: unknown): GrpcError {
  const isCancelled = stream.rstCode === constants.NGHTTP2_CANCEL;
  return isCancelled
    ? new GrpcError(statusCodes.cancelled, 'context canceled', { cause })
    : new GrpcError(statusCodes.unavailable, 'the connection is closed', { cause });
}
