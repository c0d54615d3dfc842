// Lists of patterns as in a .dockerignore, by which copies include and exclude: Go's filepath.Match for each part of a path,
// `**` for any number of them, `!` for exceptions. Matched part by part, so that no pattern takes long.

import { posix } from 'node:path';
import { pathMatcher } from '../../go/path-match';
import { BuildError } from '../contract/errors';

/** What one part of a path has to be; undefined: any number of parts. */
type Part = ((name: string) => boolean) | undefined;

interface Pattern {
  readonly isException: boolean;
  /** It matches where one of these does. */
  readonly ways: readonly (readonly Part[])[];
}

/** `a**b` is two ways to match, each of them again. */
const maxWays = 32;
const maxPatterns = 10_000;

export class PatternList {
  readonly #patterns: readonly Pattern[];
  readonly isEmpty: boolean;

  /** Throws InvalidArgument for too much of it. */
  constructor(patterns: readonly string[]) {
    if (patterns.length > maxPatterns) throw new BuildError('InvalidArgument', 'too many patterns');
    this.#patterns = patterns.flatMap(parsePattern);
    this.isEmpty = patterns.length === 0;
  }

  /** Whether the last pattern that matches the path, or a directory it lies in, is no exception. */
  matches(path: string): boolean {
    const parts = path.split('/');
    let matched = false;
    for (const { isException, ways } of this.#patterns) {
      // nothing that could change the answer
      if (isException !== matched) continue;
      if (ways.some((way) => matchesPrefix(way, parts))) matched = !isException;
    }
    return matched;
  }
}

function parsePattern(text: string): Pattern[] {
  const isException = text.startsWith('!');
  const cleaned = posix.normalize((isException ? text.slice(1) : text).trim()).replace(/^\/+|\/+$/g, '');
  if (cleaned === '' || cleaned === '.') return [];
  let ways: Part[][] = [[]];
  for (const part of cleaned.split('/')) {
    const choices = partChoices(part);
    ways = ways.flatMap((way) => choices.map((choice) => [...way, ...choice]));
    if (ways.length > maxWays) throw new BuildError('InvalidArgument', `too many stars in pattern ${text}`);
  }
  return [{ isException, ways }];
}

/** `a**b` is `a*b`, or `a*` and, any number of directories deeper, `*b`. */
function partChoices(part: string): Part[][] {
  if (/^\*\*+$/.test(part)) return [[undefined]];
  const at = part.indexOf('**');
  if (at < 0) return [[pathMatcher(part)]];
  const before = part.slice(0, at);
  const after = part.slice(at).replace(/^\*+/, '');
  if (before === '') return partChoices(`*${after}`).map((choice) => [undefined, ...choice]);
  const first = pathMatcher(`${before}*`);
  const near = partChoices(`${before}*${after}`);
  return [...near, ...partChoices(`*${after}`).map((choice) => [first, undefined, ...choice])];
}

/** Whether the whole path, or the path of a directory above, is what the parts say. */
function matchesPrefix(way: readonly Part[], names: readonly string[]): boolean {
  /** How many of the names the parts so far can have taken. */
  let taken = new Set([0]);
  for (const [at, part] of way.entries()) {
    const next = new Set<number>();
    // at the end it is what is in a directory, not the directory
    const least = at === way.length - 1 ? 1 : 0;
    if (part === undefined) for (let i = Math.min(...taken) + least; i <= names.length; i += 1) next.add(i);
    else for (const i of taken) if (i < names.length && part(names[i] ?? '')) next.add(i + 1);
    if (next.size === 0) return false;
    taken = next;
  }
  taken.delete(0);
  return taken.size > 0;
}
