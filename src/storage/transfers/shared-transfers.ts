// Work that several may want at once is done once: two pulls with a common layer download it together.

import { unlessAborted } from '../../async/deadline';
import type { ProgressMessage, ProgressSink } from '../contract/stores';

interface Transfer {
  done: Promise<void>;
  watchers: Set<ProgressSink>;
  last: ProgressMessage | undefined;
  controller: AbortController;
}

export class SharedTransfers {
  readonly #transfers = new Map<string, Transfer>();

  /**
   * Starts `work`, or joins it if it is under way for this key. Progress goes to everybody who waits. Who aborts leaves
   * the others to it; the work itself is aborted when nobody waits any more.
   */
  async join(
    key: string,
    progress: ProgressSink,
    signal: AbortSignal,
    work: (progress: ProgressSink, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    signal.throwIfAborted();
    const transfer = this.#transfers.get(key) ?? this.#start(key, work);
    if (transfer.last !== undefined) progress(transfer.last);
    const watcher: ProgressSink = (message) => {
      progress(message);
    };
    transfer.watchers.add(watcher);
    try {
      await unlessAborted(transfer.done, signal);
    } finally {
      transfer.watchers.delete(watcher);
      if (transfer.watchers.size === 0) await this.#abandon(key, transfer);
    }
  }

  #start(key: string, work: (progress: ProgressSink, signal: AbortSignal) => Promise<void>): Transfer {
    const transfer: Transfer = {
      done: Promise.resolve(),
      watchers: new Set(),
      last: undefined,
      controller: new AbortController(),
    };
    const tell: ProgressSink = (message) => {
      transfer.last = message;
      for (const watcher of transfer.watchers) watcher(message);
    };
    this.#transfers.set(key, transfer);
    transfer.done = work(tell, transfer.controller.signal).finally(() => {
      this.#forget(key, transfer);
    });
    transfer.done.catch(() => undefined); // those who wait hear of it
    return transfer;
  }

  /** Nobody waits: what is still running ends, and who comes now starts anew. Resolves when nothing is left of it. */
  async #abandon(key: string, transfer: Transfer): Promise<void> {
    this.#forget(key, transfer);
    transfer.controller.abort();
    await transfer.done.catch(() => undefined);
  }

  #forget(key: string, transfer: Transfer): void {
    if (this.#transfers.get(key) === transfer) this.#transfers.delete(key);
  }
}
