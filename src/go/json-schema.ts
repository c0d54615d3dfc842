// Turns parsed JSON into a typed request as Go's encoding/json would: keys without regard to case, unknown ones
// dropped, null as absent, and a wrong type reported in Go's words with Go's names of structs and types.

import { timeError } from './time';

/** A JSON value of the wrong type, in Go's wording. */
export class JsonTypeError extends Error {
  override readonly name = 'JsonTypeError';
}

type IntegerType = 'int' | 'int64' | 'uint' | 'uint16' | 'uint64' | 'time.Duration' | 'fs.FileMode';

export type Schema =
  | { kind: 'string'; go: string }
  | { kind: 'bool' }
  /** Go's time.Time, in text. */
  | { kind: 'time' }
  | { kind: 'integer'; go: IntegerType }
  /** A string or a list of strings: Go's strslice.StrSlice. */
  | { kind: 'strings' }
  | { kind: 'list'; of: Schema; go: string; length?: number }
  | { kind: 'map'; of: Schema; go: string }
  | { kind: 'struct'; name: string; go: string; fields: ReadonlyMap<string, Field> };

interface Field {
  name: string;
  schema: Schema;
}

export const string = named('string');
export const bool: Schema = { kind: 'bool' };
export const time: Schema = { kind: 'time' };
export const strings: Schema = { kind: 'strings' };
export const stringList = list(string, '[]string');
export const stringMap = map(string, 'map[string]string');

/** A string type of its own name in Go. */
export function named(go: string): Schema {
  return { kind: 'string', go };
}

export function integer(go: IntegerType): Schema {
  return { kind: 'integer', go };
}

export function list(of: Schema, go: string, length?: number): Schema {
  return { kind: 'list', of, go, ...(length === undefined ? {} : { length }) };
}

export function map(of: Schema, go: string): Schema {
  return { kind: 'map', of, go };
}

/** `go` is the package-qualified type. `T` makes the compiler demand a schema for every member of the wire type. */
export function struct<T extends object>(go: string, fields: { [K in keyof Required<T>]: Schema }): Schema {
  const entries = Object.entries<Schema>(fields);
  return {
    kind: 'struct',
    name: go.startsWith('struct ') ? '' : go.slice(go.lastIndexOf('.') + 1), // some have none
    go,
    fields: new Map(entries.map(([name, schema]) => [name.toLowerCase(), { name, schema }])),
  };
}

/** Bounds as far as a JSON number can tell them apart. */
const integerBounds: Record<IntegerType, readonly [number, number]> = {
  int: [-(2 ** 63), 2 ** 63],
  int64: [-(2 ** 63), 2 ** 63],
  uint: [0, 2 ** 64],
  uint16: [0, 2 ** 16 - 1],
  uint64: [0, 2 ** 64],
  'time.Duration': [-(2 ** 63), 2 ** 63],
  'fs.FileMode': [0, 2 ** 32 - 1],
};

/** Where the decoder is: the innermost struct's name and the fields from the root. */
interface Place {
  struct: string;
  path: string;
}

/**
 * Decodes `value`; undefined for null. The caller names the type that the schema stands for.
 * Throws JsonTypeError.
 */
export function decode(schema: Schema, value: unknown, place?: Place): unknown {
  if (value === null || value === undefined) return undefined;
  switch (schema.kind) {
    case 'string':
      return typeof value === 'string' ? value : fail(value, schema.go, place);
    case 'bool':
      return typeof value === 'boolean' ? value : fail(value, 'bool', place);
    case 'time':
      return decodeTime(value);
    case 'integer':
      return decodeInteger(schema.go, value, place);
    case 'strings':
      return decodeStrings(value, place);
    case 'list':
      if (!Array.isArray(value)) return fail(value, schema.go, place);
      return decodeList(schema.of, value, schema.length, place);
    case 'map':
      if (!isObject(value)) return fail(value, schema.go, place);
      // fromEntries defines properties, so that a key `__proto__` is a key like any other
      return Object.fromEntries(
        Object.entries(value).map(([key, member]) => [
          key,
          // of pointers, null stays what it is
          decode(schema.of, member, place) ?? (schema.go.includes(']*') ? null : zero(schema.of)),
        ]),
      );
    case 'struct':
      if (!isObject(value)) return fail(value, schema.go, place);
      return decodeStruct(schema, value, place);
  }
}

function decodeStruct(
  schema: Schema & { kind: 'struct' },
  value: Record<string, unknown>,
  place: Place | undefined,
): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) {
    const field = schema.fields.get(key.toLowerCase());
    if (field === undefined) continue;
    const path = place === undefined ? field.name : `${place.path}.${field.name}`;
    const decoded = decode(field.schema, member, { struct: schema.name, path });
    if (decoded !== undefined) result[field.name] = decoded;
  }
  return result;
}

function decodeList(
  of: Schema,
  value: unknown[],
  length: number | undefined,
  place: Place | undefined,
): unknown[] {
  const items = value.map((item) => decode(of, item, place) ?? zero(of));
  if (length === undefined) return items;
  // a Go array: what is missing is zero, what is too much is dropped
  return Array.from({ length }, (_, index) => items[index] ?? zero(of));
}

function decodeTime(value: unknown): unknown {
  const error = timeError(JSON.stringify(value));
  if (error !== undefined) throw new JsonTypeError(error);
  return value;
}

function decodeInteger(go: IntegerType, value: unknown, place: Place | undefined): number {
  if (typeof value !== 'number') return fail(value, go, place);
  const [least, most] = integerBounds[go];
  if (!Number.isInteger(value) || value < least || value > most) {
    return fail(value, go, place, `number ${String(value).replace('e+', 'e')}`);
  }
  return value;
}

function decodeStrings(value: unknown, place: Place | undefined): string[] {
  if (typeof value === 'string') return [value];
  if (!Array.isArray(value)) return fail(value, 'string', place);
  // StrSlice tries a list, then a string, and so blames the list
  return value.map((item: unknown) => {
    if (item === null) return '';
    return typeof item === 'string' ? item : fail(value, 'string', place);
  });
}

/** Go's zero value, for null inside a list or a map. */
function zero(schema: Schema): unknown {
  switch (schema.kind) {
    case 'string':
      return '';
    case 'time':
      return '0001-01-01T00:00:00Z';
    case 'bool':
      return false;
    case 'integer':
      return 0;
    case 'strings':
    case 'list':
      return null;
    case 'map':
      return null;
    case 'struct':
      return {};
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fail(value: unknown, go: string, place: Place | undefined, what = valueKind(value)): never {
  const where =
    place === undefined ? 'Go value of type' : `Go struct field ${place.struct}.${place.path} of type`;
  throw new JsonTypeError(`json: cannot unmarshal ${what} into ${where} ${go}`);
}

function valueKind(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}
