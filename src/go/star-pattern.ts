// Patterns with stars, as Go's path.Match has them: matched piece by piece, since the time that one regular expression
// takes grows with each star by a power of the text's length.

interface Piece {
  /** Sticky. */
  expression: RegExp;
  /** Characters that it matches: always as many. */
  length: number;
}

/** Collects a pattern from its beginning to its end. */
export class StarPattern {
  /** Of regular expressions, one for each character; a star stands between two lists. */
  readonly #pieces: string[][] = [[]];

  /** Any number of characters that are no slashes. */
  star(): void {
    this.#pieces.push([]);
  }

  /** One character; `source` is a regular expression for it. */
  character(source: string): void {
    this.#pieces.at(-1)?.push(source);
  }

  /** A predicate for whole texts. */
  matcher(): (text: string) => boolean {
    const [first, ...others] = this.#pieces.map((sources): Piece => {
      return { expression: new RegExp(sources.join(''), 'sy'), length: sources.length };
    });
    const last = others.pop();
    return (text) => {
      if (first === undefined || !matchesAt(first, text, 0)) return false;
      if (last === undefined) return text.length === first.length;
      let at = first.length;
      // Where a piece matches first is as good as any later place: the star behind it takes the difference.
      for (const piece of others) {
        while (!matchesAt(piece, text, at)) {
          if (at >= text.length || text.charAt(at) === '/') return false;
          at += 1;
        }
        at += piece.length;
      }
      const end = text.length - last.length;
      return end >= at && !text.slice(at, end).includes('/') && matchesAt(last, text, end);
    };
  }
}

function matchesAt({ expression }: Piece, text: string, at: number): boolean {
  expression.lastIndex = at;
  return expression.test(text);
}
