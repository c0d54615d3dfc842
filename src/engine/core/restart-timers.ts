// The pauses of the restart policy: how long each container's next one is, and the timers that run.

import { nextRestartDelayMs } from '../../semantics/containers/restart-policy';

export class RestartTimers {
  readonly #start: (containerId: string) => void;
  readonly #delays = new Map<string, number>();
  readonly #timers = new Map<string, NodeJS.Timeout>();

  /** `start` is called when a pause is over. */
  constructor(start: (containerId: string) => void) {
    this.#start = start;
  }

  /** Calls `start` after the pause that is due, counted from a run of `ranForMs`. */
  schedule(containerId: string, ranForMs: number): void {
    this.cancel(containerId);
    const delay = nextRestartDelayMs(this.#delays.get(containerId) ?? 0, ranForMs);
    this.#delays.set(containerId, delay);
    const timer = setTimeout(() => {
      this.#timers.delete(containerId);
      this.#start(containerId);
    }, delay);
    this.#timers.set(containerId, timer);
  }

  /** True if a start was due. */
  cancel(containerId: string): boolean {
    const timer = this.#timers.get(containerId);
    clearTimeout(timer);
    return this.#timers.delete(containerId);
  }

  /** A user starts or removes it: failures of before don't count. */
  forget(containerId: string): void {
    this.cancel(containerId);
    this.#delays.delete(containerId);
  }

  cancelAll(): void {
    for (const id of [...this.#timers.keys()]) this.cancel(id);
  }
}
