// What a daemon's start takes, step by step, for its line `ready`: on a busy host it tells what a client has waited for.

export class StartTimes {
  readonly #begun: number;
  #last: number;
  readonly #steps: Record<string, number>;

  /** The time until now is that of the program itself: Node.js, and loading what it is made of. */
  constructor(now = performance.now()) {
    this.#begun = now;
    this.#last = now;
    this.#steps = { load: Math.round(now) };
  }

  /** The time since the step before was this one's. */
  done(step: string, now = performance.now()): void {
    this.#steps[step] = Math.round(now - this.#last);
    this.#last = now;
  }

  /** Milliseconds: since the first step, and of each. */
  summary(): { ms: number; steps: Readonly<Record<string, number>> } {
    return { ms: Math.round(this.#last - this.#begun), steps: this.#steps };
  }
}
