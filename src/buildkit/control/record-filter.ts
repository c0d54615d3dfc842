// Filters of cache records and builds as clients write them (containerd's syntax): `type==regular,shared`, `id~=^ab`, `description!="a, b"`. All
// parts of one filter have to hold, and one of the filters.

import { errorMessage } from '../../errors';
import { goRegexp, type GoRegexp } from '../../go/regexp';
import { BuildError } from '../contract/errors';
import type { CacheRecord } from '../contract/cache-records';

const maxFilterLength = 4096;

/** The value of a field; undefined: there is no such field. */
type Fields = (name: string) => string | undefined;
type Matches = (field: Fields) => boolean;

/** Throws BuildError InvalidArgument for what is no filter. None: everything matches. */
export function fieldFilter(filters: readonly string[]): Matches {
  const alternatives = filters.map(parseFilter);
  return (field) => alternatives.length === 0 || alternatives.some((matches) => matches(field));
}

/** The same for cache records. */
export function recordFilter(filters: readonly string[]): (record: CacheRecord) => boolean {
  const matches = fieldFilter(filters);
  return (record) => matches((name) => fieldOf(record, name));
}

/** Undefined: there is no such field. Flags have the value '' when they are set. */
function fieldOf(record: CacheRecord, name: string): string | undefined {
  const flag = (isSet: boolean): string | undefined => (isSet ? '' : undefined);
  switch (name) {
    case 'id':
      return record.id;
    case 'parents':
      return record.parents.join(';');
    case 'description':
      return record.description;
    case 'type':
      return record.type;
    case 'inuse':
      return flag(record.inUse);
    case 'mutable':
      return flag(record.mutable);
    case 'immutable':
      return flag(!record.mutable);
    case 'shared':
      return flag(record.shared);
    case 'private':
      return flag(!record.shared);
    default:
      return undefined;
  }
}

function parseFilter(text: string): Matches {
  if (text.length > maxFilterLength) throw invalid(text, 'it is too long');
  const parts: Matches[] = [];
  const pattern = /([\w.]+)(?:(==|!=|~=)("(?:[^"\\]|\\.)*"|[^,"]*))?(,|$)/y;
  while (pattern.lastIndex < text.length) {
    const at = pattern.lastIndex;
    const [, name = '', operator, value = ''] = pattern.exec(text) ?? [];
    if (name === '') throw invalid(text, `at ${at}`);
    parts.push(partOf(text, name, operator, unquoted(value)));
  }
  return (field) => parts.every((matches) => matches(field));
}

function partOf(filter: string, name: string, operator: string | undefined, value: string): Matches {
  switch (operator) {
    case '==':
      return (field) => field(name) === value;
    case '!=':
      return (field) => field(name) !== value;
    case '~=': {
      const isLike = regexpOf(filter, value);
      return (field) => isLike(field(name) ?? '');
    }
    default:
      return (field) => field(name) !== undefined;
  }
}

function regexpOf(filter: string, pattern: string): GoRegexp {
  try {
    return goRegexp(pattern);
  } catch (error) {
    throw invalid(filter, errorMessage(error));
  }
}

function unquoted(value: string): string {
  return value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value;
}

function invalid(filter: string, why: string): BuildError {
  return new BuildError(
    'InvalidArgument',
    `failed to parse filter ${JSON.stringify(filter.slice(0, 100))}: ${why}`,
  );
}
