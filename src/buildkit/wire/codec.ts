// Messages of protobuf's wire format (protobuf.dev, "Encoding"; proto3), declared as objects of fields:
//
//   export const Input = message({ digest: string(1), index: int64(2) });
//   export type Input = Value<typeof Input>;
//
// Decoded values have every member, with proto3's zero for what was not sent. What is encoded may leave members out, has its
// fields in the order of their numbers and maps sorted, so equal values are equal bytes. Input is hostile: see `maxElements`.

import { isUtf8 } from 'node:buffer';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** Bytes that are not what was declared. The message says where. */
export class CodecError extends Error {
  override readonly name = 'CodecError';
}

/** Elements of lists and maps in one message, all levels together: a few bytes each on the wire, an object each in memory. */
export const maxElements = 500_000;

/** One value behind a tag. */
interface Kind<Value, Init> {
  readonly wireType: WireType;
  /** What an absent value reads as. */
  readonly zero: Value;
  /** Whether a value is left out, as proto3 does. */
  isZero(value: Init): boolean;
  read(reader: MessageReader): Value;
  write(writer: BinaryWriter, value: Init): void;
}

/** A member of a message. `Value` is what it decodes to, `Init` what may be encoded. */
export interface Field<Value, Init> {
  /** One, but for `oneof`. */
  readonly numbers: readonly number[];
  readonly initial: Value;
  /** With what was read before of the same member. */
  read(before: Value, reader: MessageReader, number: number, wireType: WireType): Value;
  write(writer: BinaryWriter, value: Init): void;
}

export interface SingleField<Value, Init, Zero = Value> extends Field<Value | Zero, Init> {
  readonly number: number;
  readonly kind: Kind<Value, Init>;
}

type Fields = Record<string, Field<unknown, unknown>>;
type ValueOf<F> = { readonly [K in keyof F]: F[K] extends Field<infer V, never> ? V : never };
type InitOf<F> = { readonly [K in keyof F]?: (F[K] extends Field<unknown, infer I> ? I : never) | undefined };

export interface MessageType<Message, Init> {
  /** Throws CodecError. Byte strings are parts of `bytes`, not copies. */
  decode(bytes: Uint8Array): Message;
  encode(init: Init): Buffer;
  readonly kind: Kind<Message, Init>;
}

/** What a message decodes to. */
export type Value<T> = T extends MessageType<infer Message, never> ? Message : never;
/** What of a message may be encoded: every member may be left out. */
export type Init<T> = T extends MessageType<unknown, infer I> ? I : never;

/** Where fields that the declaration doesn't name are kept, with `keepUnknown`. */
export const unknownFields = Symbol('fields that are not declared');

interface WithUnknownFields {
  [unknownFields]?: readonly Uint8Array[];
}

/** Reads within a budget of elements, and never past the message it is in. */
class MessageReader {
  readonly wire: BinaryReader;
  readonly #bytes: Uint8Array;
  #elements = 0;

  constructor(bytes: Uint8Array) {
    this.wire = new BinaryReader(bytes);
    this.#bytes = bytes;
  }

