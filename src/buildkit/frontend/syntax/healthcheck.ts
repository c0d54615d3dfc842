// HEALTHCHECK (Dockerfile reference): its flags and the form of its test.

import { goDurationProblem, parseGoDuration } from '../../../go/duration';
import { goQuote } from '../../../go/quote';
import { jsonWords } from './json-words';
import { DockerfileProblem } from '../text/problem';
import type { Statement } from '../text/statement';
import { readFlags, type Flags } from './flags';

/** Times in nanoseconds, as the image's configuration has them; 0: the daemon's default. */
export interface HealthcheckText {
  readonly test: readonly string[];
  readonly interval: number;
  readonly timeout: number;
  readonly startPeriod: number;
  readonly startInterval: number;
  readonly retries: number;
}

const shortestNs = 1e6;
const maxRetries = 2 ** 31 - 1;

/** Throws DockerfileProblem in BuildKit's words. */
export function readHealthcheck(statement: Statement): HealthcheckText {
  const { body } = statement;
  if (body === '') throw new DockerfileProblem('HEALTHCHECK requires at least one argument');
  const [, kind = '', argument = ''] = /^(\S*)\s*(.*)$/s.exec(body) ?? [];
  const none = { test: ['NONE'], interval: 0, timeout: 0, startPeriod: 0, startInterval: 0, retries: 0 };
  switch (kind.toUpperCase()) {
    case 'NONE':
      if (argument !== '') throw new DockerfileProblem('HEALTHCHECK NONE takes no arguments');
      return none;
    case 'CMD': {
      const exec = jsonWords({ body: argument, lines: statement.lines });
      if (argument === '' || exec?.length === 0)
        throw new DockerfileProblem('Missing command after HEALTHCHECK CMD');
      const test = exec === undefined ? ['CMD-SHELL', argument] : ['CMD', ...exec];
      const flags = readFlags(statement, {
        interval: 'text',
        timeout: 'text',
        'start-period': 'text',
        'start-interval': 'text',
        retries: 'text',
      });
      return {
        test,
        interval: duration(flags, 'interval'),
        timeout: duration(flags, 'timeout'),
        startPeriod: duration(flags, 'start-period'),
        startInterval: duration(flags, 'start-interval'),
        retries: retries(flags.text('retries')),
      };
    }
    default:
      throw new DockerfileProblem(`Unknown type ${goQuote(kind.toUpperCase())} in HEALTHCHECK (try CMD)`);
  }
}

function duration(flags: Flags, name: string): number {
  const text = flags.text(name);
  if (text === '') return 0;
  const problem = goDurationProblem(text);
  if (problem !== undefined) throw new DockerfileProblem(problem);
  const nanoseconds = parseGoDuration(text) ?? 0;
  if (nanoseconds === 0) return 0;
  if (nanoseconds < shortestNs)
    throw new DockerfileProblem(`Interval ${goQuote(name)} cannot be less than 1ms`);
  return nanoseconds;
}

function retries(text: string): number {
  if (text === '') return 0;
  const fail = (why: string): DockerfileProblem =>
    new DockerfileProblem(`strconv.ParseInt: parsing ${goQuote(text)}: ${why}`);
  if (!/^[+-]?\d+$/.test(text)) throw fail('invalid syntax');
  const count = Number(text);
  if (Math.abs(count) > maxRetries) throw fail('value out of range');
  if (count < 0) throw new DockerfileProblem(`--retries cannot be negative (${count})`);
  return count;
}
