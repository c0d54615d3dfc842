// Comma-separated fields with quotes (RFC 4180), by which clients and instructions write their options.

import { DockerfileProblem } from '../text/problem';

/** Throws DockerfileProblem for a quote without its end or out of place. */
export function csvFields(line: string): string[] {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (line.charAt(at) === '"') {
      const { field, end } = quotedField(line, at);
      fields.push(field);
      at = end;
      if (at < line.length && line.charAt(at) !== ',')
        throw misplaced(at, 'extraneous or missing " in quoted-field');
    } else {
      const comma = line.indexOf(',', at);
      const end = comma < 0 ? line.length : comma;
      const field = line.slice(at, end);
      if (field.includes('"')) throw misplaced(at + field.indexOf('"'), 'bare " in non-quoted-field');
      fields.push(field);
      at = end;
    }
    if (at >= line.length) return fields;
    at += 1;
  }
}

function quotedField(line: string, start: number): { field: string; end: number } {
  const parts: string[] = [];
  let at = start + 1;
  for (;;) {
    const quote = line.indexOf('"', at);
    if (quote < 0) throw misplaced(line.length, 'extraneous or missing " in quoted-field');
    parts.push(line.slice(at, quote));
    if (line.charAt(quote + 1) !== '"') return { field: parts.join(''), end: quote + 1 };
    parts.push('"');
    at = quote + 2;
  }
}

function misplaced(at: number, reason: string): DockerfileProblem {
  return new DockerfileProblem(`parse error on line 1, column ${at + 1}: ${reason}`);
}
