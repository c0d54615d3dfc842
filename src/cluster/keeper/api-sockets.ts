// Docker's socket in containers: while one runs that has it, the keeper takes its connections to the API. Process 1 has made the socket
// before the command runs, and who connects while no daemon takes waits.

import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { pause } from '../../async/pause';
import { errorMessage } from '../../errors';
import { log } from '../../log';
import { isActive } from '../../semantics/containers/container-state';
import type { ClusterContext } from '../containers/context';
import { podName } from '../containers/pod-plan';
import { joinStreams, openTunnel } from '../networks/open-tunnel';
import type { ClusterContainer } from '../records/cluster-container';

/** Between tries to reach a supervisor. */
const retryMs = 1_000;

export class ApiSockets {
  readonly #context: Pick<ClusterContext, 'containers' | 'supervisor'>;
  readonly #apiPath: Promise<string>;
  /** By container id: what ends the serving of it. */
  readonly #served = new Map<string, AbortController>();

  /** `apiPath`: a unix socket that the API listens on. */
  constructor(context: Pick<ClusterContext, 'containers' | 'supervisor'>, apiPath: Promise<string>) {
    this.#context = context;
    this.#apiPath = apiPath;
  }

  /** Returns what ends it, and all connections. */
  start(): () => void {
    const { containers } = this.#context;
    const undo = containers.onChange((container, _before, after) => {
      if (after === undefined) this.#end(container.id);
      else this.#look(container);
    });
    for (const container of containers.list()) this.#look(container);
    return () => {
      undo();
      for (const id of [...this.#served.keys()]) this.#end(id);
    };
  }

  #look({ id, record, state }: ClusterContainer): void {
    if (!isActive(state) || !hasEngineSocket(record)) this.#end(id);
    else if (!this.#served.has(id)) {
      const controller = new AbortController();
      this.#served.set(id, controller);
      void this.#serve(id, controller.signal);
    }
  }

  #end(id: string): void {
    this.#served.get(id)?.abort();
    this.#served.delete(id);
  }

  async #serve(id: string, signal: AbortSignal): Promise<void> {
    const apiPath = await this.#apiPath;
    do {
      try {
        const tunnel = await openTunnel(
          this.#context.supervisor(podName(id)),
          { kind: 'sockets' },
          (connection) => join(connection, apiPath),
        );
        const close = (): void => tunnel.close();
        signal.addEventListener('abort', close, { once: true });
        if (signal.aborted) close();
        await tunnel.ended;
        signal.removeEventListener('abort', close);
      } catch (error) {
        log.debug('connections of a container to the API are not taken', {
          containerId: id,
          error: errorMessage(error),
        });
      }
    } while (await pause(retryMs, signal));
  }
}

function hasEngineSocket({ mountDetails }: ClusterContainer['record']): boolean {
  return Object.values(mountDetails ?? {}).some(({ isEngineSocket }) => isEngineSocket === true);
}

function join(connection: Duplex, path: string): void {
  const socket = connect({ path, allowHalfOpen: true });
  socket.on('error', (error) => {
    log.debug('a connection of a container did not reach the API', { error: error.message });
    connection.destroy();
  });
  joinStreams(socket, connection, () => socket.destroy()); // of TCP alone there is a reset
}
