// Signals by the names and numbers clients use (Linux, x86-64).

import { DaemonError } from '../errors';

const names =
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS'.split(
    ' ',
  );
const numberByName = new Map(names.map((name, index) => [name, index + 1]));
for (const [alias, name] of [
  ['IOT', 'ABRT'],
  ['CLD', 'CHLD'],
  ['POLL', 'IO'],
] as const) {
  numberByName.set(alias, numberByName.get(name) ?? 0);
}
const firstRealTime = 34;
const lastRealTime = 64;
for (let number = firstRealTime; number <= lastRealTime; number++) {
  const fromMin = number - firstRealTime;
  const fromMax = lastRealTime - number;
  const half = 15;
  const name = fromMin <= half ? realTimeName('RTMIN+', fromMin) : realTimeName('RTMAX-', fromMax);
  numberByName.set(name, number);
}

function realTimeName(base: string, distance: number): string {
  return distance === 0 ? base.slice(0, -1) : `${base}${String(distance)}`;
}

export const sigterm = 15;
export const sigkill = 9;

/** What Docker tells of a process that has ended; `signal`: by which, 0 for none. */
export function exitCodeOf({ code, signal }: { code: number; signal: number }): number {
  return signal === 0 ? code : 128 + signal;
}

/**
 * `KILL`, `SIGKILL`, `sigkill` and `9` are 9. Throws InvalidParameter `Invalid signal: …`. Numbers are taken as they
 * are, but 0, which is no signal to send.
 */
export function parseSignal(text: string): number {
  const isInt64 = /^[+-]?\d+$/.test(text) && Math.abs(Number(text)) < 2 ** 63;
  if (isInt64) {
    const number = Number(text);
    if (number === 0) throw new DaemonError('InvalidParameter', `Invalid signal: ${text}`);
    return number;
  }
  const number = numberByName.get(text.toUpperCase().replace(/^SIG/, ''));
  if (number === undefined) throw new DaemonError('InvalidParameter', `Invalid signal: ${text}`);
  return number;
}

/** Whether Linux has a signal of this number. */
export function isLinuxSignal(number: number): boolean {
  return number >= 1 && number <= lastRealTime;
}
