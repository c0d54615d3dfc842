import fc from 'fast-check';

import { pathMatcher } from '../../../src/go/path-match';

describe('patterns of COPY, ADD and filters', () => {
  test.each([
    ['*', 'a', true],
    ['*', 'a/b', false],
    ['**', 'ab', true],
    ['*/*', 'a/b', true],
    ['a*', 'a', true],
    ['*a', 'ba', true],
    ['*a', 'bac', false],
    ['a*b*c', 'abbc', true],
    ['a*b*c', 'acb', false],
    ['a*b/c', 'ab/b/c', false],
    ['*ab*ab', 'abab', true],
    ['*ab*ab', 'aba', false],
    ['a?c', 'a/c', false],
    ['[a-c]*', 'b1', true],
    ['[^a-c]*', 'b1', false],
    ['[^a]b', '/b', true], // as Go has it: only a star and a question mark stop at slashes
    ['[^]a]', 'b]', false],
    ['[-]', '-', false],
    ['a[b-]c]', 'abc', false],
    ['?[é-ü]', '😀ö', true],
    ['\\**', '*x', true],
    ['\\**', 'x', false],
    ['a.c', 'abc', false],
    ['a[', 'a[', false],
    ['[]a]', ']', false],
    ['[c-a]*', 'b', false],
    ['a\\', 'a', false],
  ])('%s against %s', (pattern, path, expected) => expect(pathMatcher(pattern)(path)).toBe(expected));

  test('match as one regular expression would', () => {
    const some = (...from: string[]): fc.Arbitrary<string> =>
      fc.array(fc.constantFrom(...from), { maxLength: 8 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(some('a', 'b', '/', '*', '?'), some('a', 'b', '/'), (pattern, path) => {
        const source = pattern.replace(/[*?]/g, (char) => (char === '*' ? '[^/]*' : '[^/]'));
        expect(pathMatcher(pattern)(path)).toBe(new RegExp(`^${source}$`).test(path));
      }),
    );
  });

  test('many stars against a long name are no work for hours', () => {
    expect(pathMatcher(`${'*a'.repeat(100)}b`)('a'.repeat(255))).toBe(false);
    expect(pathMatcher(`${'*a'.repeat(100)}*`)('a'.repeat(255))).toBe(true);
    expect(pathMatcher('*'.repeat(10_000))('a'.repeat(255))).toBe(true);
  });

  test.each(['a', '?', '[a-z]', '\\a'])('as many %s as a request can hold match as few do', (part) => {
    expect(pathMatcher(part.repeat(200_000))('a'.repeat(255))).toBe(false);
    expect(pathMatcher(part.repeat(200_000))('a'.repeat(200_000))).toBe(true);
  });
});
