// What is told about a call beside its messages: HTTP/2 headers, each name with all its values.

/** By lower-case name, in the order they came. */
export type Metadata = ReadonlyMap<string, readonly string[]>;

/** Of a list of names and values, as Node gives what came. A joined list would not tell `a, b` and `c` from three values. */
export function metadataOf(rawHeaders: readonly string[]): Metadata {
  const metadata = new Map<string, string[]>();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]?.toLowerCase() ?? '';
    const value = rawHeaders[i + 1] ?? '';
    const values = metadata.get(name);
    if (values === undefined) metadata.set(name, [value]);
    else values.push(value);
  }
  return metadata;
}

const units = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** Milliseconds of `grpc-timeout`; undefined if there is none, or none that can be read. */
export function timeoutOf(metadata: Metadata): number | undefined {
  const [, digits = '', unit = ''] =
    /^(\d{1,8})([HMSmun])$/.exec(metadata.get('grpc-timeout')?.[0] ?? '') ?? [];
  return digits === '' ? undefined : Number(digits) * units[unit as keyof typeof units]; // one of them, as matched
}
