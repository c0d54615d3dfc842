// Go's filepath.Match, by which COPY and ADD understand their sources.

import { StarPattern } from './star-pattern';

/** True where a source is a pattern. */
export function hasWildcards(text: string): boolean {
  return /^(?:[^\\*?[]|\\.)*[*?[]/s.test(text);
}

/** A predicate for whole paths; a malformed pattern matches nothing, as in dockerd. */
export function pathMatcher(pattern: string): (path: string) => boolean {
  const parts = new StarPattern();
  for (let i = 0; i < pattern.length; i += 1) {
    const char = pattern.charAt(i);
    if (char === '*') parts.star();
    else if (char === '?') parts.character('[^/]');
    else if (char === '\\') {
      i += 1;
      if (i === pattern.length) return () => false;
      parts.character(escaped(pattern.charAt(i)));
    } else if (char === '[') {
      const [all, negation = '', body = ''] = /^\[(\^?)((?:\\.|[^\]\\])+)\]/s.exec(pattern.slice(i)) ?? [];
      const ranges = all === undefined ? undefined : characterRanges(body);
      if (all === undefined || ranges === undefined) return () => false;
      parts.character(negation === '' ? `(?!/)[${ranges}]` : `[^/${ranges}]`);
      i += all.length - 1;
    } else parts.character(escaped(char));
  }
  return parts.matcher();
}

/** The inside of a bracket as a regular expression has it; undefined if it is malformed. */
function characterRanges(body: string): string | undefined {
  let result = '';
  for (let i = 0; i < body.length;) {
    const low = takeCharacter(body, i);
    i = low.end;
    let high = low;
    if (body.charAt(i) === '-') {
      high = takeCharacter(body, i + 1);
      i = high.end;
    }
    if (low.char === '' || high.char === '') return undefined;
    if (low.char <= high.char) result += `${escaped(low.char)}-${escaped(high.char)}`;
  }
  return result === '' ? undefined : result;
}

function takeCharacter(body: string, at: number): { char: string; end: number } {
  if (body.charAt(at) === '-') return { char: '', end: at + 1 };
  const isEscaped = body.charAt(at) === '\\';
  const index = isEscaped ? at + 1 : at;
  return { char: body.charAt(index), end: index + 1 };
}

function escaped(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}
