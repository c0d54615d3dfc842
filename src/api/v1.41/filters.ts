// `filters`: JSON, either `{"status":{"running":true}}` or the older `{"status":["running"]}`.

import type { IncomingMessage } from 'node:http';
import { DaemonError } from '../../errors';
import { JsonSyntaxError, parseWholeValue } from '../../go/json';
import type { ErrorCode } from '../../errors';
import type { Filters } from './backend';
import { JsonTypeError, bool, decode, map, stringList } from '../../go/json-schema';
import { queryText } from '../http/query';

const none: Filters = new Map();
const mapForm = map(map(bool, 'map[string]bool'), 'map[string]map[string]bool');
const listForm = map(stringList, 'map[string][]string');

/**
 * The request's filters. `accepted` are the names this operation knows; undefined: any. `malformed` is how dockerd
 * answers what can't be read, which differs by operation; an unknown name is always InvalidParameter.
 */
export function queryFilters(
  request: IncomingMessage,
  accepted: readonly string[] | undefined,
  malformed: { code: ErrorCode; prefix?: string; unknownPrefix?: string } = { code: 'Internal' },
): Filters {
  const text = queryText(request, 'filters');
  if (text === '') return none;
  const filters = parseFilters(text, malformed.code, malformed.prefix ?? '');
  if (accepted === undefined) return filters;
  for (const name of filters.keys()) {
    if (accepted.includes(name)) continue;
    throw new DaemonError('InvalidParameter', `${malformed.unknownPrefix ?? ''}Invalid filter '${name}'`);
  }
  return filters;
}

function parseFilters(text: string, code: ErrorCode, prefix: string): Filters {
  try {
    const value = parseWholeValue(text);
    try {
      // the schema decides the shape
      const decoded = (decode(mapForm, value) ?? {}) as Record<string, Record<string, boolean> | null>;
      return new Map(Object.entries(decoded).map(([name, values]) => [name, Object.keys(values ?? {})]));
    } catch (mapError) {
      return parseListForm(value, mapError);
    }
  } catch (error) {
    if (!(error instanceof JsonSyntaxError) && !(error instanceof JsonTypeError)) throw error;
    throw new DaemonError(code, prefix + error.message, { cause: error });
  }
}

/** The older form; what is neither is reported as if it were the newer one. */
function parseListForm(value: unknown, mapError: unknown): Filters {
  try {
    const decoded = (decode(listForm, value) ?? {}) as Record<string, string[] | null>;
    return new Map(Object.entries(decoded).map(([name, values]) => [name, values ?? []]));
  } catch {
    throw mapError;
  }
}
