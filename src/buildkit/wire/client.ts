// Calls gRPC services over a socket that is there already, or over any stream that stands for one.

import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { endWithPeer, http2Options, widenWindow } from './connection';
import { metadataOf, type Metadata } from './metadata';
import { MessageStream, ReadBudget } from './message-stream';
import type { Method, NamedMethod } from './service';
import { GrpcError, statusCodes, statusOf } from './status';

export interface CallOptions {
  /** A value that is a list goes as so many headers. */
  metadata?: Readonly<Record<string, string | readonly string[]>>;
  signal?: AbortSignal;
  /** Told to the server, and kept here. */
  timeoutMs?: number;
}

/** A call of many messages. */
export interface ClientStream<Out, InInit> {
  /** Resolves when there is room for another one. */
  send(message: InInit): Promise<void>;
  /** No more will be sent. */
  end(): void;
  /** Undefined when the server has ended the call well; rejects with its status. One call at a time. */
  receive(): Promise<Out | undefined>;
  /** Ends the call, wherever it is. */
  cancel(): void;
}

export class GrpcClient {
  /** Aborted when the connection is over. */
  readonly closed: AbortSignal;
  readonly #socket: Duplex;
  readonly #session: ClientHttp2Session;
  readonly #budget = new ReadBudget();

  /** Takes the socket over. */
  constructor(socket: Duplex) {
    const closed = new AbortController();
    this.closed = closed.signal;
    this.#socket = socket;
    this.#session = connect('http://localhost', { ...http2Options, createConnection: () => socket });
    widenWindow(this.#session);
    endWithPeer(socket);
    this.#session.on('error', () => undefined); // 'close' follows
    this.#session.once('close', () => closed.abort(unavailable()));
  }

  /** The socket, not the session: Node 20 frees that twice if it is destroyed while it reads with much left to write. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** Rejects with GrpcError. */
  async unary<In, InInit, Out, OutInit>(
    method: NamedMethod<Method<In, InInit, Out, OutInit, 'none'>>,
    request: InInit,
    options: CallOptions = {},
  ): Promise<Out> {
    const stream = this.#start(method, options);
    try {
      // a server that refuses needn't read: its status tells more
      await stream.send(request).catch(() => undefined);
      stream.end();
      const answer = await stream.receive();
      if (answer === undefined) throw new GrpcError(statusCodes.internal, 'the call has no answer');
      await stream.receive();
      return answer;
    } finally {
      stream.cancel();
    }
  }

  /** A call that streams; its failures are told by `receive`. */
  open<In, InInit, Out, OutInit>(
    method: NamedMethod<Method<In, InInit, Out, OutInit>>,
    options: CallOptions = {},
  ): ClientStream<Out, InInit> {
    return this.#start(method, options);
  }

  #start<In, InInit, Out, OutInit>(
    method: NamedMethod<Method<In, InInit, Out, OutInit>>,
    options: CallOptions,
  ): ClientCall<Out, InInit> {
    options.signal?.throwIfAborted();
    if (this.closed.aborted || this.#session.destroyed || this.#session.closed) throw unavailable();
    const stream = this.#session.request({
      ...options.metadata,
      ':method': 'POST',
      ':path': method.path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...(options.timeoutMs === undefined ? {} : { 'grpc-timeout': `${Math.ceil(options.timeoutMs)}m` }),
    });
    const messages = new MessageStream(stream, method.response, method.request, this.#budget);
    return new ClientCall(stream, messages, () => this.#session.destroyed, options);
  }
}

function unavailable(): GrpcError {
  return new GrpcError(statusCodes.unavailable, 'the connection is closed');
}

class ClientCall<Out, InInit> implements ClientStream<Out, InInit> {
  readonly #stream: ClientHttp2Stream;
  readonly #messages: MessageStream<Out, InInit>;
  /** What the server said at the end; undefined: nothing. */
  readonly #trailers: Promise<Metadata | undefined>;
  readonly #isGone: () => boolean;
  /** Why we ended it. */
  #reason: Error | undefined;

  constructor(
    stream: ClientHttp2Stream,
    messages: MessageStream<Out, InInit>,
    isGone: () => boolean,
    { signal, timeoutMs }: CallOptions,
  ) {
    this.#isGone = isGone;
    this.#stream = stream;
    this.#messages = messages;
    let trailers: Metadata | undefined;
    const take = (_headers: unknown, _flags: unknown, rawHeaders?: readonly string[]): void => {
      const metadata = metadataOf(rawHeaders ?? []);
      if (metadata.has('grpc-status')) trailers = metadata;
    };
    stream.on('response', take);
    stream.on('trailers', take);
    stream.on('error', () => undefined); // 'close' follows
    const onAbort = (): void => this.#endBy(signal?.reason as Error); // an error, as whoever aborts gives it
    signal?.addEventListener('abort', onAbort, { once: true });
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(
            () => this.#endBy(new GrpcError(statusCodes.deadlineExceeded, 'context deadline exceeded')),
            timeoutMs,
          );
    this.#trailers = new Promise((resolve) => {
      stream.once('close', () => {
        signal?.removeEventListener('abort', onAbort);
        clearTimeout(timer);
        resolve(trailers);
      });
    });
  }

  send(message: InInit): Promise<void> {
    return this.#messages.send(message);
  }

  end(): void {
    if (!this.#stream.destroyed) this.#stream.end();
  }

  cancel(): void {
    if (!this.#stream.closed) this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  async receive(): Promise<Out | undefined> {
    let failure: unknown;
    try {
      const message = await this.#messages.receive();
      if (message !== undefined) return message;
    } catch (error) {
      this.cancel(); // what is broken on our side
      failure = error;
    }
    // the server's half has ended: with its trailers the call is over, whatever we still wanted to send
    if (failure === undefined) this.end();
    const trailers = await this.#trailers;
    if (this.#reason !== undefined) throw this.#reason;
    const status = trailers === undefined ? undefined : statusOf(trailers);
    if (status !== undefined) throw status;
    if (failure instanceof Error && !this.#isGone()) throw failure;
    if (trailers === undefined) throw unavailable();
    return undefined;
  }

  #endBy(reason: Error): void {
    this.#reason ??= reason;
    this.cancel();
  }
}
