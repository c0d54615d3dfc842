// Values as Go's fmt prints them: they are part of an image's history, by which the cache finds it.

import { goQuote } from './quote';

/** `%q` of a list of strings. */
export function goQuoteList(list: readonly string[]): string {
  return `[${list.map(goQuote).join(' ')}]`;
}

/** `%v` of a list of strings. */
export function goList(list: readonly string[]): string {
  return `[${list.join(' ')}]`;
}

/** `%q` of a number. */
export function goQuoteCharacter(code: number): string {
  const char = String.fromCodePoint(Math.min(code, 0x10ffff));
  if (char === "'") return "'\\''";
  return `'${code === 0 ? '\\x00' : goQuote(char).slice(1, -1)}'`;
}
