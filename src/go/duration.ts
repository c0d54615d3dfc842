// Go's durations (`1h30m`, `-1.5s`), as time.ParseDuration reads and time.Duration prints them.

import { goQuote } from './quote';

const unitNs: ReadonlyMap<string, number> = new Map([
  ['ns', 1],
  ['us', 1e3],
  ['µs', 1e3],
  ['μs', 1e3],
  ['ms', 1e6],
  ['s', 1e9],
  ['m', 60e9],
  ['h', 3600e9],
]);

/** Nanoseconds; undefined if it is no duration. */
export function parseGoDuration(text: string): number | undefined {
  if (goDurationProblem(text) !== undefined) return undefined;
  let total = 0;
  for (const [, number, unit = ''] of text.matchAll(/([\d.]+)([^\d.]+)/g)) {
    total += Number(number) * (unitNs.get(unit) ?? 0);
  }
  return text.startsWith('-') ? -total : total;
}

/** What Go says of it; undefined when it is a duration. */
export function goDurationProblem(text: string): string | undefined {
  let rest = text.replace(/^[+-]/, '');
  if (rest === '0') return undefined;
  do {
    const [part = '', number = '', unit = ''] = /^(\d*\.?\d*)([^\d.]*)/.exec(rest) ?? [];
    if (!/\d/.test(number)) return `time: invalid duration ${goQuote(text)}`;
    if (unit === '') return `time: missing unit in duration ${goQuote(text)}`;
    if (!unitNs.has(unit)) return `time: unknown unit ${goQuote(unit)} in duration ${goQuote(text)}`;
    rest = rest.slice(part.length);
  } while (rest !== '');
  return undefined;
}

/** As Go prints it: `30s`, `1m30s`, `500ms`. */
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
