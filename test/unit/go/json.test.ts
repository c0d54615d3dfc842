import fc from 'fast-check';
import { JsonSyntaxError, parseFirstValue, parseWholeValue } from '../../../src/go/json';

describe('parseFirstValue', () => {
  test('reads what JSON.parse reads', () => {
    fc.assert(fc.property(fc.json(), (text) => expect(parseFirstValue(text)).toEqual(JSON.parse(text))));
  });

  test('leaves what follows alone', () => {
    fc.assert(
      fc.property(fc.json(), fc.string(), (text, tail) => {
        // a number or a literal has no end of its own
        if (!/^[[{"]/.test(text.trim())) return;
        expect(parseFirstValue(text + tail)).toEqual(JSON.parse(text));
      }),
    );
  });

  test('fails on any other text with an error of its own, and on a cut value as cut', () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), (text, cut) => {
        if (!/^[[{"]/.test(text.trim())) return;
        const half = text.slice(0, cut % text.length);
        expect(() => parseFirstValue(half)).toThrow(
          expect.objectContaining({ eof: half.trim() === '' ? 'empty' : 'truncated' }) as JsonSyntaxError,
        );
      }),
    );
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...Array.from('{}[]",:0-.eE\\utrfalsn \n\u0001é')) }),
        (text) => {
          for (const parse of [parseFirstValue, parseWholeValue]) {
            try {
              parse(text);
            } catch (error) {
              expect(error).toBeInstanceOf(JsonSyntaxError);
            }
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('deep nesting costs no stack', () => {
    expect(() => parseFirstValue('['.repeat(1_000_000))).toThrow("invalid character '[' exceeded max depth");
    expect(() => parseFirstValue('{"a":'.repeat(9_000))).toThrow('unexpected EOF');
  });
});

test('half a surrogate pair is no character', () => {
  expect(parseFirstValue(String.raw`{"a\ud800":["\udc00x","\ud83d\ude00"]} rest`)).toEqual({
    'a\ufffd': ['\ufffdx', '\u{1f600}'],
  });
});
