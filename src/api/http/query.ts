// Query parameters, with dockerd's leniency and dockerd's errors.

import type { IncomingMessage } from 'node:http';
import { DaemonError } from '../../errors';
import type { ErrorCode } from '../../errors';
import { goBoolProblem, parseGoBool } from '../../go/bool';
import { goQuote } from '../../go/quote';

const queries = new WeakMap<IncomingMessage, URLSearchParams>();

/** The request's query, parsed once. The first value of a name counts, as in Go's Form.Get. */
export function queryOf(request: IncomingMessage): URLSearchParams {
  const known = queries.get(request);
  if (known !== undefined) return known;
  const url = request.url ?? '';
  const mark = url.indexOf('?');
  const query = new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1));
  queries.set(request, query);
  return query;
}

/** The value; `''` if absent. */
export function queryText(request: IncomingMessage, name: string): string {
  return queryOf(request).get(name) ?? '';
}

/** The value as an optional member for a spread: absent where it is missing or empty. */
export function optionalText<K extends string>(
  request: IncomingMessage,
  name: string,
  key: K,
): Partial<Record<K, string>> {
  const value = queryText(request, name);
  // the computed key widens to string
  return value === '' ? {} : ({ [key]: value } as Partial<Record<K, string>>);
}

/** dockerd's BoolValue: everything but these is true. */
export function queryBool(request: IncomingMessage, name: string): boolean {
  return !['', '0', 'no', 'false', 'none'].includes(queryText(request, name).toLowerCase().trim());
}

/** As queryBool, with a default for a name that is not there at all. */
export function queryBoolOr(request: IncomingMessage, name: string, fallback: boolean): boolean {
  return queryOf(request).has(name) ? queryBool(request, name) : fallback;
}

/** Go's strconv.ParseBool, where dockerd is strict. */
export function queryStrictBool(request: IncomingMessage, name: string): boolean {
  const value = queryText(request, name);
  if (value === '') return false;
  const parsed = parseGoBool(value);
  if (parsed !== undefined) return parsed;
  throw new DaemonError('InvalidParameter', `invalid value for ${name}: ${value}: ${goBoolProblem(value)}`);
}

/** Undefined if absent or empty; Go's Atoi error, with `code`, if not a number. */
export function queryInt(
  request: IncomingMessage,
  name: string,
  code: ErrorCode = 'Internal',
): number | undefined {
  const value = queryText(request, name);
  return value === '' ? undefined : atoi(value, code);
}

/** As queryInt, and `''` is an error too. */
export function requiredInt(request: IncomingMessage, name: string, code: ErrorCode): number {
  return atoi(queryText(request, name), code);
}

function atoi(value: string, code: ErrorCode): number {
  if (!/^[+-]?\d+$/.test(value)) {
    throw new DaemonError(code, `strconv.Atoi: parsing ${goQuote(value)}: invalid syntax`);
  }
  const number = BigInt(value.replace(/^\+/, ''));
  if (BigInt.asIntN(64, number) !== number) {
    throw new DaemonError(code, `strconv.Atoi: parsing ${goQuote(value)}: value out of range`);
  }
  return Number(number);
}

/** `h` and `w` of a terminal, cut to what a terminal's size has room for. Throws InvalidParameter for what is no number. */
export function queryTerminalSize(request: IncomingMessage): { rows: number; columns: number } {
  const rows = requiredInt(request, 'h', 'InvalidParameter');
  const columns = requiredInt(request, 'w', 'InvalidParameter');
  return { rows: rows & 0xffff, columns: columns & 0xffff };
}
