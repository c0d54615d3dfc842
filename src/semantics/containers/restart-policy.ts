// When a container that exited starts again, and after what pause.

import type { HostConfig } from '../../docker/types';

type Policy = HostConfig['RestartPolicy'];

const firstDelayMs = 100;
const longestDelayMs = 60_000;
/** A run this long wipes out the pauses of earlier failures. */
const steadyRunMs = 10_000;

/** Whether the policy answers this exit with a start. `restartCount` counts its starts so far. */
export function shouldRestart(
  policy: Policy,
  exit: { exitCode: number; manuallyStopped: boolean; restartCount: number },
): boolean {
  if (exit.manuallyStopped) return false;
  switch (policy?.Name ?? '') {
    case 'always':
    case 'unless-stopped':
      return true;
    case 'on-failure': {
      const most = policy?.MaximumRetryCount ?? 0;
      return exit.exitCode !== 0 && (most === 0 || exit.restartCount < most);
    }
    default:
      return false;
  }
}

/** The pause before the next start. `lastDelayMs` is 0 before the first. */
export function nextRestartDelayMs(lastDelayMs: number, ranForMs: number): number {
  if (ranForMs >= steadyRunMs || lastDelayMs === 0) return firstDelayMs;
  return Math.min(lastDelayMs * 2, longestDelayMs);
}

/**
 * Whether the daemon starts a container that it finds exited when it comes up. As in Docker only `unless-stopped` knows
 * then who ended it: `always` begins again, and so does `on-failure` after any exit code but 0.
 */
export function startsWithDaemon(
  policy: Policy,
  exit: { exitCode: number; manuallyStopped: boolean; restartCount: number },
): boolean {
  const remembers = policy?.Name === 'unless-stopped';
  return shouldRestart(policy, { ...exit, manuallyStopped: remembers && exit.manuallyStopped });
}
