// A point in time as clients write it: a duration before now, seconds since the epoch, or a date.

import { parseGoDuration } from './duration';

/**
 * Milliseconds since the epoch of `text`, as Docker reads it in `until` and `since`. Dates without a zone are local.
 * Undefined if it can't be read.
 */
export function parseTimeReference(text: string, nowMs: number): number | undefined {
  const duration = parseGoDuration(text);
  if (duration !== undefined && text !== '0') return nowMs - duration / 1e6;
  if (/^-?\d+(\.\d{1,9})?$/.test(text)) return Number(text) * 1000;
  // RFC 3339, each part from the hour on optional.
  const date = /^(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d{1,9})?))?)?)?(Z|[+-]\d\d:\d\d)?$/.exec(
    text,
  );
  if (date === null) return undefined;
  const [, day = '', hour = '00', minute = '00', second = '00', zone = ''] = date;
  const milliseconds = Date.parse(`${day}T${hour}:${minute}:${second}${zone}`);
  return Number.isNaN(milliseconds) ? undefined : milliseconds;
}
