// A gRPC stream of byte messages as a stream of bytes: SSH agents, uploads, files to the client, sessions inside of a connection.

import { Duplex, Writable } from 'node:stream';
import { buildErrorOf } from './call-errors';

/** As gRPC's other side gives them; both ends of a connection have them. */
export interface ByteMessageStream {
  send(message: { data: Uint8Array }): Promise<void>;
  /** Undefined at the end. */
  receive(): Promise<{ data: Buffer } | undefined>;
  /** No more will be sent. */
  end?(): void;
  /** Ends it, wherever it is. */
  cancel?(): void;
}

/** Messages are not larger. */
const chunkBytes = 1024 * 1024;

/** Both halves end by themselves. */
export class ByteMessages extends Duplex {
  readonly #stream: ByteMessageStream;

  constructor(stream: ByteMessageStream) {
    super({ allowHalfOpen: true });
    this.#stream = stream;
  }

  override _read(): void {
    this.#stream.receive().then(
      (message) => {
        if (message === undefined) this.push(null);
        else if (message.data.length === 0) this._read();
        else this.push(message.data);
      },
      (error: unknown) => this.destroy(buildErrorOf(error)),
    );
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    settle(sendBytes(this.#stream, chunk), done);
  }

  override _final(done: Done): void {
    this.#stream.end?.();
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#stream.cancel?.();
    done(error);
  }
}

/** Only written to. It has finished when the other side has ended well, having all. */
export class ByteSink extends Writable {
  readonly #stream: ByteMessageStream;

  constructor(stream: ByteMessageStream) {
    super();
    this.#stream = stream;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    const send = async (): Promise<void> => {
      try {
        await sendBytes(this.#stream, chunk);
      } catch (error) {
        await this.#peerEnded(); // one that refuses says why
        throw error;
      }
    };
    settle(send(), done);
  }

  override _final(done: Done): void {
    this.#stream.end?.();
    settle(this.#peerEnded(), done);
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#stream.cancel?.();
    done(error);
  }

  async #peerEnded(): Promise<void> {
    while ((await this.#stream.receive()) !== undefined);
  }
}

type Done = (error?: Error | null) => void;

function settle(work: Promise<void>, done: Done): void {
  work.then(
    () => done(),
    (error: unknown) => done(buildErrorOf(error)),
  );
}

async function sendBytes(stream: ByteMessageStream, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    await stream.send({ data: bytes.subarray(at, at + chunkBytes) });
  }
}
