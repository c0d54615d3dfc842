// Sockets of the host's network namespace: asked for from netd-ports over Node's IPC channel (native/netd-ports.c says
// how), which binds them where it lives and passes the descriptors.

import { getSystemErrorName } from 'node:util';

export type HostProtocol = 'tcp' | 'udp';

/** A handle as Node's IPC delivers it: what `server.listen(handle)` and `socket.bind(handle)` take. */
export type SocketHandle = object;

interface Waiting {
  resolve: (socket: { handle: SocketHandle; port: number }) => void;
  reject: (error: Error) => void;
}

/** A failed bind, with `code` as Node's own errors have it (EADDRINUSE). */
export class BindError extends Error {
  readonly code: string;

  constructor(code: string) {
    super(`bind: ${code}`);
    this.code = code;
  }
}

export class HostSockets {
  readonly #channel: NodeJS.Process;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #egress = false;
  #onEgress: (egress: boolean) => void = () => undefined;

  constructor(channel: NodeJS.Process) {
    this.#channel = channel;
    channel.on('message', (message, handle) => this.#received(message, handle));
  }

  /** Whether slirp4netns is connected. */
  get egress(): boolean {
    return this.#egress;
  }

  onEgress(listener: (egress: boolean) => void): void {
    this.#onEgress = listener;
  }

  /** A bound socket's handle (for TCP a listening one's). Rejects with BindError. */
  open(
    protocol: HostProtocol,
    address: string,
    port: number,
  ): Promise<{ handle: SocketHandle; port: number }> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#channel.send?.(`listen ${id} ${protocol} ${address} ${port}`);
    });
  }

  #received(message: unknown, handle: unknown): void {
    if (typeof message !== 'object' || message === null) return;
    if ('egress' in message) {
      this.#egress = message.egress === true;
      this.#onEgress(this.#egress);
      return;
    }
    if (!('id' in message) || typeof message.id !== 'number') return;
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (
      typeof handle === 'object' &&
      handle !== null &&
      'port' in message &&
      typeof message.port === 'number'
    ) {
      waiting?.resolve({ handle, port: message.port });
    } else {
      const errno = 'errno' in message && typeof message.errno === 'number' ? message.errno : 5;
      waiting?.reject(new BindError(getSystemErrorName(-errno)));
    }
  }
}
