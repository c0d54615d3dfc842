import { goQuote } from '../../src/go-quote';

test.each([
  ['plain', '"plain"'],
  ['', '""'],
  ['a "b" \\', String.raw`"a \"b\" \\"`],
  ['\u0000\u001b\u007f', String.raw`"\x00\x1b\x7f"`],
  ['\u0007\b\f\n\r\t\v', String.raw`"\a\b\f\n\r\t\v"`],
  ['é日', '"é日"'],
])('%j is quoted as Go does', (text, quoted) => expect(goQuote(text)).toBe(quoted));
