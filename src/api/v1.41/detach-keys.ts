// The `detachKeys` parameter: `ctrl-p,ctrl-q`, `a,DEL`. Recognising them in the input is the engine's part.

const controlKey = /^ctrl-[@a-z[\\\]^_]$/;

/** True if each comma-separated key is one character, `ctrl-` and a key, or `DEL`. */
export function areDetachKeys(keys: string): boolean {
  return keys.split(',').every((key) => key.length === 1 || key === 'DEL' || controlKey.test(key));
}
