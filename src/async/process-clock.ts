// How long a process was kept waiting by a busy host: the part of a wait for its answer that is no fault of its own.

import { readdirSync, readFileSync } from 'node:fs';
import type { Clock } from './deadline';

/**
 * Of the time that passes, what the process had a CPU, or wanted none: without the time that it was ready to run and waited for
 * a CPU. So a process that hangs is out of time when the clock on the wall says so, and one that is starved is not. Where the
 * kernel does not tell (no scheduler statistics), and once the process is gone, all the time counts.
 */
export function processClock(pid: number): Clock {
  return () => {
    const start = performance.now();
    const before = waitedMs(pid);
    return () => {
      // Threads wait for each other in turn, or side by side: the longest wait is what is certain.
      let kept = 0;
      for (const [thread, ms] of waitedMs(pid)) kept = Math.max(kept, ms - (before.get(thread) ?? 0));
      return Math.max(0, performance.now() - start - kept);
    };
  };
}

/** Of each thread, how long it has waited for a CPU since it was made: proc(5), sched-stats.rst. */
function waitedMs(pid: number): Map<string, number> {
  const waited = new Map<string, number>();
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const [, nanoseconds] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ');
      waited.set(thread, Number(nanoseconds) / 1e6 || 0);
    }
  } catch {
    // it ends just now, or the kernel counts nothing
  }
  return waited;
}
