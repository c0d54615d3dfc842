// The standard input and output of a process as one connection: what it writes is read, what is written it reads.

import { once } from 'node:events';
import type { Socket } from 'node:net';
import { socketPair } from '../../host/socket-pair';

export class StdioConnection {
  /** The other end: to be served. */
  readonly served: Socket;
  readonly #own: Socket;

  private constructor(own: Socket, served: Socket) {
    this.#own = own;
    this.served = served;
  }

  static async open(): Promise<StdioConnection> {
    return new StdioConnection(...(await socketPair()));
  }

  /** The process has written this: resolves when there is room for more. */
  async fromProcess(bytes: Buffer): Promise<void> {
    if (!this.#own.writable || this.#own.write(bytes)) return;
    const settled = new AbortController();
    const { signal } = settled;
    await Promise.race([once(this.#own, 'drain', { signal }), once(this.#own, 'close', { signal })]).catch(
      () => undefined, // closed with an error
    );
    settled.abort();
  }

  /** For its standard input. Once. */
  get forProcess(): AsyncIterable<Buffer> {
    return this.#own as AsyncIterable<Buffer>; // nobody sets an encoding
  }

  close(): void {
    this.#own.destroy();
    this.served.destroy();
  }
}
