// A pause that a signal cuts short.

/** Resolves after the time, or with false when the signal comes first. Keeps no process alive. */
export function pause(durationMs: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve(!signal.aborted);
    };
    const timer = setTimeout(done, durationMs).unref();
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
}
