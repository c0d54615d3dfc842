// Connections into a container, many over one session with its supervisor: what published ports lead through. And out of it, from its sockets.

import { Duplex } from 'node:stream';
import { DaemonError, errorMessage } from '../../errors';
import {
  TunnelDecoder,
  TunnelProtocolError,
  encodeTunnelFrame,
  maxTunnelDataBytes,
  openFrame,
  takenFrame,
  tunnelKinds,
  tunnelWindowBytes,
  type TunnelFrame,
  type tunnelProtocols,
} from './tunnel-frames';

/** The session: its supervisor's `tunnel`. */
export interface TunnelSession {
  /** Ends, or fails, when the session is over. */
  readonly output: AsyncIterable<Buffer>;
  write(data: Buffer): Promise<void>;
  close(): void;
}

const maxConnection = 0xffff_ffff;

/** Takes a connection that the container has made, to its socket of this index. Of a tunnel without one there are none. */
export type TakeConnection = (connection: Duplex, socket: number) => void;

/** A container's, at once. */
const maxAccepted = 512;

export class Tunnel {
  readonly #take: TakeConnection | undefined;
  readonly #session: TunnelSession;
  readonly #connections = new Map<number, TunnelConnection>();
  /** Frames go one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #next = 0;
  #over: DaemonError | undefined;
  /** Resolves when it is over, for whatever reason. */
  readonly ended: Promise<void>;

  constructor(session: TunnelSession, take?: TakeConnection) {
    this.#take = take;
    this.#session = session;
    this.ended = this.#read();
  }

  get isOver(): boolean {
    return this.#over !== undefined;
  }

  /**
   * A connection to a port of the container: a stream whose halves close apart; of UDP, a datagram each chunk. It fails with what
   * the container answers, or when the tunnel is lost.
   */
  connect(port: number, protocol: keyof typeof tunnelProtocols): Duplex {
    const id = this.#freeId();
    const connection = this.#connection(id, protocol);
    if (this.#over !== undefined) {
      connection.destroy(this.#over);
      return connection;
    }
    this.#connections.set(id, connection);
    void this.#send(openFrame(id, port, protocol));
    return connection;
  }

  close(): void {
    this.#end(new DaemonError('Unavailable', 'the tunnel to the container was closed'));
  }

  #connection(id: number, protocol: keyof typeof tunnelProtocols): TunnelConnection {
    return new TunnelConnection({
      protocol,
      send: (kind, content) => this.#send(encodeTunnelFrame(id, kind, content)),
      taken: (bytes) => void this.#send(takenFrame(id, bytes)),
      over: () => this.#connections.delete(id),
    });
  }

  #freeId(): number {
    do this.#next = this.#next >= maxConnection ? 1 : this.#next + 1;
    while (this.#connections.has(this.#next));
    return this.#next;
  }

