// Go's path.Match, by which COPY and ADD understand their sources and filters what they name. It is matched piece by piece, a
// character at a time: the time of a regular expression grows with each star by a power of the text's length, and a long one
// is no expression at all.

/** Whether one character is meant. */
type CharacterTest = (char: string) => boolean;

/** What stands between two stars. */
type Piece = readonly CharacterTest[];

/** Texts by their characters, which are Go's runes. */
type Characters = ArrayLike<string>;

/** True where a source is a pattern. */
export function hasWildcards(text: string): boolean {
  return /^(?:[^\\*?[]|\\.)*[*?[]/s.test(text);
}

/** A predicate for whole paths; a malformed pattern matches nothing, as in dockerd. */
export function pathMatcher(pattern: string): (path: string) => boolean {
  return strictPathMatcher(pattern) ?? (() => false);
}

/** A predicate for whole paths; undefined where the pattern is malformed. */
export function strictPathMatcher(pattern: string): ((path: string) => boolean) | undefined {
  const pieces = parsePattern(charactersOf(pattern));
  return pieces === undefined ? undefined : (path) => matchesWhole(pieces, charactersOf(path));
}

function charactersOf(text: string): Characters {
  return /[\ud800-\udfff]/.test(text) ? Array.from(text) : text;
}

function parsePattern(pattern: Characters): Piece[] | undefined {
  let piece: CharacterTest[] = [];
  const pieces = [piece];
  for (let at = 0; at < pattern.length; at += 1) {
    const char = pattern[at] ?? '';
    if (char === '*') pieces.push((piece = []));
    else if (char === '?') piece.push((other) => other !== '/');
    else if (char === '[') {
      const parsed = parseClass(pattern, at + 1);
      if (parsed === undefined) return undefined;
      piece.push(parsed.test);
      at = parsed.end;
    } else {
      if (char === '\\') at += 1;
      const literal = pattern[at];
      if (literal === undefined) return undefined;
      piece.push((other) => other === literal);
    }
  }
  return pieces;
}

/** What is in brackets, from `start` on, and where they are closed; undefined if it is malformed. */
function parseClass(pattern: Characters, start: number): { test: CharacterTest; end: number } | undefined {
  const isNegated = pattern[start] === '^';
  const ranges: { low: number; high: number }[] = [];
  let at = isNegated ? start + 1 : start;
  while (ranges.length === 0 || pattern[at] !== ']') {
    const low = classCharacter(pattern, at);
    if (low === undefined) return undefined;
    at = low.next;
    let high = low;
    if (pattern[at] === '-') {
      const other = classCharacter(pattern, at + 1);
      if (other === undefined) return undefined;
      high = other;
      at = other.next;
    }
    ranges.push({ low: low.code, high: high.code });
  }
  const test = (char: string): boolean => {
    const code = char.codePointAt(0) ?? 0;
    return ranges.some(({ low, high }) => low <= code && code <= high) !== isNegated;
  };
  return { test, end: at };
}

/** One character in brackets, which is not their last thing, and what follows it. */
function classCharacter(pattern: Characters, start: number): { code: number; next: number } | undefined {
  if (pattern[start] === '-' || pattern[start] === ']') return undefined;
  const at = pattern[start] === '\\' ? start + 1 : start;
  const code = pattern[at]?.codePointAt(0);
  return code === undefined || at + 1 >= pattern.length ? undefined : { code, next: at + 1 };
}

function matchesWhole([first = [], ...others]: readonly Piece[], text: Characters): boolean {
  const last = others.pop();
  if (last === undefined) return text.length === first.length && matchesAt(first, text, 0);
  if (!matchesAt(first, text, 0)) return false;
  let at = first.length;
  // Where a piece matches first is as good as any later place: the star behind it takes the difference.
  for (const piece of others) {
    while (!matchesAt(piece, text, at)) {
      if (at + piece.length >= text.length || text[at] === '/') return false;
      at += 1;
    }
    at += piece.length;
  }
  const end = text.length - last.length;
  for (let i = at; i < end; i += 1) if (text[i] === '/') return false;
  return end >= at && matchesAt(last, text, end);
}

function matchesAt(piece: Piece, text: Characters, start: number): boolean {
  return piece.length <= text.length - start && piece.every((test, i) => test(text[start + i] ?? ''));
}
