import { goQuote } from '../../../src/go/quote';

test.each([
  ['plain', '"plain"'],
  ['', '""'],
  ['a "b" \\', String.raw`"a \"b\" \\"`],
  ['\u0000\u001b\u007f', String.raw`"\x00\x1b\x7f"`],
  ['\u0007\b\f\n\r\t\v', String.raw`"\a\b\f\n\r\t\v"`],
  ['é日', '"é日"'],
  ['é\u0085\u200b\u{e0001}🙂', '"é\\u0085\\u200b\\U000e0001🙂"'],
  ['\ud800', '"\ufffd"'],
])('%j is quoted as Go does', (text, quoted) => expect(goQuote(text)).toBe(quoted));
