// filters/: Docker's `filters`, parsed and checked, and what each of them lets through.
//
// Docker's filters: what may be asked of an endpoint, and the ways a value is compared.

import type { Filters } from '../../api/v1.41/backend';
import { DaemonError } from '../../errors';
import { goRegexp, type GoRegexp } from '../../go/regexp';
import { strictPathMatcher } from '../../go/path-match';

/** `Invalid filter 'name'` or, with a value, `Invalid filter 'name=value'`. */
export function invalidFilter(name: string, value?: string): DaemonError {
  const text = value === undefined ? name : `${name}=${value}`;
  return new DaemonError('InvalidParameter', `Invalid filter '${text}'`);
}

/** Throws InvalidParameter for the first filter, by name, that is not among `accepted`. */
export function validateFilters(filters: Filters, accepted: readonly string[]): void {
  const unknown = [...filters.keys()].filter((name) => !accepted.includes(name)).sort();
  if (unknown[0] !== undefined) throw invalidFilter(unknown[0]);
}

function valuesOf(filters: Filters, name: string): readonly string[] {
  return filters.get(name) ?? [];
}

/** True when the filter is absent or empty, or one of its values is `value`. */
export function matchValue(filters: Filters, name: string, value: string): boolean {
  const wanted = valuesOf(filters, name);
  return wanted.length === 0 || wanted.includes(value);
}

/** As matchValue, but `value` need only begin with what is wanted. */
export function matchPrefix(filters: Filters, name: string, value: string): boolean {
  const wanted = valuesOf(filters, name);
  return wanted.length === 0 || wanted.some((prefix) => value.startsWith(prefix));
}

/** As matchValue, but what is wanted may be a regular expression that matches anywhere in `value`. */
export function matchPattern(filters: Filters, name: string, value: string): boolean {
  return (
    matchValue(filters, name, value) || valuesOf(filters, name).some((source) => searches(source, value))
  );
}

/** Of the filters of late: a list asks for each of its entries. */
const patterns = new Map<string, GoRegexp>();
const maxPatterns = 32;

function searches(source: string, value: string): boolean {
  const known = patterns.get(source) ?? patternOf(source);
  if (patterns.size >= maxPatterns && !patterns.has(source)) patterns.clear();
  patterns.set(source, known);
  return known(value);
}

function patternOf(source: string): GoRegexp {
  try {
    return goRegexp(source);
  } catch {
    return () => false; // Docker ignores what is no expression.
  }
}

/** True when each of `wanted`, a `key` or a `key=value`, is among `labels`; also when nothing is wanted. */
export function matchLabels(
  wanted: readonly string[] | undefined,
  labels: Readonly<Record<string, string>> | null | undefined,
): boolean {
  return (wanted ?? []).every((query) => {
    const at = query.indexOf('=');
    const value = labels?.[at < 0 ? query : query.slice(0, at)];
    return value !== undefined && (at < 0 || value === query.slice(at + 1));
  });
}

/**
 * A filter that may be `true` or `false`, with `digits` also `1` or `0`; undefined when absent. One without a value counts
 * as true, as do several of which one is true unless it must be `unique`. Throws InvalidParameter for anything else.
 */
export function booleanFilter(
  filters: Filters,
  name: string,
  { digits = false, unique = false } = {},
): boolean | undefined {
  const values = filters.get(name);
  if (values === undefined) return undefined;
  const isOne = (word: string, digit: string): boolean =>
    values.includes(word) || (digits && values.includes(digit));
  const isReadable = values.length < 2 || !unique;
  if (values.length === 0 || (isReadable && isOne('true', '1'))) return true;
  if (isReadable && isOne('false', '0')) return false;
  throw invalidFilter(name, `[${values.join(' ')}]`);
}

/** Go's path.Match: `*` and `?` stop at slashes. Throws Internal, as dockerd, for a malformed pattern. */
export function globMatcher(pattern: string): (text: string) => boolean {
  const matches = strictPathMatcher(pattern);
  if (matches === undefined) throw new DaemonError('Internal', 'syntax error in pattern');
  return matches;
}