  countElement(): void {
    this.#elements += 1;
    if (this.#elements > maxElements) throw new CodecError(`more than ${maxElements} elements in a message`);
  }

  /** Skips a field; its bytes with the tag. */
  skip(start: number, wireType: WireType): Uint8Array {
    this.wire.skip(wireType);
    return this.#bytes.subarray(start, this.wire.pos);
  }

  /** The end of what has its length before it. */
  end(): number {
    const length = this.wire.uint32();
    const end = this.wire.pos + length;
    if (end > this.wire.len) throw new CodecError('a length leads past the end');
    return end;
  }
}

export function message<F extends Fields>(
  fields: F,
  { keepUnknown = false } = {},
): MessageType<ValueOf<F>, InitOf<F>> {
  const byNumber = new Map<number, { name: string; field: Field<unknown, unknown> }>();
  const initial: Record<string, unknown> = {};
  const inOrder = Object.entries(fields).sort(
    ([, a], [, b]) => Math.min(...a.numbers) - Math.min(...b.numbers),
  );
  for (const [name, field] of Object.entries(fields)) {
    initial[name] = field.initial;
    for (const number of field.numbers) byNumber.set(number, { name, field });
  }

  function read(reader: MessageReader, end: number): ValueOf<F> {
    const { wire } = reader;
    const value: Record<string, unknown> & WithUnknownFields = { ...initial };
    while (wire.pos < end) {
      const start = wire.pos;
      const [number, wireType] = wire.tag();
      if (wireType === WireType.StartGroup || wireType === WireType.EndGroup) {
        throw new CodecError('groups are not supported');
      }
      const known = byNumber.get(number);
      if (known === undefined) {
        const skipped = reader.skip(start, wireType);
        if (keepUnknown) {
          reader.countElement();
          value[unknownFields] = [...(value[unknownFields] ?? []), skipped];
        }
      } else {
        value[known.name] = known.field.read(value[known.name], reader, number, wireType);
      }
    }
    if (wire.pos !== end) throw new CodecError('a field leads past the end of its message');
    return value as ValueOf<F>; // each member is what its field has read
  }

  function write(writer: BinaryWriter, init: InitOf<F>): void {
    for (const [name, field] of inOrder) {
      const value = init[name];
      if (value !== undefined) field.write(writer, value);
    }
    // only what `read` has made has it
    for (const bytes of (init as WithUnknownFields)[unknownFields] ?? []) writer.raw(bytes);
  }

  const zero = Object.freeze({ ...initial }) as ValueOf<F>; // as `read` makes them
  return {
    kind: {
      wireType: WireType.LengthDelimited,
      zero,
      isZero: () => false,
      read: (reader) => read(reader, reader.end()),
      write: (writer, init) => {
        writer.fork();
        write(writer, init);
        writer.join();
      },
    },
    decode(bytes) {
      try {
        return read(new MessageReader(bytes), bytes.length);
      } catch (error) {
        if (error instanceof CodecError) throw error;
        throw new CodecError(error instanceof Error ? error.message : String(error), { cause: error });
      }
    },
    encode(init) {
      const writer = new BinaryWriter();
      write(writer, init);
      const bytes = writer.finish();
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    },
  };
}

/** The wire allows a member to come again: the last one counts. */
function single<V, I, Z>(number: number, kind: Kind<V, I>, initial: Z): SingleField<V, I, Z> {
  return {
    number,
    kind,
    numbers: [number],
    initial,
    read: (_before, reader, _number, wireType) => {
      requireType(kind, wireType, number);
      return kind.read(reader);
    },
    write: (writer, value) => {
      if (!kind.isZero(value)) writeTagged(writer, number, kind, value);
    },
  };
}

function writeTagged<I>(writer: BinaryWriter, number: number, kind: Kind<unknown, I>, value: I): void {
  writer.tag(number, kind.wireType);
  kind.write(writer, value);
}

function requireType(kind: Kind<unknown, never>, wireType: WireType, number: number): void {
  if (wireType !== kind.wireType) throw new CodecError(`field ${number} has wire type ${wireType}`);
}

const stringKind: Kind<string, string> = {
  wireType: WireType.LengthDelimited,
  zero: '',
  isZero: (value) => value === '',
  read: ({ wire }) => {
    const bytes = wire.bytes();
    if (!isUtf8(bytes)) throw new CodecError('a string is not UTF-8');
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  },
  write: (writer, value) => writer.string(value),
};

const noBytes = Buffer.alloc(0);
const bytesKind: Kind<Buffer, Uint8Array> = {
  wireType: WireType.LengthDelimited,
  zero: noBytes,
  isZero: (value) => value.length === 0,
  read: ({ wire }) => {
    const bytes = wire.bytes();
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  },
  write: (writer, value) => writer.bytes(value),
};

const boolKind: Kind<boolean, boolean> = {
  wireType: WireType.Varint,
  zero: false,
  isZero: (value) => !value,
  read: ({ wire }) => wire.bool(),
  write: (writer, value) => writer.bool(value),
};

function numberKind(
  read: (wire: BinaryReader) => number,
  write: (writer: BinaryWriter, value: number) => void,
): Kind<number, number> {
  return {
    wireType: WireType.Varint,
    zero: 0,
    isZero: (value) => value === 0,
    read: ({ wire }) => read(wire),
    write,
  };
}

const int32Kind = numberKind(
  (wire) => wire.int32(),
  (writer, value) => writer.int32(value),
);
const uint32Kind = numberKind(
  (wire) => wire.uint32(),
  (writer, value) => writer.uint32(value),
);
const int64Kind = numberKind(
  (wire) => {
    const value = Number(wire.int64());
    if (!Number.isSafeInteger(value)) throw new CodecError('a number is out of range');
    return value;
  },
  (writer, value) => writer.int64(value),
);
const bigint64Kind: Kind<bigint, bigint> = {
  wireType: WireType.Varint,
  zero: 0n,
  isZero: (value) => value === 0n,
  read: ({ wire }) => BigInt(wire.int64()),
  write: (writer, value) => writer.int64(value),
};

export const string = (number: number): SingleField<string, string> => single(number, stringKind, '');
export const bytes = (number: number): SingleField<Buffer, Uint8Array> => single(number, bytesKind, noBytes);
export const bool = (number: number): SingleField<boolean, boolean> => single(number, boolKind, false);
/** Also for enumerations, whose values from outside may be any. */
export const int32 = (number: number): SingleField<number, number> => single(number, int32Kind, 0);
export const uint32 = (number: number): SingleField<number, number> => single(number, uint32Kind, 0);
/** Sizes and counts. Decoding throws for what a number can't hold. */
export const int64 = (number: number): SingleField<number, number> => single(number, int64Kind, 0);
/** Nanoseconds, which a number can't hold. */
export const bigint64 = (number: number): SingleField<bigint, bigint> => single(number, bigint64Kind, 0n);

/** A message as a member: undefined where it was not sent. */
export function nested<M, I>(number: number, type: MessageType<M, I>): SingleField<M, I, undefined> {
  return single(number, type.kind, undefined);
}

const emptyList: readonly never[] = Object.freeze([]);

/** `repeated(string(3))`. Numbers may come packed or not, and are written packed. */
export function repeated<V, I, Z>(field: SingleField<V, I, Z>): Field<readonly V[], readonly I[]> {
  const { number, kind } = field;
  const isPacked = kind.wireType === WireType.Varint;
  return {
    numbers: [number],
    initial: emptyList,
    read: (before, reader, _number, wireType) => {
      const list = before === emptyList ? [] : (before as V[]); // made by this function
      if (isPacked && wireType === WireType.LengthDelimited) {
        for (const end = reader.end(); reader.wire.pos < end;) {
          reader.countElement();
          list.push(kind.read(reader));
        }
        return list;
      }
      requireType(kind, wireType, number);
      reader.countElement();
      list.push(kind.read(reader));
      return list;
    },
    write: (writer, values) => {
      if (!isPacked) for (const value of values) writeTagged(writer, number, kind, value);
      else if (values.length > 0) {
        writer.tag(number, WireType.LengthDelimited).fork();
        for (const value of values) kind.write(writer, value);
        writer.join();
      }
    },
  };
}

const emptyMap: ReadonlyMap<string, never> = new Map<string, never>();

/** A map by string, declared by the field of its values: `map(bytes(10))` is `map<string, bytes> … = 10`. */
export function map<V, I, Z>(
  field: SingleField<V, I, Z>,
): Field<ReadonlyMap<string, V>, Iterable<readonly [string, I]>> {
  const { number, kind } = field;
  return {
    numbers: [number],
    initial: emptyMap,
    read: (before, reader, _number, wireType) => {
      requireType({ ...kind, wireType: WireType.LengthDelimited }, wireType, number);
      reader.countElement();
      const entries = before === emptyMap ? new Map<string, V>() : (before as Map<string, V>); // made by this function
      const { wire } = reader;
      let key = '';
      let value = kind.zero;
      for (const end = reader.end(); wire.pos < end;) {
        const start = wire.pos;
        const [part, partType] = wire.tag();
        if (part === 1) {
          requireType(stringKind, partType, part);
          key = stringKind.read(reader);
        } else if (part === 2) {
          requireType(kind, partType, part);
          value = kind.read(reader);
        } else reader.skip(start, partType);
      }
      entries.set(key, value);
      return entries;
    },
    write: (writer, entries) => {
      const sorted = [...entries].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      for (const [key, value] of sorted) {
        writer.tag(number, WireType.LengthDelimited).fork();
        writeTagged(writer, 1, stringKind, key);
        writeTagged(writer, 2, kind, value);
        writer.join();
      }
    },
  };
}

type Choices = Record<string, SingleField<unknown, unknown, unknown>>;
type ChoiceOf<C> = {
  [K in keyof C]: C[K] extends SingleField<infer V, never, unknown>
    ? { readonly kind: K; readonly value: V }
    : never;
}[keyof C];
type ChoiceInitOf<C> = {
  [K in keyof C]: C[K] extends SingleField<unknown, infer I, unknown>
    ? { readonly kind: K; readonly value: I }
    : never;
}[keyof C];

/** One of several fields, as `{ kind, value }`; undefined where none was sent. Zeros are sent too. */
export function oneof<C extends Choices>(choices: C): Field<ChoiceOf<C> | undefined, ChoiceInitOf<C>> {
  const byNumber = new Map(Object.entries(choices).map(([kind, field]) => [field.number, { kind, field }]));
  return {
    numbers: [...byNumber.keys()],
    initial: undefined,
    read: (_before, reader, number, wireType) => {
      const choice = byNumber.get(number);
      if (choice === undefined) throw new CodecError(`field ${number} is not one of these`);
      const value = choice.field.read(choice.field.initial, reader, number, wireType);
      return { kind: choice.kind, value } as ChoiceOf<C>; // as declared
    },
    write: (writer, { kind, value }) => {
      const field = choices[kind];
      if (field !== undefined) writeTagged(writer, field.number, field.kind, value);
    },
  };
}
