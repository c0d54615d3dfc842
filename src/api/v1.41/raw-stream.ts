// The stream of attach and exec on a taken socket: output in Docker's 8-byte frames, or as it is with a terminal.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { StreamClient } from './backend';
import { isUpgrade, takeSocket } from './hijack';
import { isAtLeast } from './api-version';

export const rawStreamType = 'application/vnd.docker.raw-stream';
export const multiplexedStreamType = 'application/vnd.docker.multiplexed-stream';

const frameHeaderBytes = 8;
/** Smaller payloads are copied behind their header: one write instead of two. */
const copyLimitBytes = 16 * 1024;
/** How often a client that has closed its sending side is asked whether it is still there. */
const probeMs = 1_000;
/** How long a finished stream waits for its client to close. */
const lingerMs = 3_000;

/** The header of a frame: stream number, three zeros, length. */
export function frameHeader(stream: 'stdout' | 'stderr', length: number): Buffer {
  const header = Buffer.allocUnsafe(frameHeaderBytes);
  header.writeUInt32BE((stream === 'stdout' ? 1 : 2) * 2 ** 24, 0);
  header.writeUInt32BE(length, 4);
  return header;
}

/** A payload with its header in one buffer. */
export function frame(stream: 'stdout' | 'stderr', data: Buffer): Buffer {
  return Buffer.concat([frameHeader(stream, data.length), data]);
}

/**
 * Takes the request's socket and sends the status line: 101 if the client asked for an upgrade, else 200.
 * `extraHeaders` are lines of their own, as exec start has and attach has not.
 */
export function openRawStream(
  request: IncomingMessage,
  response: ServerResponse,
  options: { stdin: boolean; terminal: boolean; extraHeaders: readonly string[] },
): RawStream {
  const upgrade = isUpgrade(request);
  const socket = takeSocket(request, response);
  const type = upgrade && !options.terminal && isAtLeast(request, 42) ? multiplexedStreamType : rawStreamType;
  const lines = upgrade
    ? ['HTTP/1.1 101 UPGRADED', `Content-Type: ${type}`, 'Connection: Upgrade', 'Upgrade: tcp']
    : ['HTTP/1.1 200 OK', `Content-Type: ${type}`];
  socket.write([...lines, ...options.extraHeaders, '', ''].join('\r\n'));
  return new RawStream(socket, { stdin: options.stdin, multiplexed: !options.terminal });
}

/** One client on a socket that speaks no HTTP any more. `finish` must be called once. */
export class RawStream implements StreamClient {
  readonly stdin: AsyncIterable<Buffer> | undefined;
  private readonly socket: Socket;
  private readonly multiplexed: boolean;
  private readonly gone = new AbortController();
  private drained: Promise<void> | undefined;
  private probe: NodeJS.Timeout | undefined;

  constructor(socket: Socket, options: { stdin: boolean; multiplexed: boolean }) {
    this.socket = socket;
    this.multiplexed = options.multiplexed;
    socket.once('close', () => this.onClose());
    socket.once('end', () => this.startProbe());
    if (options.stdin) {
      this.stdin = stdinOf(socket);
    } else {
      this.stdin = undefined;
      socket.resume();
    }
    if (socket.destroyed) this.onClose();
  }

  get signal(): AbortSignal {
    return this.gone.signal;
  }

  write(stream: 'stdout' | 'stderr', data: Buffer): Promise<void> {
    if (data.length === 0 || !this.socket.writable) return Promise.resolve();
    if (this.send(stream, data)) return Promise.resolve();
    this.drained ??= this.untilDrained();
    return this.drained;
  }

  /** Everything written reaches the client, then the connection closes. */
  finish(): void {
    const { socket } = this;
    if (socket.destroyed) return;
    socket.end();
    // destroying it with unread input would make the kernel throw away output on its way
    if (socket.readableEnded) {
      socket.destroySoon();
      return;
    }
    const timer = setTimeout(() => socket.destroy(), lingerMs);
    socket.once('close', () => clearTimeout(timer));
    socket.once('end', () => socket.destroySoon());
    socket.resume();
  }

  private send(stream: 'stdout' | 'stderr', data: Buffer): boolean {
    const { socket } = this;
    if (!this.multiplexed) return socket.write(data);
    if (data.length <= copyLimitBytes) return socket.write(frame(stream, data));
    socket.cork();
    socket.write(frameHeader(stream, data.length));
    const ready = socket.write(data);
    socket.uncork();
    return ready;
  }

  private untilDrained(): Promise<void> {
    return new Promise((resolve) => {
      const settle = () => {
        this.socket.off('drain', settle).off('close', settle);
        this.drained = undefined;
        resolve();
      };
      this.socket.on('drain', settle).on('close', settle);
      if (this.socket.destroyed) settle();
    });
  }

  /**
   * On a unix socket a client that is gone and one that has only closed its stdin look the same, until something is
   * written: writing no bytes tells them apart (EPIPE).
   */
  private startProbe(): void {
    if (this.socket.destroyed) return;
    this.probe = setInterval(() => {
      if (this.socket.writable && this.socket.writableLength === 0) this.socket.write(Buffer.alloc(0));
    }, probeMs);
    this.probe.unref();
  }

  private onClose(): void {
    clearInterval(this.probe);
    this.gone.abort();
  }
}

/** The client's bytes until it half-closes or is gone; leaving the loop early discards the rest. */
async function* stdinOf(socket: Socket): AsyncGenerator<Buffer, void, undefined> {
  try {
    // a socket without encoding yields buffers; the iterator must not destroy the socket, output may still be due
    for await (const part of socket.iterator({ destroyOnReturn: false })) yield part as Buffer;
  } catch {
    // reset by the client: `signal` tells
  } finally {
    socket.resume();
  }
}
