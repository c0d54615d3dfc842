// The Dockerfile's HEALTHCHECK, as Docker's parser reads it.

import { type DaemonError, invalid } from '../errors';
import { goDurationProblem, parseGoDuration } from '../go/duration';
import { goQuote } from '../go/quote';
import { jsonArray } from './words';
import type { ImageRunConfig } from '../docker/image-config';

type Healthcheck = NonNullable<ImageRunConfig['Healthcheck']>;

const shortestNanoseconds = 1e6;
const maxRetries = 2 ** 31 - 1;

const timings = ['Interval', 'Timeout', 'StartPeriod', 'Retries'] as const;
type Timings = Partial<Record<(typeof timings)[number], number>>;

/** What is 0 or absent comes from the image's health check, even if that one tests something else: Docker does so. */
export function inheritTimings<Check extends Timings>(given: Check, image: Timings): Check {
  const merged = { ...given };
  for (const name of timings) {
    if ((merged[name] ?? 0) === 0 && image[name] !== undefined) merged[name] = image[name];
  }
  return merged;
}

/** `rest` is what follows the keyword. Throws InvalidParameter in Docker's words. */
export function parseHealthcheck(rest: string): Healthcheck {
  const { flags, text } = takeFlags(rest);
  const [, kind = '', argument = ''] = /^(\S*)\s*(.*)$/s.exec(text) ?? [];
  switch (kind.toUpperCase()) {
    case 'NONE':
      if (argument !== '') throw invalid('HEALTHCHECK NONE takes no arguments');
      return { Test: ['NONE'] };
    case 'CMD': {
      if (argument === '') throw invalid('Missing command after HEALTHCHECK CMD');
      const exec = jsonArray(argument);
      if (exec?.length === 0) throw invalid('Missing command after HEALTHCHECK CMD');
      return { Test: exec === undefined ? ['CMD-SHELL', argument] : ['CMD', ...exec], ...flags };
    }
    case '':
      throw invalid('HEALTHCHECK requires at least one argument');
    default:
      throw invalid(`Unknown type ${goQuote(kind.toUpperCase())} in HEALTHCHECK (try CMD)`);
  }
}

function takeFlags(rest: string): { flags: Healthcheck; text: string } {
  const flags: Healthcheck = {};
  const seen = new Set<string>();
  let text = rest;
  for (;;) {
    const [all, name = '', value] = /^--([a-z-]*)(?:=(\S*))?\s*/.exec(text) ?? [];
    if (all === undefined) return { flags, text };
    text = text.slice(all.length);
    const known = ['interval', 'timeout', 'start-period', 'retries'].includes(name);
    if (!known) throw invalid(`Unknown flag: ${name}`);
    if (seen.has(name)) throw invalid(`Duplicate flag specified: ${name}`);
    seen.add(name);
    if (value === undefined) throw invalid(`Missing a value on flag: ${name}`);
    if (value === '') continue; // as if it was not given
    if (name === 'interval') flags.Interval = duration(name, value);
    else if (name === 'timeout') flags.Timeout = duration(name, value);
    else if (name === 'start-period') flags.StartPeriod = duration(name, value);
    else flags.Retries = retries(value);
  }
}

function retries(value: string): number {
  const fail = (why: string): DaemonError => invalid(`strconv.ParseInt: parsing ${goQuote(value)}: ${why}`);
  if (!/^[+-]?\d+$/.test(value)) throw fail('invalid syntax');
  if (Math.abs(Number(value)) > maxRetries) throw fail('value out of range');
  if (Number(value) < 1) throw invalid(`--retries must be at least 1 (not ${Number(value)})`);
  return Number(value);
}

/** Nanoseconds. */
function duration(name: string, text: string): number {
  const problem = goDurationProblem(text);
  if (problem !== undefined) throw invalid(problem);
  const sum = parseGoDuration(text) ?? 0;
  if (sum < shortestNanoseconds) throw invalid(`Interval "${name}" cannot be less than 1ms`);
  return sum;
}
