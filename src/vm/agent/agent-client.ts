// Speaks the agent's protocol (docs/agent-protocol.md) on the unix socket of a VM's virtio-serial port.

import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { DaemonError, errorMessage } from '../../errors';
import { log } from '../../log';
import type { Agent, AgentInput, AgentOutput } from './agent';
import { AgentError } from './agent-error';
import { brokenPipe, InputChannel, OutputChannel } from './channels';
import { decodeOffset, encodeMessage, encodeOffset, FrameDecoder, ProtocolError, type Frame } from './frame';
import {
  FrameType,
  guestChannelBit,
  protocolVersion,
  syncMagic,
  syncNonceBytes,
  syncPreambleZeros,
  type AgentEvent,
  type AgentFailure,
  type AgentHello,
  type AgentOperation,
  type AgentOperations,
} from './protocol';

const maxMessageBytes = 16 * 1024 * 1024;
const defaultRequestTimeoutMs = 60_000;

interface PendingRequest {
  resolve: (result: unknown) => void;
  reject: (error: Error) => void;
  parts: Buffer[];
  bytes: number;
}

type EventListener = (event: AgentEvent, ack: () => void) => void;

/**
 * One connection. When it breaks (`closed`), everything that waits is rejected with Unavailable; the VM may be
 * connected to again with a new client.
 */
export class AgentClient implements Agent {
  readonly hello: AgentHello;
  /** Resolves when the connection is over, with the reason. */
  readonly closed: Promise<Error>;
  readonly #socket: Socket;
  readonly #outputs = new Map<number, OutputChannel>();
  readonly #inputs = new Map<number, InputChannel>();
  readonly #requests = new Map<number, PendingRequest>();
  readonly #knownChannels: Set<number>;
  #nextRequest = 1;
  #nextChannel = 1;
  #lastEvent = 0;
  #listeners: EventListener[] = [];
  #earlyEvents: AgentEvent[] = [];
  #failure: Error | undefined;
  #settleClosed: (error: Error) => void = () => undefined;

  private constructor(socket: Socket, hello: AgentHello) {
    this.#socket = socket;
    this.hello = hello;
    this.#knownChannels = new Set(hello.channels.map((channel) => channel.channel));
    for (const channel of this.#knownChannels) this.#nextChannel = Math.max(this.#nextChannel, channel + 1);
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
  }

  /**
   * Connects and synchronises. Rejects with Unavailable when the agent has not said hello after `timeoutMs`, or speaks
   * another version.
   */
  static connect(
    socketPath: string,
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<AgentClient> {
    return new Promise((resolve, reject) => {
      const nonce = randomBytes(syncNonceBytes);
      const decoder = new FrameDecoder(nonce);
      const socket = connect(socketPath);
      let client: AgentClient | undefined;
      const fail = (error: unknown): void => {
        clearTimeout(timer);
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
      const timer = setTimeout(
        () =>
          fail(new DaemonError('Unavailable', `the VM's agent has not answered for ${options.timeoutMs} ms`)),
        options.timeoutMs,
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
            const hello = parseHello(frame);
            clearTimeout(timer);
            options.signal?.removeEventListener('abort', onAbort);
            client = new AgentClient(socket, hello);
            client.#send(encodeMessage(FrameType.hello, 0, { version: protocolVersion }));
            resolve(client);
          });
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
      const id = this.#nextRequest;
      this.#nextRequest = id >= 0x7fff_ffff ? 1 : id + 1;
      const timeoutMs = options.timeoutMs ?? defaultRequestTimeoutMs;
      const done = (): void => {
        clearTimeout(timer);
        options.signal?.removeEventListener('abort', onAbort);
        this.#requests.delete(id);
      };
      const giveUp = (why: string): void => {
        done();
        reject(new DaemonError('Unavailable', `${op} in the VM: ${why}`));
      };
      const timer = setTimeout(() => giveUp(`no answer for ${timeoutMs} ms`), timeoutMs);
      const onAbort = (): void => giveUp('given up');
      options.signal?.addEventListener('abort', onAbort);
      this.#requests.set(id, {
        parts: [],
        bytes: 0,
        resolve: (result) => {
          done();
          // The agent's answers are not checked member by member: hello has told that it is our own build.
          resolve(result as AgentOperations[Op]['result']);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      });
      this.#send(encodeMessage(FrameType.request, id, { op, ...params }));
      if (options.signal?.aborted === true) onAbort();
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
    this.#knownChannels.add(channel);
    const output = new OutputChannel(channel, fromOffset, this.#write, () => {
      this.#outputs.delete(channel);
      this.#forget(channel);
    });
    this.#outputs.set(channel, output);
    if (this.#failure !== undefined) output.lose(this.#failure);
    return output;
  }

  openInput(channel: number): AgentInput {
    this.#knownChannels.add(channel);
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
    this.#listeners.push(listener);
    const early = this.#earlyEvents;
    this.#earlyEvents = [];
    for (const event of early) this.#deliver(event);
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== listener);
    };
  }

  /** Lets go of the VM, which goes on without us. */
  disconnect(): void {
    this.#socket.destroy();
    this.#close(new DaemonError('Unavailable', 'the daemon has let go of the VM'));
  }

  readonly #write = (frame: Buffer): void => {
    if (this.#failure === undefined) this.#socket.write(frame);
  };

  #send(frames: Buffer[]): void {
    for (const frame of frames) this.#write(frame);
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
        this.#receiveEvent(frame);
        return;
      case FrameType.data:
        this.#outputs.get(frame.channel)?.receive(decodeOffset(frame.payload), frame.payload.subarray(8));
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

  #receiveResponse(frame: Frame): void {
    const request = this.#requests.get(frame.channel);
    if (request === undefined) return; // given up meanwhile
    request.bytes += frame.payload.length;
    if (request.bytes > maxMessageBytes) throw new ProtocolError('a response without end');
    request.parts.push(Buffer.from(frame.payload));
    if (frame.more) return;
    const message = parseObject(Buffer.concat(request.parts));
    const failure = message['error'];
    if (failure !== undefined) request.reject(new AgentError(parseFailure(failure)));
    else request.resolve(message['result'] ?? {});
  }

