import fc from 'fast-check';

import { DockerfileProblem } from '../../../../src/buildkit/frontend/text/problem';
import { expandWord, type ExpandOptions } from '../../../../src/buildkit/frontend/words/expand';
import { TextPattern } from '../../../../src/buildkit/frontend/words/patterns';
import { variablesOf } from '../../../../src/buildkit/frontend/words/variables';

const values = variablesOf(
  new Map([
    ['V', 'foo.bar.baz'],
    ['U', ''],
    ['P', 'a/b/c.tar.gz'],
  ]),
);
const expand = (word: string, options: Partial<ExpandOptions> = {}): string =>
  expandWord(word, values, { escape: '\\', ...options }).text;

// as dockerd 26 has them
test.each([
  ['$V', 'foo.bar.baz'],
  ['${V}x', 'foo.bar.bazx'],
  ['${V#*.}', 'bar.baz'],
  ['${V##*.}', 'baz'],
  ['${V%.*}', 'foo.bar'],
  ['${V%%.*}', 'foo'],
  ['${V/o/0}', 'f0o.bar.baz'],
  ['${V//o/0}', 'f00.bar.baz'],
  ['${V//./}', 'foobarbaz'],
  ['${V//a?/_}', 'foo.b_.b_'],
  ['${U:-dflt}', 'dflt'],
  ['${U-dflt}', ''],
  ['${V:+set}', 'set'],
  ['${W+set}', ''],
  ['${W:-"quoted x"}', 'quoted x'],
  ["'$V'", '$V'],
  [String.raw`"$V \$V"`, 'foo.bar.baz $V'],
  [String.raw`\$V`, '$V'],
  ['${P##*/}', 'c.tar.gz'],
  ['a$', 'a$'],
  ['${V:?no}', 'foo.bar.baz'],
])('%s', (word, expected) => expect(expand(word)).toBe(expected));

test('what stays: quotes, escapes, what has no value', () => {
  const options = { keepsQuotes: true, keepsEscapes: true, keepsUnset: true };
  expect(expand(String.raw`"$V" '$V' $W ${'${W}'} \$V`, options)).toBe(
    String.raw`"foo.bar.baz" '$V' $W ${'${W}'} \$V`,
  );
  expect(expand(`"$V" '$V'`, { ignoresQuotes: true })).toBe(`"foo.bar.baz" 'foo.bar.baz'`);
});

test('what has no value is told', () => {
  expect([...expandWord('$V $W ${X:-y}', values, { escape: '\\' }).unset]).toEqual(['W']);
});

test.each(['${', '${V', '${V:', '${:x}', '"', "'", '${V^x}', '${V/a', '${W:?gone}'])(
  '%s is a fault',
  (word) => {
    expect(() => expand(word)).toThrow(DockerfileProblem);
  },
);

test('whatever is written is expanded or refused', () => {
  const word = fc.string({
    unit: fc.constantFrom('$', '{', '}', ':', '-', '/', '#', '%', '"', "'", '\\', 'V', 'x', '*'),
  });
  fc.assert(
    fc.property(word, (text) => {
      try {
        expand(text);
      } catch (error) {
        expect(error).toBeInstanceOf(DockerfileProblem);
      }
    }),
  );
});

test.each([
  ['nested', '${V:-'.repeat(20_000)],
  ['quotes', '"'.repeat(65_000)],
  ['patterns', `\${V//${'*a'.repeat(20_000)}/x}`],
  ['dollars', '$'.repeat(65_000)],
])('hostile words end soon: %s', (_name, word) => {
  const start = process.cpuUsage();
  try {
    expand(word);
  } catch (error) {
    expect(error).toBeInstanceOf(DockerfileProblem);
  }
  expect(process.cpuUsage(start).user).toBeLessThan(2_000_000);
});

test('a long value and a long pattern are refused, not tried', () => {
  const pattern = new TextPattern('*a*b'.repeat(1000), '\\');
  expect(() => pattern.withoutPrefix('ab'.repeat(100_000), 'longest')).toThrow('too long');
  expect(() => pattern.replace('ab'.repeat(100_000), '', { all: true })).toThrow('too long');
});
