// Docker's timestamps: RFC 3339 with nanoseconds, as Go prints them. Held as text in records, as bigint in arithmetic.

/** Go's zero time, which Docker shows where something has not happened. */
export const neverTimestamp = '0001-01-01T00:00:00Z';

const nanosecondsPerMillisecond = 1_000_000n;
const nanosecondsPerSecond = 1_000_000_000n;
// hrtime has the nanoseconds, Date the epoch. The offset is taken anew when the wall clock was set.
let offset = BigInt(Date.now()) * nanosecondsPerMillisecond - process.hrtime.bigint();

/** Nanoseconds since the epoch; never goes back between two calls unless the wall clock was set. */
export function nowNanoseconds(): bigint {
  const wall = BigInt(Date.now()) * nanosecondsPerMillisecond;
  const now = process.hrtime.bigint() + offset;
  const drift = now > wall ? now - wall : wall - now;
  if (drift < nanosecondsPerSecond / 20n) return now;
  offset += wall - now;
  return wall;
}

/** RFC3339Nano as Go prints it: trailing zeros of the fraction are dropped. */
export function formatTimestamp(nanoseconds: bigint): string {
  const seconds = nanoseconds / nanosecondsPerSecond;
  const fraction = (nanoseconds % nanosecondsPerSecond).toString().padStart(9, '0').replace(/0+$/, '');
  const base = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return `${base}${fraction === '' ? '' : `.${fraction}`}Z`;
}

/** The same of milliseconds since the epoch, to the microsecond: a double does not hold more. */
export function formatMilliseconds(milliseconds: number): string {
  return formatTimestamp(BigInt(Math.round(milliseconds * 1000)) * 1000n);
}

/** The present as a record's timestamp. */
export function nowTimestamp(): string {
  return formatTimestamp(nowNanoseconds());
}

/** Nanoseconds since the epoch of what formatTimestamp printed; 0 for `neverTimestamp`. */
export function parseTimestamp(text: string): bigint {
  if (text === neverTimestamp) return 0n;
  const match = /^(.{19})(?:\.(\d{1,9}))?Z$/.exec(text);
  if (match === null) throw new RangeError(`not a timestamp: ${text}`);
  const milliseconds = Date.parse(`${match[1] ?? ''}Z`);
  return BigInt(milliseconds) * nanosecondsPerMillisecond + BigInt((match[2] ?? '').padEnd(9, '0'));
}
