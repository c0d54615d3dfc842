// Kubernetes' pause before a container that ended runs again: none, then 10 s, doubled up to 5 minutes; a run of 10 minutes
// begins anew.

const firstDelayMs = 10_000;
const longestDelayMs = 300_000;
const steadyRunMs = 600_000;

export class BackOff {
  #nextMs = 0;

  /** The pause before the next start, after a run of this length. */
  next(ranForMs: number): number {
    const delayMs = ranForMs >= steadyRunMs ? 0 : this.#nextMs;
    this.#nextMs = delayMs === 0 ? firstDelayMs : Math.min(delayMs * 2, longestDelayMs);
    return delayMs;
  }
}

/** Asked anew after each wait: the compiler takes an answer of the field itself for lasting. */
export function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
