// Serves gRPC on a socket that is there already: HTTP/2 with prior knowledge, as it is after an upgrade.

import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { longestTimerMs } from '../../async/deadline';
import { endWithPeer, http2Options, performServerHandshake, widenWindow } from './connection';
import { metadataOf, timeoutOf, type Metadata } from './metadata';
import { discardRest, MessageStream, ReadBudget } from './message-stream';
import type { Method, Methods, NamedMethod, Service } from './service';
import { GrpcError, statusCodes, trailersOf } from './status';

/** How long a client may take to end what the server has ended. */
const lingerMs = 5000;

export interface ServerCall {
  readonly metadata: Metadata;
  /** Aborted with a GrpcError when the client is gone, gave up, or its deadline is over. Never after the handler's end. */
  readonly signal: AbortSignal;
}

/** A call of many messages. */
export interface ServerStream<In, OutInit> {
  /** Undefined after the client's last. */
  receive(): Promise<In | undefined>;
  /** Resolves when there is room for another one. */
  send(message: OutInit): Promise<void>;
}

type HandlerOf<M> =
  M extends Method<infer In, never, unknown, infer OutInit, infer Streams>
    ? Streams extends 'none'
      ? (request: In, call: ServerCall) => Promise<OutInit>
      : Streams extends 'server'
        ? (request: In, call: ServerCall, send: (message: OutInit) => Promise<void>) => Promise<void>
        : (stream: ServerStream<In, OutInit>, call: ServerCall) => Promise<void>
    : never;

/** What is missing is answered Unimplemented. A handler that throws ends the call with `toError` of it. */
export type Handlers<M> = { readonly [K in keyof M]?: HandlerOf<M[K]> };

interface Route {
  readonly method: NamedMethod<Method<unknown, never, unknown, unknown>>;
  readonly handle: (...parameters: never[]) => Promise<unknown>;
}

/** The services of a server, by the paths of their methods. */
export class Routes {
  readonly #routes = new Map<string, Route>();
  readonly #services = new Set<string>();

  add<M extends Methods>(service: Service<M>, handlers: Handlers<M>): this {
    this.#services.add(service.name);
    const methods = new Map(Object.entries<unknown>(service.methods));
    for (const [name, handle] of Object.entries<unknown>(handlers)) {
      const method = methods.get(name);
      // what a handler takes and gives is by type what its method does
      if (typeof handle === 'function')
        this.#routes.set(`/${service.name}/${name}`, { method, handle } as Route);
    }
    return this;
  }

  /** Throws Unimplemented in the words of Go's server. */
  get(path: string): Route {
    const route = this.#routes.get(path);
    if (route !== undefined) return route;
    const [, service, method = ''] = /^\/([^/]+)\/(.*)$/.exec(path) ?? [];
    if (service === undefined) {
      throw new GrpcError(statusCodes.unimplemented, `malformed method name: ${JSON.stringify(path)}`);
    }
    throw new GrpcError(
      statusCodes.unimplemented,
      this.#services.has(service)
        ? `unknown method ${method} for service ${service}`
        : `unknown service ${service}`,
    );
  }
}

export interface ServerOptions {
  routes: Routes;
  /** What is told of anything that a handler throws. */
  toError: (error: unknown) => GrpcError;
}

export interface ServerConnection {
  /** When it is over, however. */
  readonly closed: Promise<void>;
  /** Cuts it off: calls under way are aborted. */
  destroy(): void;
}

/** The last is not in Node's types. */
type StreamEvent = [ServerHttp2Stream, IncomingHttpHeaders, number, string[]];

/** Takes the socket over. */
export function serveGrpc(socket: Duplex, { routes, toError }: ServerOptions): ServerConnection {
  const session = performServerHandshake(socket, http2Options);
  widenWindow(session);
  const budget = new ReadBudget();
  session.on('error', () => undefined); // 'close' follows
  endWithPeer(socket);
  session.on('stream', (...[stream, headers, , rawHeaders]: StreamEvent) => {
    stream.on('error', () => undefined); // 'close' follows
    const call = new Call(stream, metadataOf(rawHeaders), budget);
    void call.run(String(headers[':path']), headers['content-type'], routes, toError);
  });
  return {
    closed: new Promise((resolve) => session.once('close', resolve)),
    // not the session: Node 20 frees that twice if it is destroyed while it reads with much left to write
    destroy: () => socket.destroy(),
  };
}

class Call implements ServerCall {
  readonly metadata: Metadata;
  readonly signal: AbortSignal;
  readonly #stream: ServerHttp2Stream;
  readonly #budget: ReadBudget;
  readonly #abort = new AbortController();
  #isOver = false;

  constructor(stream: ServerHttp2Stream, metadata: Metadata, budget: ReadBudget) {
    this.#stream = stream;
    this.metadata = metadata;
    this.#budget = budget;
    this.signal = this.#abort.signal;
    stream.once('close', () => this.#cancel(statusCodes.cancelled, 'context canceled'));
  }

  async run(
    path: string,
    contentType: string | undefined,
    routes: Routes,
    toError: ServerOptions['toError'],
  ): Promise<void> {
    if (contentType?.startsWith('application/grpc') !== true) {
      this.#stream.respond({ ':status': 415 }, { endStream: true });
      return;
    }
    const timer = this.#startTimer();
    let failure: GrpcError | undefined;
    this.#stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    this.#stream.once('wantTrailers', () => this.#stream.sendTrailers(trailersOf(failure)));
    try {
      await this.#handle(routes.get(path));
    } catch (error) {
      // whatever a handler makes of its signal, that is what happened
      const reason: unknown = this.signal.aborted ? this.signal.reason : error;
      failure = reason instanceof GrpcError ? reason : toError(reason);
    } finally {
      clearTimeout(timer);
      this.#isOver = true;
      if (!this.#stream.destroyed) this.#end();
    }
  }

  /** The client may still be sending. Once it has the trailers it ends as well; a reset now would overtake them. */
  #end(): void {
    const stream = this.#stream;
    stream.end();
    discardRest(stream);
    const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), lingerMs);
    stream.once('close', () => clearTimeout(timer));
  }

  async #handle({ method, handle }: Route): Promise<void> {
    const stream = new MessageStream(this.#stream, method.request, method.response, this.#budget);
    const call = handle as (...parameters: unknown[]) => Promise<unknown>; // by `method.streams`
    const send = (message: unknown): Promise<void> => stream.send(message);
    if (method.streams === 'both') {
      await call({ receive: () => stream.receive(), send }, this);
      return;
    }
    const request = await stream.receive();
    if (request === undefined) throw new GrpcError(statusCodes.internal, 'the call has no request');
    if (method.streams === 'server') await call(request, this, send);
    else await stream.send(await call(request, this));
  }

  #startTimer(): NodeJS.Timeout | undefined {
    const timeoutMs = timeoutOf(this.metadata);
    if (timeoutMs === undefined || timeoutMs > longestTimerMs) return undefined;
    return setTimeout(
      () => this.#cancel(statusCodes.deadlineExceeded, 'context deadline exceeded'),
      timeoutMs,
    );
  }

  #cancel(code: number, text: string): void {
    if (!this.#isOver) this.#abort.abort(new GrpcError(code, text));
  }
}
