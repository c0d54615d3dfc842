// Everything that speaks to BuildKit's clients, composed: the daemon gives it the parts, the API gives it sockets.

import type { Duplex } from 'node:stream';
import { DaemonError, errorMessage } from '../errors';
import type { LayerReader } from '../builder/file-contents';
import type { CacheRecord, CacheRecords } from './contract/cache-records';
import type { CacheExporter, Exporter } from './contract/exporter';
import type { Frontend } from './contract/frontend';
import type { SessionCaller } from './contract/session';
import type { Entitlement, Solver } from './contract/solver';
import { bridgeHandlers } from './control/bridge-service';
import type { BuildRequest } from './control/build';
import { Builds } from './control/builds';
import type { WorkerInfo } from './control/capabilities';
import { controlHandlers } from './control/control-service';
import { recordFilter } from './control/record-filter';
import { grpcErrorOf } from './control/status';
import { GatewayFrontend } from './gateway/gateway-frontend';
import { contentHandlers, type ContentProvider } from './history/content-service';
import type { BuildHistory } from './history/history';
import { Content } from './messages/content';
import { Health, healthStatus } from './messages/google';
import { LLBBridge } from './messages/gateway';
import { Control, StatusResponse } from './messages/control';
import type { ClientSessions } from './session/sessions';
import { sessionHeaders } from './session/sessions';
import { Routes, serveGrpc, type ServerConnection } from './wire/server';

export interface BuildKitParts {
  readonly solver: Solver;
  readonly frontends: readonly Frontend[];
  readonly exporters: readonly Exporter[];
  /** None: caches are kept here alone. */
  readonly cacheExporters?: readonly CacheExporter[];
  readonly layers: LayerReader;
  readonly worker: WorkerInfo;
  /** What clients may ask for besides. */
  readonly granted: ReadonlySet<Entitlement>;
  /** The one that the solver asks as well. */
  readonly sessions: ClientSessions;
  /** Undefined: builds are forgotten when they have ended. */
  readonly history?: BuildHistory;
  /** Blobs that clients may read besides those of the history. */
  readonly contents?: readonly ContentProvider[];
}

/** Every value of a header, by its name in lower case. */
type HeaderValues = (name: string) => readonly string[];

export type { BuildRequest } from './control/build';

/** Which records go. Milliseconds and bytes: 0 is none. */
export interface CachePruning {
  readonly filter: readonly string[];
  readonly all: boolean;
  /** Those used since stay. */
  readonly keepDurationMs: number;
  /** So much of what was used last stays. */
  readonly keepBytes: number;
}

export class BuildKit {
  /** What the cache holds. */
  readonly records: CacheRecords;
  readonly #sessions: ClientSessions;
  readonly #builds: Builds;
  readonly #routes: Routes;
  readonly #connections = new Set<ServerConnection>();

  constructor(parts: BuildKitParts) {
    const {
      solver,
      exporters,
      cacheExporters = [],
      layers,
      worker,
      sessions,
      granted,
      history,
      contents = [],
    } = parts;
    const gateway = new GatewayFrontend({ solver, worker });
    const frontends = new Map([...parts.frontends, gateway].map((frontend) => [frontend.name, frontend]));
    this.records = solver.records;
    this.#sessions = sessions;
    this.#builds = new Builds({ solver, frontends, exporters, cacheExporters, layers }, history);
    const builds = this.#builds;
    this.#routes = new Routes()
      .add(Control, controlHandlers({ builds, sessions, solver, worker, granted, history }))
      .add(LLBBridge, bridgeHandlers({ solver, worker, callerOf: (call) => builds.callerOf(call) }))
      .add(Content, contentHandlers([...(history === undefined ? [] : [history.blobs]), ...contents]))
      .add(Health, { Check: () => Promise.resolve({ status: healthStatus.serving }) });
  }

  /** `POST /grpc`: the client calls us on this socket from now on. */
  serve(socket: Duplex): void {
    const connection = serveGrpc(socket, { routes: this.#routes, toError: grpcErrorOf });
    this.#connections.add(connection);
    void connection.closed.then(() => this.#connections.delete(connection));
  }

  /** Throws DaemonError for a session that `openSession` would refuse. */
  checkSession(header: HeaderValues): void {
    try {
      this.#sessions.check(sessionHeaders(header));
    } catch (error) {
      throw new DaemonError('InvalidParameter', errorMessage(error), { cause: error });
    }
  }

  /** `POST /session`: we call the client on this socket from now on. Throws BuildError. */
  openSession(header: HeaderValues, socket: Duplex): void {
    this.#sessions.add(sessionHeaders(header), socket);
  }

  /**
   * A whole build at once: `POST /build?version=2`. `tell` is given messages StatusResponse, as bytes, and waited for. Resolves with the
   * exporters' answer; rejects with why it failed, when all was told.
   */
  async build(
    request: BuildRequest,
    tell: (status: Buffer) => Promise<void>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, string>> {
    const running = this.#builds.run(request, signal);
    running.catch(() => undefined); // awaited below
    const telling = this.#tell(request.id, tell, signal);
    const [answer, told] = await Promise.allSettled([running, telling]);
    if (answer.status === 'rejected') throw answer.reason;
    if (told.status === 'rejected') throw told.reason;
    return answer.value;
  }

  async #tell(id: string, tell: (status: Buffer) => Promise<void>, signal: AbortSignal): Promise<void> {
    const build = await this.#builds.any(id, signal);
    for await (const status of build.progress.subscribe(signal)) await tell(StatusResponse.encode(status));
  }

  /** A session that is served in the daemon itself, until the function it returns is called. */
  serveOwn(session: SessionCaller): () => void {
    return this.#sessions.addOwn(session);
  }

  /** Filters in BuildKit's syntax, of which one has to match. Gives each record when it is gone. Throws BuildError. */
  prune(
    { filter, all, keepDurationMs, keepBytes }: CachePruning,
    signal: AbortSignal,
  ): AsyncIterable<CacheRecord> {
    const limits = { reservedBytes: keepBytes, maxUsedBytes: 0, minFreeBytes: 0 };
    const matches = recordFilter(
      filter.filter((text) => text !== ''),
      'prune',
    );
    return this.records.prune({ matches, all, keepDurationMs, ...limits }, signal);
  }

  /** `POST /build/cancel`. */
  cancel(id: string): void {
    this.#builds.cancel(id);
  }

  /** Ends all builds and cuts all clients off. */
  close(): void {
    this.#builds.cancelAll();
    this.#sessions.close();
    for (const connection of this.#connections) connection.destroy();
  }
}
