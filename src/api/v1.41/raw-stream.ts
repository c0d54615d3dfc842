// The stream of attach and exec on a taken socket: output in Docker's 8-byte frames, or as it is with a terminal.

import { readSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { StreamClient } from './backend';
import { closeGently, takeSocket } from '../http/hijack';
import { isAtLeast } from './api-version';

export const rawStreamType = 'application/vnd.docker.raw-stream';
export const multiplexedStreamType = 'application/vnd.docker.multiplexed-stream';

const frameHeaderBytes = 8;
/** Smaller payloads are copied behind their header: one write instead of two. */
const copyLimitBytes = 16 * 1024;
/** Input that is read before anybody asks for it. */
const readAheadBytes = 64 * 1024;
/** How often a client that has closed its sending side is asked whether it is still there. */
const probeMs = 1_000;

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
  const upgrade = request.headers.upgrade !== undefined; // also without `Connection: Upgrade`, as many libraries send it
  const socket = takeSocket(request, response);
  const type = upgrade && !options.terminal && isAtLeast(request, 42) ? multiplexedStreamType : rawStreamType;
  const lines = upgrade
    ? ['HTTP/1.1 101 UPGRADED', `Content-Type: ${type}`, 'Connection: Upgrade', 'Upgrade: tcp']
    : ['HTTP/1.1 200 OK', `Content-Type: ${type}`];
  socket.write([...lines, ...options.extraHeaders, '', ''].join('\r\n'));
  return new RawStream(socket, { stdin: options.stdin, multiplexed: !options.terminal });
}

/** One client on a socket that speaks no HTTP any more. `finish` must be called once. */
export class RawStream {
  /** What the engine gets: a plain object, so that it may be copied and changed. */
  readonly client: StreamClient;
  private readonly socket: Socket;
  private readonly multiplexed: boolean;
  private readonly input: SocketInput | undefined;
  private readonly gone = new AbortController();
  private drained: Promise<void> | undefined;
  private probe: NodeJS.Timeout | undefined;

  constructor(socket: Socket, options: { stdin: boolean; multiplexed: boolean }) {
    this.socket = socket;
    this.multiplexed = options.multiplexed;
    socket.once('close', () => this.onClose());
    socket.once('end', () => this.startProbe());
    if (options.stdin) this.input = new SocketInput(socket);
    else socket.resume();
    this.client = {
      stdin: this.input,
      write: (stream, data) => this.write(stream, data),
      signal: this.gone.signal,
    };
    if (socket.destroyed) this.onClose();
  }

  private write(stream: 'stdout' | 'stderr', data: Buffer): Promise<void> {
    if (data.length === 0 || !this.socket.writable) return Promise.resolve();
    if (this.send(stream, data)) return Promise.resolve();
    this.drained ??= this.untilDrained();
    return this.drained;
  }

  /** Everything written reaches the client, then the connection closes. */
  finish(): void {
    closeGently(this.socket);
  }

  private send(stream: 'stdout' | 'stderr', data: Buffer): boolean {
    const { socket } = this;
    if (!this.multiplexed) return socket.write(data, this.onWritten);
    if (data.length <= copyLimitBytes) return socket.write(frame(stream, data), this.onWritten);
    socket.cork();
    socket.write(frameHeader(stream, data.length));
    const ready = socket.write(data, this.onWritten);
    socket.uncork();
    return ready;
  }

  /** The client is gone, and Node is about to close the socket: what it typed just before may not have been read yet. */
  private readonly onWritten = (error?: Error | null): void => {
    if (error !== undefined && error !== null) this.input?.readRest();
  };

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
      if (this.socket.writable && this.socket.writableLength === 0)
        this.socket.write(Buffer.alloc(0), this.onWritten);
    }, probeMs);
    this.probe.unref();
  }

  private onClose(): void {
    clearInterval(this.probe);
    this.gone.abort();
  }
}

/**
 * The client's bytes until it half-closes or is gone. Read ahead up to a limit even when nobody takes them, so that
 * the end is noticed; leaving the loop discards the rest.
 */
class SocketInput implements AsyncIterable<Buffer> {
  private readonly socket: Socket;
  private parts: Buffer[] = [];
  private bytes = 0;
  private ended = false;
  private wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    // a socket without encoding emits buffers
    socket.on('data', (part: Buffer) => this.add(part));
    socket.once('end', () => this.end());
    socket.once('close', () => this.end());
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    try {
      for (;;) {
        while (this.parts.length > 0) yield this.take();
        if (this.ended) return;
        await new Promise<void>((resolve) => (this.wake = resolve));
      }
    } finally {
      this.ended = true;
      this.take();
    }
  }

  /** Takes what the socket still has, up to the limit; over TLS it can't be told from what the cipher adds. */
  readRest(): void {
    const { fd } = (this.socket as { _handle?: { fd?: number } | null })._handle ?? {};
    if (fd === undefined || fd < 0 || this.socket instanceof TLSSocket) return;
    const rest = Buffer.alloc(readAheadBytes);
    try {
      const length = readSync(fd, rest);
      if (length > 0) this.add(rest.subarray(0, length));
    } catch {
      // EAGAIN: there is none
    }
  }

  private add(part: Buffer): void {
    if (this.ended) return;
    this.parts.push(part);
    this.bytes += part.length;
    if (this.bytes >= readAheadBytes) this.socket.pause();
    this.wake?.();
  }

  private take(): Buffer {
    const taken = this.parts.length === 1 ? (this.parts[0] ?? Buffer.alloc(0)) : Buffer.concat(this.parts);
    this.parts = [];
    this.bytes = 0;
    this.socket.resume();
    return taken;
  }

  private end(): void {
    this.ended = true;
    this.wake?.();
  }
}
