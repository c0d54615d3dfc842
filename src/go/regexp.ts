// Go's regular expressions, which clients write in filters and log options: RE2's syntax, and time that grows with the text's length
// alone. JavaScript's own take for ever with some of them.

import { RE2JS } from 're2js';

/** A pattern is as long as a client likes; what is made of it takes memory and time for each of its characters. */
const maxPatternLength = 16_384;

/** Whether it matches anywhere in a text. */
export type GoRegexp = (text: string) => boolean;

/** Throws an Error that says in Go's words what is wrong with it. */
export function goRegexp(pattern: string): GoRegexp {
  if (pattern.length > maxPatternLength)
    throw new Error(`error parsing regexp: more than ${String(maxPatternLength)} characters`);
  const compiled = RE2JS.compile(pattern);
  return (text) => compiled.test(text);
}
