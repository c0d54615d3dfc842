import { goRegexp } from '../../../src/go/regexp';

test.each([
  ['eb', 'web', true],
  ['^/?web$', '/web', true],
  ['(?i)WEB', 'web', true],
  ['[[:digit:]]\\z', 'web1', true],
  ['a|b', 'c', false],
])('%s in %s: %s', (pattern, text, matches) => expect(goRegexp(pattern)(text)).toBe(matches));

test.each([
  ['(a', 'error parsing regexp: missing closing ): `(a`'],
  ['*a', 'error parsing regexp: missing argument to repetition operator: `*`'],
  ['(?=a)', 'error parsing regexp: invalid or unsupported Perl syntax: `(?=`'],
  ['a{1001}', 'error parsing regexp: invalid repeat count: `{1001}`'],
  ['((((a{10}){10}){10}){10}){10}', 'error parsing regexp: invalid repeat count: `{10}`'],
  ['a'.repeat(16_385), 'error parsing regexp: more than 16384 characters'],
])('%s: refused in the words of Go', (pattern, message) => expect(() => goRegexp(pattern)).toThrow(message));

test('no pattern takes for ever', () => {
  for (const pattern of ['(a+)+$', '(a|aa)+$', '(a*)*b$', '([a-z]+)*b$'])
    expect(goRegexp(pattern)(`${'a'.repeat(10_000)}!`)).toBe(false);
});
