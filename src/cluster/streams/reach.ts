// streams/: what goes between clients and what runs in containers of the cluster: logs, attached clients, execs, files, counters.
//
// How all of these come to a container.

import type { ClusterContext } from '../containers/context';
import { podName } from '../containers/pod-plan';
import { ensurePod } from '../containers/start';
import { eventAttributes } from '../../semantics/containers/container-record';
import type { ClusterContainer } from '../records/cluster-container';
import type { Supervisor } from '../supervisor/supervisor';

export class ContainerReach {
  readonly #context: ClusterContext;

  constructor(context: ClusterContext) {
    this.#context = context;
  }

  /** By name or id. Throws NotFound. */
  get(ref: string): Promise<ClusterContainer> {
    return this.#context.containers.resolve(ref);
  }

  isKnown({ id }: ClusterContainer): boolean {
    return this.#context.containers.byId(id) !== undefined;
  }

  byId(id: string): ClusterContainer | undefined {
    return this.#context.containers.byId(id);
  }

  /** Undefined: it has no Pod. That of one that was removed may be there for a moment, for who reads its last output. */
  supervisor(container: ClusterContainer): Supervisor | undefined {
    const name = podName(container.id);
    if (this.#context.pods.get(name) === undefined) return undefined;
    return this.#context.supervisor(name);
  }

  /** As `supervisor`, and makes a Pod for one that has none, in which no command runs. Throws Docker's errors. */
  async hold(container: ClusterContainer, signal?: AbortSignal): Promise<Supervisor> {
    const { name } = await ensurePod(this.#context, container, signal);
    return this.#context.supervisor(name);
  }

  /** Calls the listener whenever the container's record has changed, or is gone. Returns what ends that. */
  onChange({ id }: ClusterContainer, listener: () => void): () => void {
    return this.#context.containers.onChange((changed) => {
      if (changed.id === id) listener();
    });
  }

  /** An event of the container, with Docker's attributes and these. */
  publish(
    action: string,
    { id, record }: ClusterContainer,
    more: Readonly<Record<string, string>> = {},
  ): void {
    this.#context.events.publish('container', action, id, { ...eventAttributes(record), ...more });
  }
}
