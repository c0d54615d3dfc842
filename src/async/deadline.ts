// Waiting that has an end: after a time, or at a signal. The work itself goes on; only who waits for it goes away. What of the time
// counts is the clock's to say: docs/deadlines.md has every deadline, and by which clock it goes.

import { DaemonError } from '../errors';

/** What was waited for has not come in time. */
export class DeadlineExceeded extends DaemonError {
  constructor(timeoutMs: number) {
    super('Unavailable', `nothing came of it within ${timeoutMs} ms`);
  }
}

/** Measures a wait that has begun. Milliseconds, as far as they count: never more than have passed. */
export type Stopwatch = () => number;

/** By what a deadline counts: begins to measure a wait. */
export type Clock = () => Stopwatch;

/** Every millisecond counts: for what a user, a client or a standard has set. */
export const wallClock: Clock = () => {
  const start = performance.now();
  return () => performance.now() - start;
};

/** Where several work at an answer: of the time that passes, what counts for all of them. */
export function patientClock(...clocks: readonly Clock[]): Clock {
  return () => {
    const stopwatches = [wallClock, ...clocks].map((clock) => clock());
    return () => Math.min(...stopwatches.map((elapsed) => elapsed()));
  };
}

/** However little of the time counts: no wait is longer than this many times its deadline. */
const longestStretch = 20;
/** A stopwatch may cost a look into /proc: most waits are over by then, and need none. */
const uncountedMs = 1000;
const shortestTimerMs = 20;

/** The longest that Node's timers count; a longer one would fire at once. */
export const longestTimerMs = 2 ** 31 - 1;

export interface WithinOptions {
  /** What to reject with when the time is over; asked then, so it can say how far things got. DeadlineExceeded without. */
  overdue?: () => Error;
  /** Whoever waits gives up: rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** What of the time counts; the wall clock without. */
  clock?: Clock | undefined;
}

/**
 * What the promise gives, or a rejection when the time is over or the signal comes, whichever is first. A time that no timer
 * can count (Infinity, too) never ends. Neither timer nor listener stays behind. A promise that rejects later is nobody's error.
 */
export async function within<T>(
  promise: Promise<T>,
  timeoutMs: number,
  { overdue, signal, clock }: WithinOptions = {},
): Promise<T> {
  let cleanUp = (): void => undefined;
  const givenUp = new Promise<never>((_, reject) => {
    const onAbort = (): void => reject(signal?.reason as Error); // an AbortError, or what the caller gave
    const stop = whenOver(timeoutMs, clock, () => reject(overdue?.() ?? new DeadlineExceeded(timeoutMs)));
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    cleanUp = () => {
      stop();
      signal?.removeEventListener('abort', onAbort);
    };
  });
  try {
    return await Promise.race([promise, givenUp]);
  } finally {
    cleanUp();
  }
}

/** Calls `onOver` once so much time has counted. Returns what stops that. */
export function whenOver(timeoutMs: number, clock: Clock | undefined, onOver: () => void): () => void {
  if (timeoutMs > longestTimerMs) return () => undefined;
  if (clock === undefined || clock === wallClock) {
    const timer = setTimeout(onOver, timeoutMs);
    return () => clearTimeout(timer);
  }
  const passed = wallClock();
  const firstMs = Math.min(uncountedMs, timeoutMs / 2);
  let counted: Stopwatch | undefined;
  let turn: NodeJS.Immediate | undefined;
  let timer = setTimeout(look, firstMs);
  function look(): void {
    counted ??= clock?.();
    const leftMs = timeoutMs - firstMs - (counted?.() ?? 0);
    if (leftMs > 0 && passed() < timeoutMs * longestStretch) {
      timer = setTimeout(look, Math.max(Math.ceil(leftMs), shortestTimerMs));
      return;
    }
    // This process may have been kept waiting, too: what has come meanwhile is read before it is missed.
    turn = setImmediate(onOver);
  }
  return () => {
    clearTimeout(timer);
    clearImmediate(turn);
  };
}

/** What the promise gives, or a rejection with the signal's reason as soon as it comes. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return within(promise, Infinity, { signal });
}

/** Whether the promise resolves in that time. Rejects if it does. */
export async function settlesWithin(
  promise: Promise<unknown>,
  timeoutMs: number,
  clock?: Clock,
): Promise<boolean> {
  const late = new DeadlineExceeded(timeoutMs);
  try {
    await within(promise, timeoutMs, { overdue: () => late, clock });
    return true;
  } catch (error) {
    if (error === late) return false;
    throw error;
  }
}
