// Limits of a Pod that is there, changed in place by its subresource `resize`, where API server and node can.

import type { V1Pod, V1PodCondition, V1ResourceRequirements } from '@kubernetes/client-node';
import { DaemonError } from '../../errors';
import { parseQuantity } from '../../kubernetes/quantity';
import type { PodResizes } from '../client/pod-resizes';
import { mainContainer } from './pod-plan';
import type { Pods } from './pods';

/** A node looks at its Pods about once a second. */
const nodeMs = 10_000;

export class PodLimits {
  readonly #resizes: Pick<PodResizes, 'areThere' | 'resize'>;
  readonly #pods: Pick<Pods, 'get' | 'nextChange'>;

  constructor(resizes: Pick<PodResizes, 'areThere' | 'resize'>, pods: Pick<Pods, 'get' | 'nextChange'>) {
    this.#resizes = resizes;
    this.#pods = pods;
  }

  /**
   * Resolves when the node has done it, or has not yet: with what the client is to be warned of. Throws Conflict where it is
   * refused, with why; the Pod keeps what it has.
   */
  async change(name: string, from: V1ResourceRequirements, to: V1ResourceRequirements): Promise<string[]> {
    // each time: an API server may be a newer one tomorrow
    if (!(await this.#resizes.areThere()))
      throw new DaemonError('Conflict', 'this cluster changes no Pod that runs');
    const asked = await this.#resize(name, to);
    for (const end = performance.now() + nodeMs; ;) {
      const pod = this.#pods.get(name);
      if (pod === undefined || hasResources(pod, to)) return [];
      const pending = pendingOf(pod, asked);
      if (pending?.reason === 'Infeasible') {
        await this.#resize(name, from).catch(() => undefined); // it has these, whatever becomes of its wish
        throw new DaemonError('Conflict', pending.message ?? 'its node has no room for it');
      }
      const leftMs = end - performance.now();
      if (leftMs <= 0) {
        const why = pending?.message ?? 'it has not said so yet';
        return [`The new limits hold when the container's node has changed them: ${why}.`];
      }
      await this.#pods.nextChange(name, leftMs);
    }
  }

  async #resize(name: string, resources: V1ResourceRequirements): Promise<V1Pod> {
    try {
      return await this.#resizes.resize(name, mainContainer, resources);
    } catch (error) {
      if (!(error instanceof DaemonError) || error.code === 'Unavailable') throw error;
      throw new DaemonError('Conflict', error.message, { cause: error });
    }
  }
}

/** What the node says of the wish; undefined: nothing, or only what it had said before. */
function pendingOf(pod: V1Pod, asked: V1Pod): V1PodCondition | undefined {
  const of = ({ status }: V1Pod): V1PodCondition | undefined =>
    status?.conditions?.find(({ type, status: is }) => type === 'PodResizePending' && is === 'True');
  return JSON.stringify(of(pod)) === JSON.stringify(of(asked)) ? undefined : of(pod);
}

/** As the node tells of the container that runs. */
function hasResources({ status }: V1Pod, wanted: V1ResourceRequirements): boolean {
  const actual = status?.containerStatuses?.find(({ name }) => name === mainContainer)?.resources;
  return (['limits', 'requests'] as const).every((kind) =>
    Object.entries(wanted[kind] ?? {}).every(
      ([name, quantity]) =>
        parseQuantity(actual?.[kind]?.[name] ?? 0, name) === parseQuantity(quantity, name),
    ),
  );
}
