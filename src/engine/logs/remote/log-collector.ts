// A connection to a log collector: made when the container starts, made again when it breaks; what comes meanwhile waits.

import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { connect, type Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { errorMessage } from '../../../errors';
import { log } from '../../../log';
import { openDatagrams } from '../../../host/datagram-stream';

export type CollectorAddress =
  | { kind: 'udp'; host: string; port: number }
  | { kind: 'tcp'; host: string; port: number }
  | { kind: 'tls'; host: string; port: number; options: ConnectionOptions }
  | { kind: 'unix'; path: string }
  | { kind: 'unixgram'; path: string }
  /** The first that takes it, of the paths where hosts have their syslog. */
  | { kind: 'syslog' };

export interface CollectorOptions {
  address: CollectorAddress;
  /** Bytes that may wait for a connection; what comes then is lost, as the output of a container must not stop. */
  bufferBytes: number;
  retryMs: number;
}

const connectTimeoutMs = 10_000;
const syslogPaths = ['/dev/log', '/var/run/syslog', '/var/run/log'];

export class LogCollector {
  readonly #options: CollectorOptions;
  readonly #nativeDir: string;
  #stream: Writable | undefined;
  #datagrams: DatagramSocket | undefined;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #lost = 0;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  /** `nativeDir`: where our programs are. */
  constructor(options: CollectorOptions, nativeDir: string) {
    this.#options = options;
    this.#nativeDir = nativeDir;
  }

  /** Rejects in Go's words when nobody listens there: Docker does not start the container then. */
  async connect(): Promise<void> {
    const { address } = this.#options;
    if (address.kind === 'udp') {
      this.#datagrams = createSocket(address.host.includes(':') ? 'udp6' : 'udp4');
      // Nobody listens: the datagrams are lost, as they are with dockerd.
      this.#datagrams.on('error', () => undefined).unref();
      return;
    }
    const stream = await this.#open(address);
    if (this.#closed) {
      stream.destroy();
      return;
    }
    this.#stream = stream;
    stream.on('error', () => undefined);
    stream.once('close', () => {
      this.#stream = undefined;
      this.#connectLater();
    });
    for (const message of this.#waiting.splice(0)) stream.write(message);
    this.#waitingBytes = 0;
  }

  /** Connects in the background; what is sent until then waits. */
  connectLazily(): void {
    this.connect().catch(() => this.#connectLater());
  }

  send(message: Buffer): void {
    const { address, bufferBytes } = this.#options;
    if (this.#datagrams !== undefined && address.kind === 'udp') {
      this.#datagrams.send(message, address.port, address.host, () => undefined);
    } else if (this.#stream !== undefined && this.#stream.writableLength < bufferBytes) {
      this.#stream.write(message);
    } else if (this.#stream === undefined && this.#waitingBytes + message.length <= bufferBytes) {
      this.#waiting.push(message);
      this.#waitingBytes += message.length;
    } else {
      if (this.#lost++ === 0)
        log.warn('a log collector takes no more, records are lost', { ...this.#options.address });
    }
  }

  /** After what was sent has gone, if somebody takes it. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#datagrams?.close();
    const stream = this.#stream;
    if (stream === undefined) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => stream.destroy(), connectTimeoutMs);
      stream.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
      stream.end(() => stream.destroy());
    });
  }

  async #open(address: Exclude<CollectorAddress, { kind: 'udp' }>): Promise<Writable> {
    switch (address.kind) {
      case 'syslog':
        return this.#openSyslog();
      case 'unixgram':
        return openDatagrams(this.#nativeDir, address.path).catch((error: unknown) => {
          throw dialError(`unixgram ${address.path}`, error as NodeJS.ErrnoException);
        });
      default:
        return openStream(address);
    }
  }

  async #openSyslog(): Promise<Writable> {
    for (const path of syslogPaths) {
      for (const kind of ['unixgram', 'unix'] as const) {
        const stream = await this.#open({ kind, path }).catch(() => undefined);
        if (stream !== undefined) return stream;
      }
    }
    throw new Error('Unix syslog delivery error');
  }

  #connectLater(): void {
    if (this.#closed) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      this.connect().catch((error: unknown) => {
        log.debug('log collector', { error: errorMessage(error) });
        this.#connectLater();
      });
    }, this.#options.retryMs).unref();
  }
}

const goReasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  ENOENT: 'connect: no such file or directory',
  EACCES: 'connect: permission denied',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  ETIMEDOUT: 'i/o timeout',
};

function dialError(where: string, error: NodeJS.ErrnoException): Error {
  return new Error(`dial ${where}: ${goReasons[error.code ?? ''] ?? error.message}`, { cause: error });
}

type StreamAddress = Exclude<CollectorAddress, { kind: 'udp' | 'unixgram' | 'syslog' }>;

function openStream(address: StreamAddress): Promise<Socket> {
  const where =
    address.kind === 'unix'
      ? `unix ${address.path}`
      : `tcp ${address.host.includes(':') ? `[${address.host}]` : address.host}:${String(address.port)}`;
  return new Promise((resolve, reject) => {
    const stream =
      address.kind === 'unix'
        ? connect(address.path)
        : address.kind === 'tls'
          ? connectTls({ ...address.options, host: address.host, port: address.port })
          : connect(address.port, address.host);
    const fail = (error: NodeJS.ErrnoException): void => {
      stream.destroy();
      reject(dialError(where, error));
    };
    stream.setTimeout(connectTimeoutMs, () => fail(Object.assign(new Error(), { code: 'ETIMEDOUT' })));
    stream.once('error', fail);
    stream.once(address.kind === 'tls' ? 'secureConnect' : 'connect', () => {
      stream.off('error', fail);
      stream.setTimeout(0);
      resolve(stream.resume());
    });
  });
}
