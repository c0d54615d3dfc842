// agent/: the daemon's end of the agent's protocol.
//
// Speaks the agent's protocol (docs/agent-protocol.md) on the unix socket of a VM's virtio-serial port.

import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { wallClock, whenOver, type Clock } from '../../async/deadline';
import { DaemonError, errorMessage } from '../../errors';
import type { Agent, AgentInput, AgentOutput, AgentTunnel } from '../contract/agent';
import { AgentError } from '../contract/agent-error';
import type { BulkAreas } from '../contract/bulk';
import { commonVersion } from './versions';
import { EventInbox, type EventListener } from './event-inbox';
import { decodeOffset, encodeFrame, encodeMessage, FrameDecoder, ProtocolError, type Frame } from './frame';
import { brokenPipe, InputChannel } from './input-channel';
import { parseFailure, parseHello, parseObject, parseResult } from './messages';
import { OutputChannel } from './output-channel';
import { TunnelInbox } from './tunnel-inbox';
import {
  FrameType,
  guestChannelBit,
  syncMagic,
  syncNonceBytes,
  syncPreambleZeros,
  type AgentHello,
  type AgentOperation,
  type AgentOperations,
} from '../contract/protocol';

/** Of all answers together that have begun and not ended. */
const maxMessageBytes = 16 * 1024 * 1024;
/** What may wait in our memory for a guest that does not read: more than all channels' credit and a large request. */
const maxUnsentBytes = 64 * 1024 * 1024;
const defaultRequestTimeoutMs = 60_000;

interface PendingRequest {
  op: AgentOperation;
  resolve: (result: unknown) => void;
  reject: (error: Error) => void;
  parts: Buffer[];
}

/**
 * One connection. When it breaks (`closed`), everything that waits is rejected with Unavailable; the VM may be
 * connected to again with a new client.
 */
