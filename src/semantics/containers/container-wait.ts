// Who waits for a container to exit or to be removed.

import type { ContainerWaitResponse } from '../../docker/types';
import type { KnownContainer } from './known-containers';
import { isActive, type ContainerState } from './container-state';
import { KeyedWaiters } from '../../async/keyed-waiters';

export type WaitCondition = 'not-running' | 'next-exit' | 'removed';

interface Waiter {
  condition: WaitCondition;
}

/** What a wait answers for a container in this state. */
export function waitResponse(state: ContainerState): ContainerWaitResponse {
  // Docker's Error is about the wait itself: why a start failed is not told here.
  return { StatusCode: isActive(state) ? 0 : state.exitCode, Error: null };
}

export class ContainerWaits {
  readonly #waiters = new KeyedWaiters<Waiter, ContainerWaitResponse>();

  /** Rejects only when `signal` aborts. */
  wait(
    container: KnownContainer,
    condition: WaitCondition,
    signal?: AbortSignal,
  ): Promise<ContainerWaitResponse> {
    const { state } = container;
    if (condition === 'not-running' && !isActive(state) && state.kind !== 'restarting') {
      return Promise.resolve(waitResponse(state));
    }
    return this.#waiters.wait(container.id, { condition }, signal);
  }

  /** The container has stopped for good (not to restart), or could not be started. */
  exited(container: KnownContainer): void {
    this.#settle(container, (waiter) => waiter.condition !== 'removed');
  }

  /** The container is gone: nobody has anything left to wait for. */
  removed(container: KnownContainer): void {
    this.#settle(container, () => true);
  }

  #settle(container: KnownContainer, which: (waiter: Waiter) => boolean): void {
    const response = waitResponse(container.state);
    this.#waiters.tell(container.id, (waiter) => (which(waiter) ? response : undefined));
  }
}
