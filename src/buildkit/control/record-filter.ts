// Filters of cache records and builds as clients write them (containerd's syntax): `type==regular,shared`, `id~=^ab`, `description!="a, b"`. All
// parts of one filter have to hold, and one of the filters.

import { errorMessage } from '../../errors';
import { goRegexp, type GoRegexp } from '../../go/regexp';
import { BuildError } from '../contract/errors';
import type { CacheRecord } from '../contract/cache-records';

const maxFilterLength = 4096;
const operators = ['==', '!=', '~='];

/** The value of a field; undefined: there is no such field. */
type Fields = (name: string) => string | undefined;
type Matches = (field: Fields) => boolean;

/** Throws BuildError InvalidArgument for what is no filter. None: everything matches. */
export function fieldFilter(filters: readonly string[]): Matches {
  const alternatives = filters.map(parseFilter);
  return (field) => alternatives.length === 0 || alternatives.some((matches) => matches(field));
}

/** The same for cache records; `use` is what they are for, in the interface's words. */
export function recordFilter(
  filters: readonly string[],
  use: 'prune' | 'diskusage',
): (record: CacheRecord) => boolean {
  let matches: Matches;
  try {
    matches = fieldFilter(filters);
  } catch (error) {
    const given = filters.join(' ').slice(0, maxFilterLength);
    const why = `failed to parse ${use} filters [${given}]: ${errorMessage(error)}`;
    throw new BuildError('Unknown', why, { cause: error }); // dockerd's code, which clients print
  }
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
  if (text.length > maxFilterLength) throw invalid(text, text.length, 'it is too long');
  const parts: Matches[] = [];
  const pattern = /([\w.]+)(?:([=!~]+)("(?:[^"\\]|\\.)*"|[^,"]*))?(,|$)/y;
  while (pattern.lastIndex < text.length) {
    const at = pattern.lastIndex;
    const [, name = '', operator, value = ''] = pattern.exec(text) ?? [];
    if (name === '') throw invalid(text, at, 'expected a field, an operator and a value');
    if (operator !== undefined && !operators.includes(operator))
      throw invalid(text, at + name.length, `unsupported operator ${JSON.stringify(operator)}`);
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
    throw invalid(filter, filter.length, errorMessage(error));
  }
}

function unquoted(value: string): string {
  return value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value;
}

/** In containerd's words, which mark the place. */
function invalid(text: string, at: number, why: string): BuildError {
  const shown = text.slice(0, maxFilterLength);
  const marked =
    at < shown.length ? `${shown.slice(0, at)} >|${shown.charAt(at)}|< ${shown.slice(at + 1)}` : shown;
  return new BuildError('InvalidArgument', `filters: parse error: [${marked}]: ${why}: invalid argument`);
}
