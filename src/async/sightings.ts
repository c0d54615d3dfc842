// How long things have been there, for who looks at all there is from time to time, and is not told of what comes and goes.

export class Sightings {
  readonly #now: () => number;
  /** What was seen, since when: gone from here once it is seen no more. */
  #since = new Map<string, number>();

  constructor(now = () => performance.now()) {
    this.#now = now;
  }

  /** One look. `ageMs` takes what is seen in it, and says since when each look has seen it. A look that fails is none. */
  async look<T>(work: (ageMs: (key: string) => number) => T | Promise<T>): Promise<T> {
    const seen = new Map<string, number>();
    const result = await work((key) => {
      const since = this.#since.get(key) ?? this.#now();
      seen.set(key, since);
      return this.#now() - since;
    });
    this.#since = seen;
    return result;
  }
}
