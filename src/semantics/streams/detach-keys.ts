// The key sequence that detaches a client from a terminal.

import { parseDetachKeys } from '../../docker/detach-keys';
import { DaemonError } from '../../errors';

/** ctrl-p, ctrl-q. */
export const defaultDetachKeys: readonly number[] = [0x10, 0x11];

/** As parseDetachKeys; those of the default for ''. */
export function detachKeysOf(text = ''): readonly number[] | undefined {
  return text === '' ? defaultDetachKeys : parseDetachKeys(text);
}

/** With Docker's refusal in the words of attach. */
export function requireDetachKeys(text: string | undefined): readonly number[] {
  const keys = detachKeysOf(text);
  if (keys === undefined) {
    throw new DaemonError('InvalidParameter', `Invalid detach keys (${text ?? ''}) provided`);
  }
  return keys;
}

/** Looks for the sequence in a stream of input. Keys of a begun sequence are held back until it breaks. */
export class DetachKeyFilter {
  readonly #keys: readonly number[];
  #matched = 0;

  constructor(keys: readonly number[]) {
    this.#keys = keys;
  }

  /** Bytes to pass on, and whether the sequence was completed (what follows it is dropped). */
  push(data: Buffer): { pass: Buffer; detached: boolean } {
    if (this.#matched === 0 && !data.includes(this.#keys[0] ?? -1)) return { pass: data, detached: false };
    const out: number[] = [];
    for (const byte of data) {
      if (byte === this.#keys[this.#matched]) {
        this.#matched += 1;
        if (this.#matched === this.#keys.length) return { pass: Buffer.from(out), detached: true };
        continue;
      }
      if (this.#matched > 0) {
        out.push(...this.#keys.slice(0, this.#matched));
        this.#matched = 0;
        if (byte === this.#keys[0]) {
          this.#matched = 1;
          continue;
        }
      }
      out.push(byte);
    }
    return { pass: Buffer.from(out), detached: false };
  }
}
