// Work that was left to the background: nobody waits for it but the end of the daemon.

/** Promises nobody else waits for. */
export class BackgroundWork {
  readonly #running = new Set<Promise<unknown>>();

  /** `work` must not reject. */
  add(work: Promise<unknown>): void {
    this.#running.add(work);
    void work.finally(() => this.#running.delete(work));
  }

  /** When what runs now is over; not what comes meanwhile. */
  async current(): Promise<void> {
    await Promise.allSettled([...this.#running]);
  }

  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled([...this.#running]);
  }
}
