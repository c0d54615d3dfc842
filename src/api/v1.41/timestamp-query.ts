// `since` and `until`: seconds with a fraction, as dockerd takes them; also RFC 3339 and Go durations ("10m" ago), which
// with dockerd only its command line understands.

import { DaemonError } from '../../errors';
import { parseGoDuration } from '../../go/duration';
import { goQuote } from '../../go/quote';

const nanosecondsPerSecond = 1_000_000_000n;
const nanosecondsPerMillisecond = 1_000_000n;

/** Nanoseconds since the epoch; undefined for ''. A duration counts back from `nowMs`. */
export function parseTimestampQuery(value: string, nowMs: number): bigint | undefined {
  if (value === '') return undefined;
  const unix = /^([+-]?\d+)(?:\.(\d+))?$/.exec(value);
  if (unix !== null) return unixNanoseconds(unix[1] ?? '0', unix[2] ?? '');
  const duration = parseGoDuration(value);
  if (duration !== undefined) return BigInt(nowMs) * nanosecondsPerMillisecond - BigInt(Math.round(duration));
  const date = parseDate(value);
  if (date !== undefined) return date;
  const [seconds = '', fraction = ''] = value.split('.');
  const wrong = /^[+-]?\d+$/.test(seconds) ? fraction : seconds;
  throw new DaemonError('Internal', `strconv.ParseInt: parsing ${goQuote(wrong)}: invalid syntax`);
}

function unixNanoseconds(seconds: string, fraction: string): bigint {
  if (BigInt.asIntN(64, BigInt(seconds)) !== BigInt(seconds)) {
    throw new DaemonError('Internal', `strconv.ParseInt: parsing ${goQuote(seconds)}: value out of range`);
  }
  const nanoseconds = BigInt(fraction.slice(0, 9).padEnd(9, '0'));
  return BigInt(seconds) * nanosecondsPerSecond + nanoseconds;
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