  async #send(frame: Buffer): Promise<void> {
    const sent = this.#last.then(async () => {
      if (this.#over === undefined) await this.#session.write(frame);
    });
    this.#last = sent.catch((error: unknown) => this.#end(lost(error)));
    return sent;
  }

  async #read(): Promise<void> {
    const decoder = new TunnelDecoder();
    try {
      for await (const bytes of this.#session.output) {
        for (const frame of decoder.push(bytes)) this.#receive(frame);
      }
      this.#end(lost());
    } catch (error) {
      this.#end(lost(error));
    }
  }

  #receive({ connection, kind, content }: TunnelFrame): void {
    if (kind === tunnelKinds.open && this.#take !== undefined) this.#accept(connection, content, this.#take);
    // of one that is over here, more may be under way
    else this.#connections.get(connection)?.receive(kind, content);
  }

  #accept(id: number, content: Buffer, take: TakeConnection): void {
    if (content.length !== 4) throw new TunnelProtocolError('a connection to no socket');
    if (this.#connections.has(id)) throw new TunnelProtocolError(`a second connection ${id}`);
    if (this.#connections.size >= maxAccepted) {
      void this.#send(encodeTunnelFrame(id, tunnelKinds.reset)); // what still comes of it finds nobody
      return;
    }
    const connection = this.#connection(id, 'tcp');
    this.#connections.set(id, connection);
    take(connection, content.readUInt32LE(0));
  }

  #end(reason: DaemonError): void {
    if (this.#over !== undefined) return;
    this.#over = reason;
    this.#session.close();
    for (const connection of [...this.#connections.values()]) connection.destroy(reason);
  }
}

interface ConnectionLink {
  protocol: keyof typeof tunnelProtocols;
  send(kind: number, content?: Buffer): Promise<void>;
  /** The reader has taken so many bytes. */
  taken(bytes: number): void;
  over(): void;
}

class TunnelConnection extends Duplex {
  readonly #link: ConnectionLink;
  /** Bytes that the other side takes now. */
  #credit = tunnelWindowBytes;
  #waiting: (() => void) | undefined;
  /** What has come and has not been read yet. */
  #unread = 0;
  #isReset = false;

  constructor(link: ConnectionLink) {
    super({ allowHalfOpen: true, readableObjectMode: link.protocol === 'udp' });
    this.#link = link;
    this.on('error', () => undefined); // whoever uses it has listeners of its own
  }

  /** A frame for it. */
  receive(kind: number, content: Buffer): void {
    switch (kind) {
      case tunnelKinds.opened:
        this.emit('connect');
        return;
      case tunnelKinds.data:
        this.#takeData(content);
        return;
      case tunnelKinds.end:
        this.push(null);
        return;
      case tunnelKinds.taken:
        if (content.length === 4) this.#credit += content.readUInt32LE(0);
        this.#waiting?.();
        return;
      case tunnelKinds.reset:
        this.#isReset = true;
        this.destroy(new DaemonError('Unavailable', content.toString() || 'the connection was reset'));
        return;
      default:
        this.destroy(new TunnelProtocolError(`a frame of kind ${kind}`));
    }
  }

  #takeData(content: Buffer): void {
    if (this.#link.protocol === 'udp') {
      // as elsewhere, those for whom there is no room are lost
      if (this.readableLength < 64) this.push(Buffer.from(content));
      return;
    }
    this.#unread += content.length;
    if (this.#unread > tunnelWindowBytes) {
      this.destroy(new TunnelProtocolError('more than the window'));
      return;
    }
    if (this.push(Buffer.from(content))) this.#takeAll();
  }

  #takeAll(): void {
    const bytes = this.#unread - this.readableLength;
    if (bytes <= 0) return;
    this.#unread -= bytes;
    this.#link.taken(bytes);
  }

  override _read(): void {
    if (this.#link.protocol === 'tcp') this.#takeAll();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#send(chunk).then(() => done(), done);
  }

  async #send(chunk: Buffer): Promise<void> {
    if (this.#link.protocol === 'udp') {
      if (chunk.length <= maxTunnelDataBytes) await this.#link.send(tunnelKinds.data, chunk);
      return;
    }
    for (let at = 0; at < chunk.length;) {
      while (this.#credit === 0 && !this.destroyed) {
        await new Promise<void>((resolve) => (this.#waiting = resolve));
      }
      if (this.destroyed) return;
      const part = chunk.subarray(at, at + Math.min(this.#credit, maxTunnelDataBytes));
      this.#credit -= part.length;
      at += part.length;
      await this.#link.send(tunnelKinds.data, part);
    }
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#link.send(tunnelKinds.end).then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#waiting?.();
    this.#link.over();
    const isEnded = this.readableEnded && this.writableFinished;
    if (!this.#isReset && !isEnded) this.#link.send(tunnelKinds.reset).catch(() => undefined);
    done(error);
  }
}

function lost(cause?: unknown): DaemonError {
  const why = cause === undefined ? 'it ended' : errorMessage(cause);
  return new DaemonError('Unavailable', `the tunnel to the container is lost: ${why}`, { cause });
}
