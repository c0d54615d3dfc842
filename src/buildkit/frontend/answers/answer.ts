// What a question is answered with, and how it is laid out.

import type { Lines } from '../text/statement';

/** Metadata of a result: what clients print, and what they read. */
export interface Answer {
  readonly json: unknown;
  readonly text: string;
  /** The client's exit status. */
  readonly status?: number;
}

/** Places in the Dockerfile as answers have them. */
export function locationOf({ first, last }: Lines): object {
  return { ranges: [{ start: { line: first }, end: { line: last } }] };
}

/** Columns as wide as their widest entries. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  const lines = rows.map((row) =>
    row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd((widths[i] ?? 0) + 2))).join(''),
  );
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}
