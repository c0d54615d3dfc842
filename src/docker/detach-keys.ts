// The `detachKeys` of attach, start and exec: `ctrl-p,ctrl-q`, `a,DEL`. Keys count as they are written: `ctrl-P` is none.

const controls = new Map<string, number>([
  ...Array.from('@abcdefghijklmnopqrstuvwxyz[\\]^_', (key, code): [string, number] => [`ctrl-${key}`, code]),
  ['DEL', 127],
]);

/** The bytes of the keys; undefined when one is unknown. */
export function parseDetachKeys(text: string): number[] | undefined {
  const keys: number[] = [];
  for (const key of text.split(',')) {
    const bytes = Buffer.from(key);
    const byte = bytes.length === 1 ? bytes[0] : controls.get(key);
    if (byte === undefined) return undefined;
    keys.push(byte);
  }
  return keys;
}