  #receiveEvent(frame: Frame): void {
    const event = parseEvent(parseObject(frame.payload));
    // Sent again after a re-connection: what this client has delivered it does not deliver twice.
    if (event === undefined || event.seq <= this.#lastEvent) return;
    this.#lastEvent = event.seq;
    if (this.#listeners.length > 0) this.#deliver(event);
    else if (this.#earlyEvents.length < 10_000) this.#earlyEvents.push(event);
    else throw new ProtocolError('a flood of events');
  }

  #deliver(event: AgentEvent): void {
    const ack = (): void => this.#write(encodeOffset(FrameType.eventAck, 0, event.seq));
    for (const listener of this.#listeners) listener(event, ack);
  }
}

function parseObject(payload: Buffer): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(payload.toString());
  } catch {
    throw new ProtocolError('not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ProtocolError('not an object');
  return value as Record<string, unknown>;
}

function parseHello(frame: Frame): AgentHello {
  if (frame.type !== FrameType.hello) throw new ProtocolError('no hello');
  const hello = parseObject(frame.payload);
  if (hello['version'] !== protocolVersion) {
    throw new DaemonError(
      'Unavailable',
      `the VM's agent speaks version ${String(hello['version'])} of the protocol, this daemon ${protocolVersion}`,
    );
  }
  const list = (name: string): unknown[] => (Array.isArray(hello[name]) ? (hello[name] as unknown[]) : []);
  return {
    version: protocolVersion,
    build: String(hello['build']),
    identified: hello['identified'] === true,
    pod: hello['pod'] === true,
    // Members that our agent fills; a forged one leads to ids and channels that no record knows.
    containers: list('containers') as AgentHello['containers'],
    execs: list('execs') as AgentHello['execs'],
    channels: (list('channels') as AgentHello['channels']).filter(
      (state) => Number.isSafeInteger(state.channel) && Number.isSafeInteger(state.inReceived),
    ),
  };
}

function parseFailure(value: unknown): AgentFailure {
  const failure = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const text = (name: string, fallback: string): string => {
    const member = failure[name];
    return typeof member === 'string' ? member : fallback;
  };
  return {
    code: text('code', 'EIO'),
    phase: text('phase', 'request') as AgentFailure['phase'], // compared with the known ones where it matters
    message: text('message', 'no reason given'),
  };
}

function parseEvent(message: Record<string, unknown>): AgentEvent | undefined {
  const seq = message['seq'];
  if (typeof seq !== 'number' || !Number.isSafeInteger(seq))
    throw new ProtocolError('an event without number');
  if (message['event'] === 'exit' || message['event'] === 'oom') return message as unknown as AgentEvent;
  log.warn('unknown event from a VM', { event: String(message['event']) });
  return undefined;
}
