// Those who wait for something to become of one thing of many, each until it is told, or gives up.

import { DaemonError } from '../errors';

export class KeyedWaiters<Waiter, Answer> {
  readonly #waiting = new Map<string, Map<Waiter, (answer: Answer) => void>>();

  /** `waiter` tells it from others of the same key. Rejects only when `signal` aborts. */
  wait(key: string, waiter: Waiter, signal?: AbortSignal): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(key) ?? new Map<Waiter, (answer: Answer) => void>();
      this.#waiting.set(key, waiting);
      const forget = (): void => {
        signal?.removeEventListener('abort', onAbort);
        waiting.delete(waiter);
        if (waiting.size === 0) this.#waiting.delete(key);
      };
      const onAbort = (): void => {
        forget();
        reject(new DaemonError('Unavailable', 'the wait was given up'));
      };
      waiting.set(waiter, (answer) => {
        forget();
        resolve(answer);
      });
      if (signal?.aborted === true) onAbort();
      else signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Tells those of the key for whom `answer` has one. */
  tell(key: string, answer: (waiter: Waiter) => Answer | undefined): void {
    for (const [waiter, settle] of [...(this.#waiting.get(key) ?? [])]) {
      const found = answer(waiter);
      if (found !== undefined) settle(found);
    }
  }
}
