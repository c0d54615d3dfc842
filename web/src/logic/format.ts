// Numbers, times and names as people read them.

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
const binaryUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** Sizes on disks and of transfers, with decimal units: as docker says them. */
export function bytes(count: number | null | undefined, digits = 3): string {
  return size(count, 1000, units, digits);
}

/** Memory, with binary units: as docker says it. */
export function memory(count: number | null | undefined): string {
  return size(count, 1024, binaryUnits, 4);
}

function size(
  count: number | null | undefined,
  base: number,
  names: readonly string[],
  digits: number,
): string {
  if (count === undefined || count === null || !Number.isFinite(count)) return '–';
  let [value, unit] = [Math.abs(count), 0];
  // what would be rounded to the next unit is said in it
  const most = base === 1000 ? 1000 - 0.5 * 10 ** (3 - digits) : base;
  while (value >= most && unit < names.length - 1) {
    value /= base;
    unit += 1;
  }
  const text = unit === 0 ? String(Math.round(value)) : String(Number(value.toPrecision(digits)));
  return `${count < 0 ? '−' : ''}${text} ${names[unit] ?? ''}`;
}

export function rate(count: number | null | undefined): string {
  return count === undefined || count === null ? '–' : `${bytes(count)}/s`;
}

export function percent(value: number | null | undefined): string {
  if (value === undefined || value === null || !Number.isFinite(value)) return '–';
  return `${value >= 10 ? Math.round(value) : Math.round(value * 10) / 10} %`;
}

/** With two places, as `docker stats` says it. */
export function exactPercent(value: number): string {
  return `${value.toFixed(2)} %`;
}

const steps: readonly (readonly [seconds: number, name: string])[] = [
  [365 * 86_400, 'year'],
  [30 * 86_400, 'month'],
  [7 * 86_400, 'week'],
  [86_400, 'day'],
  [3_600, 'hour'],
  [60, 'minute'],
  [1, 'second'],
];

/** `1 time`, `2 times` */
export function counted(count: number, name: string): string {
  return `${count.toLocaleString()} ${name}${count === 1 ? '' : 's'}`;
}

/** `3 hours`, `1 minute`; the largest unit of which there is one. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  for (const [size, name] of steps) {
    const count = Math.floor(whole / size);
    if (count >= 1) return counted(count, name);
  }
  return 'less than a second';
}

/** `1.2 s`, `340 ms`, `3 min 20 s`. */
export function shortDuration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** `3 hours ago`. `at`: milliseconds. Go's zero time, and what is no time, is `never`. */
export function ago(at: number, now = Date.now()): string {
  if (!Number.isFinite(at) || at <= 0) return 'never';
  const seconds = (now - at) / 1000;
  return seconds < 1 ? 'now' : `${duration(seconds)} ago`;
}

/** Milliseconds; −1 for Go's zero time. */
export function timeOf(text: string): number {
  return text.startsWith('0001-') ? -1 : Date.parse(text);
}

/** Of a digest or id, as docker shows it. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12);
}

/** A container's name without the slash. */
export function nameOf(names: readonly string[] | null): string {
  const own = (names ?? []).find((name) => !name.includes('/', 1)) ?? names?.[0] ?? '';
  return own.replace(/^\//, '');
}

/** Something hostile may be as long as it likes. */
export function clip(text: string, length = 200): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
