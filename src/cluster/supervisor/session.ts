// One session with a supervisor: a request, its answer, and the streams that follow it.

import type { Readable } from 'node:stream';
import { DaemonError } from '../../errors';
import { encodeFrame, FrameDecoder, SupervisorProtocolError, type Frame } from './frame';
import { frameKinds, inputAheadBytes, maxDataBytes, type SupervisorRequest } from './protocol';
import { parseFailure, parseObject } from './replies';

/** A way to a supervisor: what `ctl` in the Pod reads and writes. */
export interface ControlConnection {
  /** Fails when the connection breaks off. */
  readonly output: Readable;
  /** Resolves when there is room for more. */
  write(data: Buffer): Promise<void>;
  /** Harmless twice. */
  close(): void;
}

/** Rejects with DaemonError when there is no way to the Pod. */
export type OpenControl = (signal?: AbortSignal) => Promise<ControlConnection>;

/** One that says nothing for so long, though it is asked each quarter of that, is not there any more. */
const silenceMs = 60_000;
const looks = 4;
/** What has come and is not asked for yet. */
const queuedBytes = 512 * 1024;

export class SupervisorSession {
  readonly #connection: ControlConnection;
  readonly #decoder = new FrameDecoder();
  readonly #queue: Frame[] = [];
  #queuedBytes = 0;
  /** Undefined: more may come. Null: the end. */
  #end: { error: unknown } | null | undefined;
  #wakeReader: (() => void) | undefined;
  #wakePump: (() => void) | undefined;
  readonly #watch: NodeJS.Timeout;
  #ahead = 0;
  #roomWaiters: (() => void)[] = [];
  #heardAt = performance.now();
  #reading = false;
  #closed = false;

  private constructor(connection: ControlConnection) {
    this.#connection = connection;
    this.#watch = setInterval(() => this.#look(), silenceMs / looks).unref();
    void this.#pump();
  }

  /** Sends the request. Rejects as `open` does, or when `signal` comes first. */
  static async open(
    open: OpenControl,
    request: SupervisorRequest,
    signal?: AbortSignal,
  ): Promise<SupervisorSession> {
    const frame = encodeFrame(frameKinds.request, Buffer.from(JSON.stringify(request)));
    const session = new SupervisorSession(await open(signal));
    try {
      await session.#connection.write(frame);
      return session;
    } catch (error) {
      session.close();
      throw error;
    }
  }

  /** Its answer. Throws AgentError for a refusal. */
  async reply(): Promise<Readonly<Record<string, unknown>>> {
    const frame = await this.#next();
    if (frame === undefined) throw lost();
    if (frame.kind === frameKinds.failure) throw parseFailure(frame.content);
    if (frame.kind !== frameKinds.reply) throw new SupervisorProtocolError('no answer');
    return parseObject(frame.content);
  }

  /** What follows the answer. Ends when the supervisor ends the session; fails when the connection breaks off before. */
  async *frames(): AsyncGenerator<Frame, void, undefined> {
    try {
      for (let frame = await this.#next(); frame !== undefined; frame = await this.#next()) yield frame;
    } finally {
      this.close();
    }
  }

  /** To the process's input. Resolves when there is room for more; rejects when the session is over. */
  async write(data: Buffer): Promise<void> {
    for (let at = 0; at < data.length; at += maxDataBytes) {
      const part = data.subarray(at, at + maxDataBytes);
      while (!this.#closed && this.#end === undefined && this.#ahead >= inputAheadBytes) {
        await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
      }
      if (this.#closed || this.#end !== undefined) throw lost();
      this.#ahead += part.length;
      await this.#connection.write(encodeFrame(frameKinds.input, part));
    }
  }

  async endInput(): Promise<void> {
    await this.#connection.write(encodeFrame(frameKinds.inputEnd, Buffer.alloc(0)));
  }

  async resize({ rows, columns }: { rows: number; columns: number }): Promise<void> {
    const size = Buffer.alloc(4);
    size.writeUInt16LE(rows, 0);
    size.writeUInt16LE(columns, 2);
    await this.#connection.write(encodeFrame(frameKinds.resize, size));
  }

  /** Harmless twice. A process goes on without it; a job does not. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#watch);
    this.#connection.close();
    this.#end ??= null;
    this.#wakeReader?.();
    this.#wakePump?.();
    this.#letIn();
  }

  /** Undefined at the end. */
  async #next(): Promise<Frame | undefined> {
    for (;;) {
      const frame = this.#queue.shift();
      if (frame !== undefined) {
        this.#queuedBytes -= frame.content.length;
        if (this.#queuedBytes <= queuedBytes) this.#wakePump?.();
        return frame;
      }
      if (this.#end === null) return undefined;
      if (this.#end !== undefined) throw this.#end.error;
      await new Promise<void>((resolve) => (this.#wakeReader = resolve));
    }
  }

  /** Reads on also while nobody asks, within bounds: what is written is acknowledged in between. */
  async #pump(): Promise<void> {
    try {
      const chunks = (this.#connection.output as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
      for (;;) {
        this.#reading = true;
        this.#heardAt = performance.now();
        const chunk = await chunks.next();
        this.#reading = false;
        if (chunk.done === true) break;
        for (const frame of this.#decoder.push(chunk.value)) this.#take(frame);
        while (this.#queuedBytes > queuedBytes && !this.#closed) {
          await new Promise<void>((resolve) => (this.#wakePump = resolve));
        }
      }
      this.#end ??= null;
    } catch (error) {
      this.#end ??= { error };
    }
    this.#wakeReader?.();
    if (this.#queue.length === 0) this.close();
    this.#letIn();
  }

  #take(frame: Frame): void {
    if (frame.kind === frameKinds.pong) return;
    if (frame.kind === frameKinds.taken) {
      this.#taken(frame);
      return;
    }
    this.#queue.push(frame);
    this.#queuedBytes += frame.content.length;
    this.#wakeReader?.();
  }

  #taken({ content }: Frame): void {
    if (content.length !== 4) throw new SupervisorProtocolError('a frame of a wrong length');
    this.#ahead = Math.max(0, this.#ahead - content.readUInt32LE(0));
    this.#letIn();
  }

  #letIn(): void {
    for (const waiter of this.#roomWaiters.splice(0)) waiter();
  }

  /** Nobody is to wait for ever for one whose node is gone. Who does not read can't hear. */
  #look(): void {
    if (this.#reading && performance.now() - this.#heardAt > silenceMs) {
      this.#connection.output.destroy(
        new DaemonError(
          'Unavailable',
          `the container's supervisor has not been heard of for ${silenceMs} ms`,
        ),
      );
      return;
    }
    this.#connection.write(encodeFrame(frameKinds.ping, Buffer.alloc(0))).catch(() => undefined);
  }
}

function lost(): DaemonError {
  return new DaemonError('Unavailable', "the connection to the container's supervisor is lost");
}
