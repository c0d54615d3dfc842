// Docker's socket in containers: while one runs that has it, the keeper takes its connections to the API. Process 1 has made the socket
// before the command runs, and who connects while no daemon takes waits.

import { connect, type Socket } from 'node:net';
import { isActive } from '../../semantics/containers/container-state';
import type { ClusterContext } from '../containers/context';
import { podName } from '../containers/pod-plan';
import { serveSockets } from '../networks/open-tunnel';
import type { ClusterContainer } from '../records/cluster-container';

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
    const path = await this.#apiPath;
    const toApi = (): Socket => connect({ path, allowHalfOpen: true });
    await serveSockets(this.#context.supervisor(podName(id)), toApi, signal);
  }
}

function hasEngineSocket({ mountDetails }: ClusterContainer['record']): boolean {
  return Object.values(mountDetails ?? {}).some(({ isEngineSocket }) => isEngineSocket === true);
}
