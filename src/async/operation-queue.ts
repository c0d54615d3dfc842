// async/: order, waiting, giving up.
//
// Operations on one thing, one behind the other. A `wait` must never be put in here.

/** Runs functions in order, each after the one before has settled. */
export class OperationQueue {
  #tail: Promise<unknown> = Promise.resolve();
  #length = 0;

  /** True when nothing runs and nothing waits. */
  get idle(): boolean {
    return this.#length === 0;
  }

  /** Resolves or rejects as `work` does; a failure doesn't hold up those behind it. */
  run<T>(work: () => Promise<T>): Promise<T> {
    this.#length += 1;
    const before = this.#tail;
    let settled = (): void => undefined;
    // Before the work begins: what it puts into this queue at once comes behind it.
    this.#tail = new Promise<void>((resolve) => (settled = resolve));
    // The common case is an empty queue: begin at once, without a turn of the microtask queue in between.
    const result = this.#length === 1 ? startNow(work) : before.then(work);
    const next = (): void => {
      this.#length -= 1;
      settled();
    };
    result.then(next, next);
    return result;
  }
}

async function startNow<T>(work: () => Promise<T>): Promise<T> {
  return work();
}
