// A point in time as clients write it: a duration before now, seconds since the epoch, or a date.

const unitMs: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1e3,
  m: 6e4,
  h: 3.6e6,
};

/** Milliseconds of a Go duration (`1h30m`, `-1.5s`); undefined if it is none. */
export function parseGoDuration(text: string): number | undefined {
  const match = /^([+-]?)(0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/.exec(text);
  if (match === null) return undefined;
  let total = 0;
  for (const [, value, unit] of (match[2] ?? '').matchAll(/(\d+\.?\d*|\.\d+)([a-zµμ]+)/g)) {
    total += Number(value) * (unitMs[unit ?? ''] ?? 0);
  }
  return match[1] === '-' ? -total : total;
}

/**
 * Milliseconds since the epoch of `text`, as Docker reads it in `until` and `since`. Dates without a zone are local.
 * Undefined if it can't be read.
 */
export function parseTimeReference(text: string, nowMs: number): number | undefined {
  const duration = parseGoDuration(text);
  if (duration !== undefined && text !== '0') return nowMs - duration;
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
