// A message in protobuf's JSON form, by the interface's own names.

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** Of a decoded message; what wasn't known of it is left out. Takes what the codec makes: no other values. */
export function protoJson(value: unknown): Json {
  if (value === undefined || value === null) return null;
  if (Buffer.isBuffer(value)) return value.toString('base64');
  if (Array.isArray(value)) return value.map(protoJson);
  if (value instanceof Map)
    return Object.fromEntries([...value].map(([key, each]) => [String(key), protoJson(each)]));
  switch (typeof value) {
    case 'bigint':
      return value.toString();
    case 'boolean':
    case 'number':
    case 'string':
      return value;
    case 'object':
      return Object.fromEntries(Object.entries(value).flatMap(member));
    default:
      throw new TypeError(`no value of a message: ${typeof value}`);
  }
}

/** A choice is the member that was chosen. */
function member([name, value]: [string, unknown]): [string, Json][] {
  if (value === undefined || value === null) return [];
  if (isChoice(value)) return [[value.kind, protoJson(value.value)]];
  return [[name, protoJson(value)]];
}

function isChoice(value: unknown): value is { kind: string; value: unknown } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    typeof value.kind === 'string' &&
    'value' in value &&
    Object.keys(value).length === 2
  );
}
