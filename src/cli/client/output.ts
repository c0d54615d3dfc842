// How the client commands show things: tables for people, JSON and YAML for programs.

import Table from 'cli-table3';
import { stringify } from 'yaml';
import { printable } from '../terminal/style';

export const formats = ['table', 'json', 'yaml'] as const;
export type Format = (typeof formats)[number];

const noBorders = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
    'middle',
  ].map((name) => [name, '']),
);

/** Columns as wide as they need, three blanks apart, as docker's. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const shown = new Table({
    chars: noBorders,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 3 },
  });
  shown.push(head.map(printable), ...rows.map((row) => row.map(printable)));
  return shown
    .toString()
    .split('\n')
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

/** Prints `value` as asked for; `asTable` is only called for that. */
export function print(format: Format, value: unknown, asTable: () => string): void {
  if (format === 'json') write(`${JSON.stringify(value, undefined, 2)}\n`);
  else if (format === 'yaml') write(stringify(value));
  else write(asTable());
}

export function write(text: string): void {
  process.stdout.write(text);
}

export function shortId(id: string): string {
  return id.slice(0, 12);
}

/** "3 minutes ago". */
export function ago(timestamp: string, now = Date.now()): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(timestamp)) / 1000));
  const steps: [number, string][] = [
    [60, 'second'],
    [60, 'minute'],
    [24, 'hour'],
    [7, 'day'],
    [Infinity, 'week'],
  ];
  let value = seconds;
  for (const [size, unit] of steps) {
    if (value < size) return `${value} ${unit}${value === 1 ? '' : 's'} ago`;
    value = Math.floor(value / size);
  }
  return '';
}