export class AgentClient implements Agent {
  readonly hello: AgentHello;
  /** Set by whoever knows the VM's directory. */
  bulk: BulkAreas | undefined;
  /** Set by whoever knows the VM's process. */
  hindrance: (() => Promise<string | undefined>) | undefined;
  /** Resolves when the connection is over, with the reason. */
  readonly closed: Promise<Error>;
  readonly clock: Clock;
  readonly #socket: Socket;
  readonly #outputs = new Map<number, OutputChannel>();
  readonly #inputs = new Map<number, InputChannel>();
  readonly #requests = new Map<number, PendingRequest>();
  readonly #events = new EventInbox((frame) => this.#write(frame));
  readonly #tunnels = new TunnelInbox((channel) => ({
    output: this.openOutput(channel),
    input: this.openInput(channel),
  }));
  /** Channels that were named since the connection was made, or that the guest told of. */
  readonly #knownChannels = new Set<number>();
  /** Those with bytes that are not handed over yet. */
  readonly #touched = new Set<OutputChannel>();
  #nextRequest = 1;
  #nextChannel = 1;
  #answerBytes = 0;
  #failure: Error | undefined;
  #settleClosed: (error: Error) => void = () => undefined;

  private constructor(socket: Socket, hello: AgentHello, clock: Clock) {
    this.#socket = socket;
    this.hello = hello;
    this.clock = clock;
    for (const { channel, outAcked } of hello.channels) {
      this.#know(channel);
      // The guest sends again at once; who takes the channel over comes later.
      this.#makeOutput(channel, outAcked);
      if (channel >= guestChannelBit) this.#tunnels.found(channel, outAcked);
    }
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
  }

  /**
   * Connects and synchronises. Rejects with Unavailable when the agent has not said hello after `timeoutMs`, or speaks
   * another version. `clock`: of the VM's process; all that it is asked later goes by it.
   */
  static connect(
    socketPath: string,
    options: { timeoutMs: number; signal?: AbortSignal; clock?: Clock },
  ): Promise<AgentClient> {
    const clock = options.clock ?? wallClock;
    return new Promise((resolve, reject) => {
      const nonce = randomBytes(syncNonceBytes);
      const decoder = new FrameDecoder(nonce);
      const socket = connect(socketPath);
      let client: AgentClient | undefined;
      const fail = (error: unknown): void => {
        stopTimer();
        options.signal?.removeEventListener('abort', onAbort);
        socket.destroy();
        const reason =
          error instanceof DaemonError
            ? error
            : new DaemonError('Unavailable', `the VM's agent: ${errorMessage(error)}`, { cause: error });
        if (client === undefined) reject(reason);
        else client.#close(reason);
      };
      const onAbort = (): void =>
        fail(new DaemonError('Unavailable', 'the connection to the VM was given up'));
      const stopTimer = whenOver(options.timeoutMs, clock, () =>
        fail(new DaemonError('Unavailable', `the VM's agent has not answered for ${options.timeoutMs} ms`)),
      );
      options.signal?.addEventListener('abort', onAbort);
      if (options.signal?.aborted === true) onAbort();
      socket.on('error', fail);
      socket.on('close', () => fail(new Error('the connection is closed')));
      socket.on('connect', () => {
        socket.write(Buffer.alloc(syncPreambleZeros));
        socket.write(Buffer.concat([Buffer.from(syncMagic, 'latin1'), nonce]));
      });
      socket.on('data', (chunk) => {
        socket.cork();
        try {
          decoder.push(chunk, (frame) => {
            if (client !== undefined) {
              client.#receive(frame);
              return;
            }
            const hello = readHello(frame);
            stopTimer();
            options.signal?.removeEventListener('abort', onAbort);
            client = new AgentClient(socket, hello, clock);
            client.#send(encodeMessage(FrameType.hello, 0, { version: hello.version }));
            resolve(client);
          });
          if (client !== undefined) client.#deliver();
        } catch (error) {
          fail(error);
        }
        socket.uncork();
      });
    });
  }

  request<Op extends AgentOperation>(
    op: Op,
    params: AgentOperations[Op]['params'],
    options: { timeoutMs?: number; signal?: AbortSignal } = {},
  ): Promise<AgentOperations[Op]['result']> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      if (options.signal?.aborted === true) {
        reject(new DaemonError('Unavailable', `${op} in the VM: given up`));
        return;
      }
      const id = this.#nextRequest;
      this.#nextRequest = id >= 0x7fff_ffff ? 1 : id + 1;
      const timeoutMs = options.timeoutMs ?? defaultRequestTimeoutMs;
      const done = (): void => {
        stopTimer();
        options.signal?.removeEventListener('abort', onAbort);
        for (const part of this.#requests.get(id)?.parts ?? []) this.#answerBytes -= part.length;
        this.#requests.delete(id);
      };
      const giveUp = (why: string): void => {
        done();
        reject(new DaemonError('Unavailable', `${op} in the VM: ${why}`));
      };
      const stopTimer = whenOver(timeoutMs, this.clock, () => giveUp(`no answer for ${timeoutMs} ms`));
      const onAbort = (): void => giveUp('given up');
      options.signal?.addEventListener('abort', onAbort);
      this.#requests.set(id, {
        op,
        parts: [],
        resolve: (result) => {
          done();
          try {
            resolve(parseResult(op, result));
          } catch (error) {
            reject(new DaemonError('Internal', `${op} in the VM: ${errorMessage(error)}`, { cause: error }));
          }
        },
        reject: (error) => {
          done();
          reject(error);
        },
      });
      this.#send(encodeMessage(FrameType.request, id, { op, ...params }));
    });
  }

  allocateChannel(): number {
    while (this.#knownChannels.has(this.#nextChannel)) this.#nextChannel += 1;
    const channel = this.#nextChannel;
    this.#nextChannel = channel + 1 >= guestChannelBit ? 1 : channel + 1;
    this.#knownChannels.add(channel);
    return channel;
  }

  openOutput(channel: number, fromOffset = 0): AgentOutput {
    this.#know(channel);
    const known = this.#outputs.get(channel);
    known?.adopt(fromOffset);
    const output = known ?? this.#makeOutput(channel, fromOffset);
    if (this.#failure !== undefined) output.lose(this.#failure);
    return output;
  }

  openInput(channel: number): AgentInput {
    this.#know(channel);
    const received = this.hello.channels.find((known) => known.channel === channel)?.inReceived ?? 0;
    const input = new InputChannel(channel, received, this.#write, () => {
      this.#inputs.delete(channel);
      this.#forget(channel);
    });
    this.#inputs.set(channel, input);
    if (this.#failure !== undefined) input.close(this.#failure);
    return input;
  }

  onEvent(listener: EventListener): () => void {
    return this.#events.listen(listener);
  }

  onTunnel(listener: (tunnel: AgentTunnel) => void): void {
    this.#tunnels.listen(listener);
  }

  /** Lets go of the VM, which goes on without us. */
  disconnect(): void {
    this.#socket.destroy();
    this.#close(new DaemonError('Unavailable', 'the daemon has let go of the VM'));
  }

  readonly #write = (frame: Buffer): void => {
    if (this.#failure !== undefined) return;
    if (this.#socket.writableLength > maxUnsentBytes) {
      this.#socket.destroy(new ProtocolError('the guest does not read what it is sent'));
      return;
    }
    this.#socket.write(frame);
  };

  #send(frames: Buffer[]): void {
    for (const frame of frames) this.#write(frame);
  }

  #makeOutput(channel: number, fromOffset: number): OutputChannel {
    const output = new OutputChannel(channel, fromOffset, this.#write, () => {
      this.#outputs.delete(channel);
      this.#touched.delete(output);
      this.#forget(channel);
    });
    this.#outputs.set(channel, output);
    return output;
  }

  #know(channel: number): void {
    this.#knownChannels.add(channel);
    if (channel < guestChannelBit) this.#nextChannel = Math.max(this.#nextChannel, channel + 1);
  }

  #forget(channel: number): void {
    if (!this.#outputs.has(channel) && !this.#inputs.has(channel)) this.#knownChannels.delete(channel);
  }

  #close(reason: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = reason;
    for (const request of [...this.#requests.values()]) request.reject(reason);
    for (const output of [...this.#outputs.values()]) output.lose(reason);
    for (const input of [...this.#inputs.values()]) input.close(reason);
    this.#settleClosed(reason);
  }

  #receive(frame: Frame): void {
    switch (frame.type) {
      case FrameType.response:
        this.#receiveResponse(frame);
        return;
      case FrameType.event:
        this.#deliver(); // output that came before an event is handed over before it
        this.#events.receive(frame.payload);
        return;
      case FrameType.data:
        this.#receiveData(frame);
        return;
      case FrameType.eof:
        this.#outputs.get(frame.channel)?.receiveEnd(decodeOffset(frame.payload));
        return;
      case FrameType.ack:
        this.#inputs.get(frame.channel)?.receiveAck(decodeOffset(frame.payload));
        return;
      case FrameType.reset:
        this.#inputs.get(frame.channel)?.close(brokenPipe(frame.channel));
        return;
      case FrameType.hello:
      case FrameType.request:
      case FrameType.eventAck:
        throw new ProtocolError(`a frame of type ${frame.type} from the guest`);
    }
  }

  #receiveData(frame: Frame): void {
    const offset = decodeOffset(frame.payload);
    if (offset === 0 && frame.channel >= guestChannelBit && !this.#outputs.has(frame.channel)) {
      if (this.#tunnels.full) {
        this.#write(encodeFrame(FrameType.reset, frame.channel, Buffer.alloc(0)));
        return;
      }
      this.#know(frame.channel);
      this.#makeOutput(frame.channel, 0);
      this.#tunnels.opened(frame.channel);
    }
    const output = this.#outputs.get(frame.channel);
    if (output !== undefined) {
      output.receive(offset, frame.payload.subarray(8));
      this.#touched.add(output);
    } else if (frame.channel >= this.#nextChannel && frame.channel < guestChannelBit) {
      // Later bytes of a channel that was reset are nothing special; these belong to none that ever was.
      throw new ProtocolError(`bytes of channel ${frame.channel}, which nobody has opened`);
    }
  }

  #deliver(): void {
    for (const output of this.#touched) output.deliver();
    this.#touched.clear();
  }

  #receiveResponse(frame: Frame): void {
    const request = this.#requests.get(frame.channel);
    if (request === undefined) return; // given up meanwhile
    this.#answerBytes += frame.payload.length;
    if (this.#answerBytes > maxMessageBytes) throw new ProtocolError('an answer without end');
    request.parts.push(frame.payload);
    if (frame.more) return;
    this.#deliver();
    const message = parseObject(Buffer.concat(request.parts));
    const failure = message['error'];
    if (failure !== undefined) request.reject(new AgentError(parseFailure(failure)));
    else request.resolve(message['result']);
  }
}

/** Throws Unavailable when the agent speaks no version that we know. */
function readHello(frame: Frame): AgentHello {
  if (frame.type !== FrameType.hello) throw new ProtocolError('no hello');
  const message = parseObject(frame.payload);
  return parseHello({ ...message, version: commonVersion(message) });
}
