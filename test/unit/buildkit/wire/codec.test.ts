import fc from 'fast-check';
import {
  bigint64,
  bool,
  bytes,
  CodecError,
  int32,
  int64,
  map,
  maxElements,
  message,
  nested,
  oneof,
  repeated,
  string,
  uint32,
  unknownFields,
  type Value,
} from '../../../../src/buildkit/wire/codec';
import { Definition, Op } from '../../../../src/buildkit/messages/ops';

const Inner = message({ name: string(1), count: int64(2) });
const All = message({
  text: string(1),
  data: bytes(2),
  flag: bool(3),
  small: int32(4),
  unsigned: uint32(5),
  big: bigint64(6),
  inner: nested(7, Inner),
  words: repeated(string(8)),
  numbers: repeated(int64(9)),
  inners: repeated(nested(10, Inner)),
  labels: map(string(11)),
  innersByName: map(nested(12, Inner)),
  choice: oneof({ left: string(13), right: nested(14, Inner) }),
});
type All = Value<typeof All>;

const anyBytes = fc.uint8Array().map((array) => Buffer.from(array));
const anyText = fc.string({ unit: 'grapheme' });
const anyInner = fc.record({ name: anyText, count: fc.maxSafeInteger() });
const anyAll: fc.Arbitrary<All> = fc.record({
  text: anyText,
  data: anyBytes,
  flag: fc.boolean(),
  small: fc.integer(),
  unsigned: fc.nat({ max: 2 ** 32 - 1 }),
  big: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  inner: fc.option(anyInner, { nil: undefined }),
  words: fc.array(anyText),
  numbers: fc.array(fc.maxSafeInteger()),
  inners: fc.array(anyInner),
  labels: fc.array(fc.tuple(anyText, anyText)).map((entries) => new Map(entries)),
  innersByName: fc.array(fc.tuple(anyText, anyInner)).map((entries) => new Map(entries)),
  choice: fc.oneof(
    fc.constant(undefined),
    anyText.map((value) => ({ kind: 'left' as const, value })),
    anyInner.map((value) => ({ kind: 'right' as const, value })),
  ),
});

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('message', () => {
  test('decodes what it encodes', () => {
    fc.assert(fc.property(anyAll, (value) => expect(All.decode(All.encode(value))).toEqual(value)));
  });

  test('equal values are equal bytes, whatever the order of their members and entries', () => {
    fc.assert(
      fc.property(anyAll, (value) => {
        const turned = Object.fromEntries(
          Object.entries(value)
            .map(([name, member]): [string, unknown] =>
              member instanceof Map ? [name, new Map([...member].reverse())] : [name, member],
            )
            .reverse(),
        );
        expect(All.encode(turned)).toEqual(All.encode(value));
      }),
    );
  });

  // examples of protobuf's own documentation of the encoding
  test('writes what the wire format says', () => {
    expect(message({ a: int32(1) }).encode({ a: 150 })).toEqual(hex('08 96 01'));
    expect(message({ b: string(2) }).encode({ b: 'testing' })).toEqual(hex('12 07 74 65 73 74 69 6e 67'));
    expect(message({ c: nested(3, message({ a: int32(1) })) }).encode({ c: { a: 150 } })).toEqual(
      hex('1a 03 08 96 01'),
    );
    expect(message({ f: repeated(int32(6)) }).encode({ f: [3, 270, 86942] })).toEqual(
      hex('32 06 03 8e 02 9e a7 05'),
    );
    expect(message({ a: int32(1) }).encode({ a: -2 })).toEqual(hex('08 fe ff ff ff ff ff ff ff ff 01'));
  });

  test('leaves zeros out, but not of a choice', () => {
    expect(All.encode({ text: '', data: Buffer.alloc(0), small: 0, words: [], labels: [] })).toHaveLength(0);
    expect(All.encode({ choice: { kind: 'left', value: '' } })).toEqual(hex('6a 00'));
    expect(All.encode({ inner: {} })).toEqual(hex('3a 00'));
  });

  test('reads lists of numbers packed, one by one and in parts', () => {
    expect(All.decode(hex('4a 02 01 02 48 03 4a 01 04')).numbers).toEqual([1, 2, 3, 4]);
  });

  test('of a member that comes twice the last one counts', () => {
    expect(All.decode(hex('0a 01 61 0a 01 62')).text).toBe('b');
  });

  test('skips what it does not know, and keeps it where it has to', () => {
    const unknown = hex('a2 1f 02 68 69 a8 1f 07');
    expect(All.encode(All.decode(Buffer.concat([All.encode({ text: 'x' }), unknown])))).toEqual(
      All.encode({ text: 'x' }),
    );
    const op = Buffer.concat([
      Op.encode({ op: { kind: 'source', value: { identifier: 'local://context' } } }),
      unknown,
    ]);
    expect(Op.decode(op)[unknownFields as never]).toHaveLength(2);
    expect(Op.encode(Op.decode(op))).toEqual(op);
  });

  test('an entry of a map may lack its key or its value', () => {
    expect(All.decode(hex('5a 00')).labels).toEqual(new Map([['', '']]));
    expect(All.decode(hex('62 00')).innersByName).toEqual(new Map([['', { name: '', count: 0 }]]));
  });

  test('names of members are no trap', () => {
    const labels = new Map([
      ['__proto__', 'a'],
      ['constructor', 'b'],
    ]);
    expect(All.decode(All.encode({ labels })).labels).toEqual(labels);
  });

  test.each([
    ['a string that is no UTF-8', '0a 01 ff'],
    ['a length past the end', '0a 05 61'],
    ['a nested length past its message', '3a 02 0a 05'],
    ['a nested field past its message', '3a 03 0a 02 61 62'],
    ['a number cut off', '20 80'],
    ['a wrong wire type', '08 01'],
    ['a group', '0b 0c'],
    ['field 0', '02 00'],
    ['a huge length', '12 ff ff ff ff 0f'],
    ['a number that is none here', '3a 0b 10 ff ff ff ff ff ff ff ff 7f 00'],
    ['a number longer than 64 bits', '20 ff ff ff ff ff ff ff ff ff ff ff 01'],
  ])('refuses %s', (_what, text) => {
    expect(() => All.decode(hex(text))).toThrow(CodecError);
  });

  test('refuses a message of very many small things', () => {
    const entry = hex('52 00');
    const many = Buffer.alloc(entry.length * (maxElements + 1), entry);
    expect(() => All.decode(many)).toThrow(`more than ${maxElements} elements`);
  });

  test('fails with its own error only, on any bytes', () => {
    const decoders = [All, Op, Definition];
    const mangled = fc.tuple(anyAll, fc.nat(), fc.nat({ max: 255 })).map(([value, at, byte]) => {
      const encoded = All.encode(value);
      if (encoded.length > 0) encoded[at % encoded.length] = byte;
      return encoded;
    });
    fc.assert(
      fc.property(fc.oneof(anyBytes, mangled), (input) => {
        for (const decoder of decoders) {
          try {
            decoder.encode(decoder.decode(input));
          } catch (error) {
            expect(error).toBeInstanceOf(CodecError);
          }
        }
      }),
      { numRuns: 2000 },
    );
  });
});
