// Who waits for a container to exit or to be removed.

import type { ContainerWaitResponse } from '../api/v1.41/types';
import { DaemonError } from '../errors';
import type { Container } from './container-registry';
import { isActive, type ContainerState } from './container-state';

export type WaitCondition = 'not-running' | 'next-exit' | 'removed';

interface Waiter {
  condition: WaitCondition;
  settle: (response: ContainerWaitResponse) => void;
}

/** What a wait answers for a container in this state. */
export function waitResponse(state: ContainerState): ContainerWaitResponse {
  // Docker's Error is about the wait itself: why a start failed is not told here.
  return { StatusCode: isActive(state) ? 0 : state.exitCode, Error: null };
}

export class ContainerWaits {
  readonly #waiters = new Map<string, Set<Waiter>>();

  /** Rejects only when `signal` aborts. */
  wait(container: Container, condition: WaitCondition, signal?: AbortSignal): Promise<ContainerWaitResponse> {
    const { state } = container;
    if (condition === 'not-running' && !isActive(state) && state.kind !== 'restarting') {
      return Promise.resolve(waitResponse(state));
    }
    return new Promise((resolve, reject) => {
      const waiters = this.#waiters.get(container.id) ?? new Set<Waiter>();
      this.#waiters.set(container.id, waiters);
      const forget = (): void => {
        signal?.removeEventListener('abort', onAbort);
        waiters.delete(waiter);
        if (waiters.size === 0) this.#waiters.delete(container.id);
      };
      const waiter: Waiter = {
        condition,
        settle: (response) => {
          forget();
          resolve(response);
        },
      };
      const onAbort = (): void => {
        forget();
        reject(new DaemonError('Unavailable', 'the wait was given up'));
      };
      waiters.add(waiter);
      if (signal?.aborted ?? false) onAbort();
      else signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** The container has stopped for good (not to restart), or could not be started. */
  exited(container: Container): void {
    this.#settle(container, (waiter) => waiter.condition !== 'removed');
  }

  /** The container is gone: nobody has anything left to wait for. */
  removed(container: Container): void {
    this.#settle(container, () => true);
  }

  #settle(container: Container, which: (waiter: Waiter) => boolean): void {
    const waiters = [...(this.#waiters.get(container.id) ?? [])].filter(which);
    const response = waitResponse(container.state);
    for (const waiter of waiters) waiter.settle(response);
  }
}
