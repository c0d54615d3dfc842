// `since` and `until`: seconds with a fraction, as dockerd takes them; also RFC 3339 and Go durations ("10m" ago), which
// with dockerd only its command line understands.

import { DaemonError } from '../../errors';
import { goQuote as quote } from '../../go-quote';

const nanosecondsPerSecond = 1_000_000_000n;
const nanosecondsPerMillisecond = 1_000_000n;

const durationUnits: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Nanoseconds since the epoch; undefined for ''. A duration counts back from `nowMs`. */
export function parseTimestampQuery(value: string, nowMs: number): bigint | undefined {
  if (value === '') return undefined;
  const unix = /^([+-]?\d+)(?:\.(\d+))?$/.exec(value);
  if (unix !== null) return unixNanoseconds(unix[1] ?? '0', unix[2] ?? '');
  const duration = parseDuration(value);
  if (duration !== undefined) return BigInt(nowMs) * nanosecondsPerMillisecond - duration;
  const date = parseDate(value);
  if (date !== undefined) return date;
  const [seconds = '', fraction = ''] = value.split('.');
  const wrong = /^[+-]?\d+$/.test(seconds) ? fraction : seconds;
  throw new DaemonError('Internal', `strconv.ParseInt: parsing ${quote(wrong)}: invalid syntax`);
}

function unixNanoseconds(seconds: string, fraction: string): bigint {
  if (BigInt.asIntN(64, BigInt(seconds)) !== BigInt(seconds)) {
    throw new DaemonError('Internal', `strconv.ParseInt: parsing ${quote(seconds)}: value out of range`);
  }
  const nanoseconds = BigInt(fraction.slice(0, 9).padEnd(9, '0'));
  return BigInt(seconds) * nanosecondsPerSecond + nanoseconds;
}

/** A Go duration in nanoseconds; undefined if it is none. */
export function parseDuration(value: string): bigint | undefined {
  const parts = /^([+-]?)((?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.exec(value);
  if (parts === null) return undefined;
  let nanoseconds = 0;
  for (const [, amount, unit] of value.matchAll(/([\d.]+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    nanoseconds += Number(amount) * (durationUnits[unit ?? ''] ?? 0);
  }
  const rounded = BigInt(Math.round(nanoseconds));
  return parts[1] === '-' ? -rounded : rounded;
}

/** RFC 3339, also without seconds, zone or time; without a zone it is the daemon's local time. */
function parseDate(value: string): bigint | undefined {
  const match = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d)(:\d\d)?(?:\.(\d{1,9})\d*)?)?(Z|[+-]\d\d:\d\d)?$/.exec(
    value,
  );
  if (match === null) return undefined;
  const [, day = '', minutes = '00:00', seconds = ':00', fraction = '', zone = ''] = match;
  const milliseconds = Date.parse(`${day}T${minutes}${seconds}${zone}`);
  if (Number.isNaN(milliseconds)) return undefined;
  return BigInt(milliseconds) * nanosecondsPerMillisecond + BigInt(fraction.padEnd(9, '0'));
}

/** What Go's time.ParseDuration says of it; undefined when it is a duration. */
export function durationProblem(text: string): string | undefined {
  const unsigned = text.replace(/^[+-]/, '');
  if (unsigned === '0') return undefined;
  let rest = unsigned;
  do {
    const [part = '', number = '', unit = ''] = /^(\d*\.?\d*)([^\d.]*)/.exec(rest) ?? [];
    if (!/\d/.test(number)) return `time: invalid duration ${quote(text)}`;
    if (unit === '') return `time: missing unit in duration ${quote(text)}`;
    if (!(unit in durationUnits)) return `time: unknown unit ${quote(unit)} in duration ${quote(text)}`;
    rest = rest.slice(part.length);
  } while (rest !== '');
  return undefined;
}
