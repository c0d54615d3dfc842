// Waiting that has an end: after a time, or at a signal. The work itself goes on; only who waits for it goes away.

import { DaemonError } from '../errors';

/** What was waited for has not come in time. */
export class DeadlineExceeded extends DaemonError {
  constructor(timeoutMs: number) {
    super('Unavailable', `nothing came of it within ${timeoutMs} ms`);
  }
}

/** The longest that Node's timers count; a longer one would fire at once. */
export const longestTimerMs = 2 ** 31 - 1;

export interface WithinOptions {
  /** What to reject with when the time is over; asked then, so it can say how far things got. DeadlineExceeded without. */
  overdue?: () => Error;
  /** Whoever waits gives up: rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/**
 * What the promise gives, or a rejection when the time is over or the signal comes, whichever is first. A time that no timer
 * can count (Infinity, too) never ends. Neither timer nor listener stays behind. A promise that rejects later is nobody's error.
 */
export async function within<T>(
  promise: Promise<T>,
  timeoutMs: number,
  { overdue, signal }: WithinOptions = {},
): Promise<T> {
  let cleanUp = (): void => undefined;
  const givenUp = new Promise<never>((_, reject) => {
    const onAbort = (): void => reject(signal?.reason as Error); // an AbortError, or what the caller gave
    const timer =
      timeoutMs > longestTimerMs
        ? undefined
        : setTimeout(() => reject(overdue?.() ?? new DeadlineExceeded(timeoutMs)), timeoutMs);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    cleanUp = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
  });
  try {
    return await Promise.race([promise, givenUp]);
  } finally {
    cleanUp();
  }
}

/** What the promise gives, or a rejection with the signal's reason as soon as it comes. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return within(promise, Infinity, { signal });
}

/** Whether the promise resolves in that time. Rejects if it does. */
export async function settlesWithin(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const late = new DeadlineExceeded(timeoutMs);
  try {
    await within(promise, timeoutMs, { overdue: () => late });
    return true;
  } catch (error) {
    if (error === late) return false;
    throw error;
  }
}
