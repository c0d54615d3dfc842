// A queue of operations for each of many things.

import { OperationQueue } from './operation-queue';

/** Who comes to the same thing goes through its gate one after the other. */
export class Gates {
  readonly #queues = new Map<string, OperationQueue>();

  of(key: string): OperationQueue {
    let queue = this.#queues.get(key);
    if (queue === undefined) {
      queue = new OperationQueue();
      this.#queues.set(key, queue);
    }
    return queue;
  }
}
