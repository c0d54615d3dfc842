// Who wants a Pod to go on although none of its containers runs just now: a restart of one, or whoever restarts them by rules
// of its own.

export class PodHolds {
  readonly #holds = new Map<string, Set<symbol>>();
  #onChange: (podId: string) => void = () => undefined;

  /** Called when the first hold on a Pod comes and when the last one goes. One at a time. */
  onChange(listener: (podId: string) => void): void {
    this.#onChange = listener;
  }

  has(podId: string): boolean {
    return this.#holds.has(podId);
  }

  /** Until the function that it returns is called. */
  hold(podId: string): () => void {
    const holds = this.#holds.get(podId) ?? new Set<symbol>();
    const own = Symbol();
    holds.add(own);
    if (holds.size === 1) {
      this.#holds.set(podId, holds);
      this.#onChange(podId);
    }
    return () => {
      if (!holds.delete(own) || holds.size > 0) return;
      this.#holds.delete(podId);
      this.#onChange(podId);
    };
  }

  /** The Pod is stopped, whoever held it. */
  drop(podId: string): void {
    this.#holds.get(podId)?.clear();
    this.#holds.delete(podId);
  }
}
