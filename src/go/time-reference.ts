// A point in time as clients write it: seconds since the epoch, a duration before now, or a date.

import { parseGoDuration } from './duration';

const nanosecondsPerSecond = 1_000_000_000n;
const nanosecondsPerMillisecond = 1_000_000n;

/** Nanoseconds since the epoch. A date without a zone is the daemon's local time. Undefined for what can't be read. */
export function parseTimeReference(text: string, nowMs: number): bigint | undefined {
  const [, seconds, fraction = ''] = /^([+-]?\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  if (seconds !== undefined) return unixNanoseconds(seconds, fraction);
  const duration = parseGoDuration(text);
  if (duration !== undefined && Number.isFinite(duration)) {
    return BigInt(nowMs) * nanosecondsPerMillisecond - BigInt(Math.round(duration));
  }
  return parseDate(text);
}

function unixNanoseconds(seconds: string, fraction: string): bigint | undefined {
  const count = BigInt(seconds);
  if (BigInt.asIntN(64, count) !== count) return undefined;
  return count * nanosecondsPerSecond + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
}

/** RFC 3339, each part from the hour on optional. */
function parseDate(text: string): bigint | undefined {
  const match =
    /^(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9})\d*)?)?)?)?(Z|[+-]\d\d:\d\d)?$/.exec(text);
  if (match === null) return undefined;
  const [, day = '', hour = '00', minute = '00', second = '00', fraction = '', zone = ''] = match;
  const milliseconds = Date.parse(`${day}T${hour}:${minute}:${second}${zone}`);
  if (Number.isNaN(milliseconds)) return undefined;
  return BigInt(milliseconds) * nanosecondsPerMillisecond + BigInt(fraction.padEnd(9, '0'));
}
