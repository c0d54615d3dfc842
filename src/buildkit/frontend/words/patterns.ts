// Patterns of `${name#pattern}` and its like (Dockerfile reference, "Environment replacement"): `*` is any text, `?` any
// character, the escape takes the next one as it is.

import { DockerfileProblem } from '../text/problem';

/** A character, any of them, or any number of them. */
type Part =
  | { readonly kind: 'character'; readonly char: string }
  | { readonly kind: 'any' }
  | { readonly kind: 'many' };

/** What matching costs is the product of both. */
const maxWork = 4_000_000;

export class TextPattern {
  readonly #parts: readonly Part[];

  constructor(source: string, escape: string) {
    const parts: Part[] = [];
    const characters = Array.from(source);
    for (let at = 0; at < characters.length; at += 1) {
      const char = characters[at] ?? '';
      if (char === '*') {
        if (parts.at(-1)?.kind !== 'many') parts.push({ kind: 'many' });
      } else if (char === '?') parts.push({ kind: 'any' });
      else if (char === escape && at + 1 < characters.length) {
        at += 1;
        parts.push({ kind: 'character', char: characters[at] ?? '' });
      } else parts.push({ kind: 'character', char });
    }
    this.#parts = parts;
  }

  /** Lengths, in characters, of the beginnings that match: the shortest and the longest. Undefined: none does. */
  #beginnings(
    characters: readonly string[],
    parts: readonly Part[],
  ): { shortest: number; longest: number } | undefined {
    if (parts.length * characters.length > maxWork)
      throw new DockerfileProblem('the pattern of a substitution is too long for its value');
    /** Places to which the parts so far can reach. */
    let places = new Uint8Array(characters.length + 1);
    places[0] = 1;
    for (const part of parts) {
      const next = new Uint8Array(characters.length + 1);
      let isReached = 0;
      for (let at = 0; at <= characters.length; at += 1) {
        if (part.kind === 'many') {
          isReached |= places[at] ?? 0;
          next[at] = isReached;
        } else if (at > 0 && places[at - 1] === 1) {
          next[at] = part.kind === 'any' || part.char === characters[at - 1] ? 1 : 0;
        }
      }
      places = next;
    }
    const shortest = places.indexOf(1);
    return shortest < 0 ? undefined : { shortest, longest: places.lastIndexOf(1) };
  }

  /** `#`, `##`. */
  withoutPrefix(text: string, which: 'shortest' | 'longest'): string {
    const characters = Array.from(text);
    const found = this.#beginnings(characters, this.#parts);
    return found === undefined ? text : characters.slice(found[which]).join('');
  }

  /** `%`, `%%`. */
  withoutSuffix(text: string, which: 'shortest' | 'longest'): string {
    const reversed = Array.from(text).reverse();
    const found = this.#beginnings(reversed, [...this.#parts].reverse());
    return found === undefined ? text : reversed.slice(found[which]).reverse().join('');
  }

  /** `/`, `//`. The longest match at the first place that has one; where that is empty nothing is replaced. */
  replace(text: string, replacement: string, { all }: { all: boolean }): string {
    const characters = Array.from(text);
    const result: string[] = [];
    let work = 0;
    let at = 0;
    while (at < characters.length) {
      work += this.#parts.length * (characters.length - at);
      if (work > maxWork)
        throw new DockerfileProblem('the pattern of a substitution is too long for its value');
      const length = this.#mayBeginWith(characters[at] ?? '')
        ? (this.#beginnings(characters.slice(at), this.#parts)?.longest ?? 0)
        : 0;
      if (length === 0) {
        result.push(characters[at] ?? '');
        at += 1;
        continue;
      }
      result.push(replacement);
      at += length;
      if (!all) break;
    }
    return result.join('') + characters.slice(at).join('');
  }

  #mayBeginWith(char: string): boolean {
    const [first] = this.#parts;
    return first !== undefined && (first.kind !== 'character' || first.char === char);
  }
}
