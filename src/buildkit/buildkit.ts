// Everything that speaks to BuildKit's clients, composed: the daemon gives it the parts, the API gives it sockets.

import type { Duplex } from 'node:stream';
import { DaemonError, errorMessage } from '../errors';
import type { LayerReader } from '../builder/file-contents';
import type { Exporter } from './contract/exporter';
import type { Frontend } from './contract/frontend';
import type { Entitlement, Solver } from './contract/solver';
import { bridgeHandlers } from './control/bridge-service';
import { Builds } from './control/builds';
import type { WorkerInfo } from './control/capabilities';
import { controlHandlers } from './control/control-service';
import { grpcErrorOf } from './control/status';
import { Health, healthStatus } from './messages/google';
import { LLBBridge } from './messages/gateway';
import { Control } from './messages/control';
import type { ClientSessions } from './session/sessions';
import { sessionHeaders } from './session/sessions';
import { Routes, serveGrpc, type ServerConnection } from './wire/server';

export interface BuildKitParts {
  readonly solver: Solver;
  readonly frontends: readonly Frontend[];
  readonly exporters: readonly Exporter[];
  readonly layers: LayerReader;
  readonly worker: WorkerInfo;
  /** What clients may ask for besides. */
  readonly granted: ReadonlySet<Entitlement>;
  /** The one that the solver asks as well. */
  readonly sessions: ClientSessions;
}

/** Every value of a header, by its name in lower case. */
type HeaderValues = (name: string) => readonly string[];

export class BuildKit {
  readonly #sessions: ClientSessions;
  readonly #builds: Builds;
  readonly #routes: Routes;
  readonly #connections = new Set<ServerConnection>();

  constructor(parts: BuildKitParts) {
    const { solver, exporters, layers, worker, sessions, granted } = parts;
    const frontends = new Map(parts.frontends.map((frontend) => [frontend.name, frontend]));
    this.#sessions = sessions;
    this.#builds = new Builds({ solver, frontends, exporters, layers });
    const builds = this.#builds;
    this.#routes = new Routes()
      .add(Control, controlHandlers({ builds, sessions, solver, worker, granted }))
      .add(LLBBridge, bridgeHandlers({ builds, solver, worker }))
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
