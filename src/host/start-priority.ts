// A daemon that comes up among VMs at work has a hard time: its second of CPU takes twenty while twenty of them have theirs. Until it
// answers it goes before them.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { log } from '../log';
import { errorMessage } from '../errors';

/** Nice values below the one that it was started with. */
const ahead = 20;
const highest = -20;
/** Set by who starts the daemon ahead of others already: Node.js alone takes seconds to come up among many. What it is brought back to. */
export const usualNiceVariable = 'CAISSON_USUAL_NICE';
/** Where the kernel shares CPUs out to sessions, and not to processes (sched(7), "The autogroup feature"). */
const autogroupPath = '/proc/self/autogroup';

/** Puts the daemon ahead of other processes. Returns what brings it back; what is started in between must be brought back by itself. */
export function hurry(): () => void {
  const usual = usualNice();
  const session = autogroupNice();
  const set = (nice: number, sessionNice: number | undefined): void => {
    try {
      // Each thread has its own; those that are made meanwhile are like the one that makes them.
      for (const thread of readdirSync('/proc/self/task')) setPriority(Number(thread), nice);
      if (sessionNice !== undefined) writeFileSync(autogroupPath, String(sessionNice));
    } catch (error) {
      // It comes up without, if later.
      log.debug('the priority of the daemon is as it was', { error: errorMessage(error) });
    }
  };
  set(raised(usual), session === undefined ? undefined : raised(session));
  return () => set(usual, session);
}

/** Taken from the environment: what the daemon starts later has no use for it. */
function usualNice(): number {
  const told = process.env[usualNiceVariable] ?? '';
  Reflect.deleteProperty(process.env, usualNiceVariable);
  return /^-?\d{1,2}$/.test(told) ? Number(told) : getPriority();
}

/** The nice value of a daemon that comes up, from the one that it will have. */
export function raised(nice: number): number {
  return Math.max(nice - ahead, highest);
}

/**
 * Undefined: sessions have no share of their own here, or this one is not the daemon's alone. A shell that one was started from would
 * stay ahead of all others if the daemon were killed before it answers.
 */
function autogroupNice(): number | undefined {
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8');
    const session = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3]; // proc(5), field 6
    if (session !== String(process.pid)) return undefined;
    const nice = /nice (-?\d+)/.exec(readFileSync(autogroupPath, 'utf8'))?.[1];
    return nice === undefined ? undefined : Number(nice);
  } catch {
    return undefined;
  }
}
