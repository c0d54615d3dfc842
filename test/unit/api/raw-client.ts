// A client that speaks HTTP by hand, for what an HTTP library would hide.

import { connect } from 'node:net';
import type { Socket } from 'node:net';

export class RawClient {
  readonly socket: Socket;
  /** All that was received, as latin1. */
  received = '';
  private changed: (() => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (part) => {
      this.received += part.toString('latin1');
      this.notify();
    });
    for (const event of ['end', 'close']) socket.on(event, () => this.notify());
    socket.on('error', () => undefined);
  }

  /** `address` as Api.listen returns it. */
  static open(address: string): Promise<RawClient> {
    const url = new URL(address);
    const target =
      url.protocol === 'unix:'
        ? { path: address.slice('unix://'.length) }
        : { host: url.hostname, port: Number(url.port) };
    return new Promise((resolve, reject) => {
      const socket = connect({ ...target, allowHalfOpen: true });
      socket.once('connect', () => resolve(new RawClient(socket)));
      socket.once('error', reject);
    });
  }

  /** Sends a request line, headers and body; Content-Length is added for a body. */
  request(line: string, headers: Record<string, string> = {}, body = ''): void {
    const all = {
      Host: 'localhost',
      ...(body === '' ? {} : { 'Content-Length': String(body.length) }),
      ...headers,
    };
    const text = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    this.socket.write(`${line} HTTP/1.1\r\n${text.join('')}\r\n${body}`);
  }

  /** Resolves when what was received satisfies `condition`; fails when the connection ends before. */
  async until(condition: (received: string) => boolean): Promise<string> {
    while (!condition(this.received)) {
      if (this.socket.readableEnded || this.socket.destroyed)
        throw new Error(`closed after: ${this.received}`);
      await this.change();
    }
    return this.received;
  }

  /** Everything up to the server's end of the connection. */
  async untilEnd(): Promise<string> {
    while (!this.socket.readableEnded && !this.socket.destroyed) await this.change();
    return this.received;
  }

  private change(): Promise<void> {
    return new Promise((resolve) => this.changed.push(resolve));
  }

  private notify(): void {
    for (const resolve of this.changed.splice(0)) resolve();
  }
}
