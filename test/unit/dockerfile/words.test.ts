// Words of instructions, with what dockerd 20.10 makes of them.

import { expandWord, jsonArray, splitWords } from '../../../src/dockerfile/words';

const variables = new Map([
  ['a', 'one'],
  ['e', ''],
]);

describe('variables', () => {
  test.each([
    ['$10', ''],
    ['$1a', 'a'],
    ['${10}', ''],
    ['$@|${@}', '|'],
    ['${-}${?}', ''],
    ['$größe|${größe}', '|'],
    ['$é1', ''],
    ['$٣', ''],
    ['$³', '$³'],
    ['${a?}${e?x}', 'one'],
    ['${a:+\\}}', '}'],
    ['${n:-"}"}', '}'],
    ['\\$a"\\$a\\x"', '$a$a\\x'],
  ])('%s', (word, expected) => expect(expandWord(word, variables)).toBe(expected));

  const missingBrace = "syntax error: missing '}'";
  const missingColon = "missing ':' in substitution";
  const bad = 'syntax error: bad substitution';
  test.each([
    ['${', missingBrace],
    ['${n:-${', missingBrace],
    ['${a:', missingBrace],
    ['${}', bad],
    ['${:x}', bad],
    ['${{a}', bad],
    ['${$a}', missingColon],
    ['${ a}', missingColon],
    ['${-x}', missingColon],
    ['${1a}', missingColon],
    ['${a', missingColon],
    ['${a-x}', missingColon],
    ['${a:xb}', 'unsupported modifier (x) in substitution'],
    ['${??x}', '?: x'],
    ['${n?}', 'n: is not allowed to be unset'],
    ['${n:?}', 'n: is not allowed to be unset'],
    ['${e:?}', 'e: is not allowed to be empty'],
  ])('%s is refused', (word, message) => {
    expect(() => expandWord(word, variables)).toThrow(`failed to process "${word}": ${message}`);
  });
});

test('what is refused is quoted as Go quotes', () => {
  expect(() => expandWord('\u200b${}', variables)).toThrow('failed to process "\\u200b${}": syntax error');
});

describe('arrays', () => {
  test.each([
    ['["a", "b"] x', ['a', 'b']],
    ['["]"]', [']']],
    ['["a"', undefined],
    ["['a']", undefined],
  ])('%s', (text, expected) => expect(jsonArray(text)).toEqual(expected));

  test.each(['["a",["b"]]', '[{"a":"]"}]', '["a",null]', '[1] x'])('%s has more than strings', (text) => {
    expect(() => jsonArray(text)).toThrow('arrays must be comprised of strings only');
  });
});

test('words end where Go sees white space', () => {
  expect(splitWords('a\u0085b\u00a0c\ufeffd')).toEqual(['a', 'b', 'c\ufeffd']);
});
