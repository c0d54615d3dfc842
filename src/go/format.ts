// Values as Go's fmt prints them: they are part of an image's history, by which the cache finds it.

import { goQuote } from './quote';
import type { ImageRunConfig } from '../storage/contract/image';

/** `%q` of a list of strings. */
export function goQuoteList(list: readonly string[]): string {
  return `[${list.map(goQuote).join(' ')}]`;
}

/** `%v` of a list of strings. */
export function goList(list: readonly string[]): string {
  return `[${list.join(' ')}]`;
}

/** `%q` of a pointer to a HealthConfig: durations with their units, the count as a character. */
export function goQuoteHealthcheck(check: NonNullable<ImageRunConfig['Healthcheck']>): string {
  const { Test = [], Interval = 0, Timeout = 0, StartPeriod = 0, Retries = 0 } = check;
  const durations = [Interval, Timeout, StartPeriod].map((value) => goQuote(goDuration(value)));
  return `&{${[goQuoteList(Test), ...durations, goQuoteCharacter(Retries)].join(' ')}}`;
}

/** Go's time.Duration as text. */
export function goDuration(nanoseconds: number): string {
  if (nanoseconds === 0) return '0s';
  const decimal = (value: number, unit: number): string => String(Number((value / unit).toFixed(9)));
  if (nanoseconds < 1e3) return `${nanoseconds}ns`;
  if (nanoseconds < 1e6) return `${decimal(nanoseconds, 1e3)}µs`;
  if (nanoseconds < 1e9) return `${decimal(nanoseconds, 1e6)}ms`;
  const hours = Math.floor(nanoseconds / 3600e9);
  const minutes = Math.floor((nanoseconds % 3600e9) / 60e9);
  const seconds = `${decimal(nanoseconds % 60e9, 1e9)}s`;
  if (hours > 0) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}

function goQuoteCharacter(code: number): string {
  const char = String.fromCodePoint(Math.min(code, 0x10ffff));
  if (char === "'") return "'\\''";
  return `'${code === 0 ? '\\x00' : goQuote(char).slice(1, -1)}'`;
}
