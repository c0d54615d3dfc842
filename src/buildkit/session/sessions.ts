// The sessions that clients have opened, by their ids; asked for before they come, and ended when they say nothing any more.

import type { Duplex } from 'node:stream';
import { DeadlineExceeded, within } from '../../async/deadline';
import { log } from '../../log';
import { BuildError } from '../contract/errors';
import type { SessionCaller, Sessions } from '../contract/session';
import { Health } from '../messages/google';
import { GrpcClient } from '../wire/client';
import { GrpcError, statusCodes } from '../wire/status';
import { ClientSession, type SessionHeaders } from './caller';

/** How long a session is waited for. */
const arrivalMs = 5_000;
const healthIntervalMs = 5_000;
/** Long, since much may be under way on the same connection. */
const healthTimeoutMs = 30_000;
const maxSessions = 1_000;
const maxIdLength = 256;

export interface OpenSession {
  /** When the client is gone. */
  readonly closed: AbortSignal;
  destroy(): void;
}

export class ClientSessions implements Sessions {
  readonly #sessions = new Map<string, SessionCaller>();
  readonly #clients = new Set<GrpcClient>();
  readonly #arrivals = new Map<string, Set<(session: SessionCaller) => void>>();

  /** The client serves on this socket. One that comes again takes the place of the one before. Throws BuildError. */
  add(headers: SessionHeaders, socket: Duplex): OpenSession {
    this.check(headers);
    const client = new GrpcClient(socket);
    const session = new ClientSession(headers, client);
    this.#sessions.set(headers.id, session);
    this.#clients.add(client);
    const stopChecks = this.#checkHealth(session, client);
    client.closed.addEventListener('abort', () => {
      stopChecks();
      this.#clients.delete(client);
      if (this.#sessions.get(headers.id) === session) this.#sessions.delete(headers.id);
    });
    for (const arrived of this.#arrivals.get(headers.id) ?? []) arrived(session);
    return { closed: client.closed, destroy: () => client.destroy() };
  }

  /** One that is served in the daemon itself, until the function it returns is called. */
  addOwn(session: SessionCaller): () => void {
    this.#sessions.set(session.id, session);
    return () => void this.#sessions.delete(session.id);
  }

  /** Throws BuildError for one that `add` would refuse. */
  check({ id }: SessionHeaders): void {
    if (id === '') throw new BuildError('InvalidArgument', 'no session id');
    if (id.length > maxIdLength) throw new BuildError('InvalidArgument', 'the session id is too long');
    if (this.#sessions.size >= maxSessions) throw new BuildError('ResourceExhausted', 'too many sessions');
  }

  find(id: string): SessionCaller | undefined {
    return this.#sessions.get(withoutPrefix(id));
  }

  async get(id: string, signal: AbortSignal): Promise<SessionCaller> {
    const plain = withoutPrefix(id);
    const there = this.#sessions.get(plain);
    if (there !== undefined) return there;
    const waiting = this.#arrivals.get(plain) ?? new Set<(session: SessionCaller) => void>();
    this.#arrivals.set(plain, waiting);
    let arrived: (session: SessionCaller) => void = () => undefined;
    const arrival = new Promise<SessionCaller>((resolve) => (arrived = resolve));
    waiting.add(arrived);
    try {
      return await within(arrival, arrivalMs, { signal });
    } catch (error) {
      if (!(error instanceof DeadlineExceeded)) throw error;
      throw new BuildError('Unavailable', `no active session for ${plain}: context deadline exceeded`, {
        cause: error,
      });
    } finally {
      waiting.delete(arrived);
      if (waiting.size === 0) this.#arrivals.delete(plain);
    }
  }

  /** Cuts all of them off. */
  close(): void {
    for (const client of this.#clients) client.destroy();
  }

  /** A client that answers neither of two questions is gone. Returns how to stop asking. */
  #checkHealth(session: ClientSession, client: GrpcClient): () => void {
    let failures = 0;
    let isAsking = false;
    const ask = async (): Promise<void> => {
      if (isAsking) return;
      isAsking = true;
      try {
        await client.unary(Health.methods.Check, {}, { timeoutMs: healthTimeoutMs });
        failures = 0;
      } catch (error) {
        // some serve no health, but they answer
        const isAnswer = error instanceof GrpcError && error.code === statusCodes.unimplemented;
        failures = isAnswer ? 0 : failures + 1;
        if (failures < 2 || client.closed.aborted) return;
        log.info('a build session answers no more', { session: session.id });
        client.destroy();
      } finally {
        isAsking = false;
      }
    };
    const timer = setInterval(() => void ask(), healthIntervalMs);
    timer.unref();
    return () => clearInterval(timer);
  }
}

/** Local sources of several directories have `name:id`. */
function withoutPrefix(id: string): string {
  return id.replace(/^[^:]*:(?=.)/, '');
}

/** Of the headers of `/session` or the metadata of `Control.Session`: names in lower case, methods once each. */
export function sessionHeaders(values: (name: string) => readonly string[]): SessionHeaders {
  const first = (name: string): string => values(`x-docker-expose-session-${name}`)[0] ?? '';
  return {
    id: first('uuid'),
    name: first('name'),
    sharedKey: first('sharedkey'),
    methods: new Set(
      values('x-docker-expose-session-grpc-method')
        // a proxy may have joined them
        .flatMap((value) => value.split(','))
        .map((value) => value.trim().toLowerCase())
        .filter((value) => value !== ''),
    ),
  };
}
