// Kubernetes' pause before a container that ended runs again: none, then 10 s, doubled up to 5 minutes; a run of 10 minutes
// begins anew. What it has come to outlives the daemon.

import { pause } from '../async/pause';

const firstDelayMs = 10_000;
const longestDelayMs = 300_000;
const steadyRunMs = 600_000;

export interface BackOffState {
  /** The pause after the next end. */
  nextMs: number;
  /** When the pause that is under way is over, in milliseconds since 1970. */
  untilMs?: number;
}

export class BackOff {
  #state: BackOffState;
  readonly #save: (state: BackOffState) => void;

  /** Goes on with what an earlier daemon had saved. */
  constructor(state: BackOffState = { nextMs: 0 }, save: (state: BackOffState) => void = () => undefined) {
    this.#state = state;
    this.#save = save;
  }

  /** A pause has begun, and is not over: the end that it follows is known. */
  get isPausing(): boolean {
    return this.#state.untilMs !== undefined;
  }

  /** Milliseconds that are left of the pause. */
  get leftMs(): number {
    // Whatever the clock was set to meanwhile.
    return Math.min(Math.max(0, (this.#state.untilMs ?? 0) - Date.now()), longestDelayMs);
  }

  /** Begins the pause before the next start, after a run of this length. */
  begin(ranForMs: number): void {
    const delayMs = ranForMs >= steadyRunMs ? 0 : this.#state.nextMs;
    const nextMs = delayMs === 0 ? firstDelayMs : Math.min(delayMs * 2, longestDelayMs);
    this.#set({ nextMs, untilMs: Date.now() + delayMs });
  }

  /** Resolves when the pause is over, or the signal comes; that one leaves the rest of it to the next daemon. */
  async rest(signal: AbortSignal): Promise<void> {
    if (this.isPausing && (await pause(this.leftMs, signal))) this.over();
  }

  /** As if it had been waited for. */
  over(): void {
    this.#set({ nextMs: this.#state.nextMs });
  }

  #set(state: BackOffState): void {
    this.#state = state;
    this.#save(state);
  }
}

/** Asked anew after each wait: the compiler takes an answer of the field itself for lasting. */
export function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
