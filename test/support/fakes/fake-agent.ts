// The guest's end of the agent's protocol on a real unix socket: says what a test tells it to, right or wrong.
// (FakeAgent, which stands in for the client, is in engine-fakes.ts.)

import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  encodeFrame,
  encodeMessage,
  FrameDecoder,
  encodeData,
  encodeOffset,
  type Frame,
} from '../../../src/vm/agent/frame';
import {
  FrameType,
  syncMagic,
  syncNonceBytes,
  type AgentHello,
  type AgentOperation,
} from '../../../src/vm/contract/protocol';

export const plainHello: AgentHello = {
  version: 1,
  build: 'test',
  identified: false,
  pod: false,
  containers: [],
  execs: [],
  channels: [],
};

type Answer = (params: Record<string, unknown>) => object;

/** Listens like QEMU's chardev: one connection at a time, the next when that is over. */
export class FakeGuest extends EventEmitter {
  readonly directory = mkdtempSync(join(tmpdir(), 'fake-guest-'));
  readonly socketPath = join(this.directory, 'agent.sock');
  readonly frames: Frame[] = [];
  readonly requests: { op: AgentOperation; [name: string]: unknown }[] = [];
  /** Requests without an answer here get `{}`. */
  readonly answers = new Map<AgentOperation, Answer>();
  /** What is said first; undefined: nothing at all. */
  hello: object | undefined = plainHello;
  /** Sent in front of the answer to the nonce. */
  leftovers: Buffer = Buffer.alloc(0);
  answersRequests = true;
  syncBytes = 0;
  readonly #server: Server;
  #socket: Socket | undefined;

  private constructor() {
    super();
    this.#server = createServer((socket) => this.#accept(socket));
  }

  static async listen(): Promise<FakeGuest> {
    const guest = new FakeGuest();
    guest.#server.listen(guest.socketPath);
    await once(guest.#server, 'listening');
    return guest;
  }

  write(...bytes: Buffer[]): void {
    this.#socket?.write(Buffer.concat(bytes));
  }

  send(type: FrameType, channel: number, payload: Buffer = Buffer.alloc(0)): void {
    this.write(encodeFrame(type, channel, payload));
  }

  data(channel: number, offset: number, text: string | Buffer): void {
    this.write(encodeData(channel, offset, Buffer.from(text)));
  }

  eof(channel: number, offset: number): void {
    this.write(encodeOffset(FrameType.eof, channel, offset));
  }

  ack(channel: number, offset: number): void {
    this.write(encodeOffset(FrameType.ack, channel, offset));
  }

  event(event: object): void {
    this.write(...encodeMessage(FrameType.event, 0, event));
  }

  respond(id: number, message: object): void {
    this.write(...encodeMessage(FrameType.response, id, message));
  }

  /** The first frame that fits, now or when it comes. */
  async frame(fits: (frame: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const found = this.frames.find(fits);
      if (found !== undefined) return found;
      await once(this, 'frame');
    }
  }

  /** Waits until this much of a channel is acknowledged. */
  async acknowledged(channel: number, offset: number): Promise<void> {
    await this.frame(
      (frame) => frame.type === FrameType.ack && frame.channel === channel && offsetOf(frame) >= offset,
    );
  }

  drop(): void {
    this.#socket?.destroy();
  }

  async close(): Promise<void> {
    this.#socket?.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.directory, { recursive: true, force: true });
  }

  #accept(socket: Socket): void {
    this.#socket = socket;
    let preamble: Buffer = Buffer.alloc(0);
    let decoder: FrameDecoder | undefined;
    const partial = new Map<number, Buffer[]>();
    socket.on('error', () => undefined);
    socket.on('close', () => this.emit('gone'));
    socket.on('data', (chunk: Buffer) => {
      if (decoder === undefined) {
        preamble = Buffer.concat([preamble, chunk]);
        const at = preamble.indexOf(syncMagic);
        const end = at + syncMagic.length + syncNonceBytes;
        if (at < 0 || preamble.length < end) return;
        this.syncBytes = at;
        const nonce = Buffer.from(preamble.subarray(at + syncMagic.length, end));
        // The same decoder, told that it is synchronised.
        decoder = new FrameDecoder(nonce);
        decoder.push(Buffer.concat([Buffer.from(syncMagic), nonce]), () => undefined);
        this.write(this.leftovers, Buffer.from(syncMagic), nonce);
        if (this.hello !== undefined) this.write(...encodeMessage(FrameType.hello, 0, this.hello));
        this.emit('synchronised');
        chunk = preamble.subarray(end);
      }
      if (chunk.length === 0) return;
      decoder.push(chunk, (frame) => {
        this.frames.push(frame);
        if (frame.type === FrameType.request) this.#request(frame, partial);
        this.emit('frame');
      });
    });
  }

  #request(frame: Frame, partial: Map<number, Buffer[]>): void {
    const parts = [...(partial.get(frame.channel) ?? []), frame.payload];
    partial.set(frame.channel, parts);
    if (frame.more) return;
    partial.delete(frame.channel);
    const message = JSON.parse(Buffer.concat(parts).toString()) as { op: AgentOperation };
    this.requests.push(message);
    if (!this.answersRequests) return;
    const answer = this.answers.get(message.op);
    this.respond(frame.channel, answer === undefined ? { result: {} } : answer({ ...message }));
  }
}

export function offsetOf(frame: Frame): number {
  return Number(frame.payload.readBigUInt64LE(0));
}
