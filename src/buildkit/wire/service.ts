// Declares gRPC services: which messages a method takes and gives, for both ends of a connection.

import type { MessageType } from './codec';

/** `in` and `out` as they are decoded, `inInit` and `outInit` as they may be encoded. */
export interface Method<In, InInit, Out, OutInit, Streams extends Streaming = Streaming> {
  readonly request: MessageType<In, InInit>;
  readonly response: MessageType<Out, OutInit>;
  readonly streams: Streams;
}

/** Which side sends more than one message. */
export type Streaming = 'none' | 'server' | 'both';

export type Methods = Record<string, Method<unknown, never, unknown, never>>;

/** A method with the path it is called by. */
export type NamedMethod<M> = M & { readonly path: string };

export interface Service<M> {
  readonly name: string;
  readonly methods: { readonly [K in keyof M]: NamedMethod<M[K]> };
}

export function service<M extends Methods>(name: string, methods: M): Service<M> {
  const named = Object.entries(methods).map(([method, declared]) => [
    method,
    { ...declared, path: `/${name}/${method}` },
  ]);
  return { name, methods: Object.fromEntries(named) as Service<M>['methods'] }; // the same keys
}

export function unary<In, InInit, Out, OutInit>(
  request: MessageType<In, InInit>,
  response: MessageType<Out, OutInit>,
): Method<In, InInit, Out, OutInit, 'none'> {
  return { request, response, streams: 'none' };
}

/** One request, many responses. */
export function serverStream<In, InInit, Out, OutInit>(
  request: MessageType<In, InInit>,
  response: MessageType<Out, OutInit>,
): Method<In, InInit, Out, OutInit, 'server'> {
  return { request, response, streams: 'server' };
}

export function bidirectional<In, InInit, Out, OutInit>(
  request: MessageType<In, InInit>,
  response: MessageType<Out, OutInit>,
): Method<In, InInit, Out, OutInit, 'both'> {
  return { request, response, streams: 'both' };
}
