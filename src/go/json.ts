// go/: how Go reads and prints values, because clients see it.
//
// Reads one JSON value as Go's encoding/json does: the same errors, and anything after the value is left alone.
// Only the slow path: JSON.parse is tried first.

import { goQuote } from './quote';

/** A syntax error in Go's wording. `eof` tells "nothing there" from "cut off". */
export class JsonSyntaxError extends Error {
  override readonly name = 'JsonSyntaxError';
  readonly eof: 'none' | 'empty' | 'truncated';

  constructor(message: string, eof: 'none' | 'empty' | 'truncated' = 'none') {
    super(message);
    this.eof = eof;
  }
}

const maxDepth = 10_000;
const whitespace = /[ \t\r\n]*/y;
// A whole string or number; what does not match is looked at again to find the offending character.
const wholeString = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const wholeNumber = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

/** Go's quoting of a character in an error. */
function quoted(character: string): string {
  if (character === "'") return String.raw`'\''`;
  if (character === '"') return `'"'`;
  return `'${goQuote(character).slice(1, -1)}'`;
}

class Scanner {
  private position = 0;
  private readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** Returns the value's end. Iterative, so that deep nesting costs no stack. */
  scan(): number {
    const closers: string[] = [];
    this.skipWhitespace();
    if (this.position === this.text.length) throw new JsonSyntaxError('EOF', 'empty');
    for (;;) {
      const opened = this.value();
      if (opened !== undefined) {
        closers.push(opened);
        if (closers.length > maxDepth) this.tooDeep();
        this.skipWhitespace();
        if (this.peek() !== opened) {
          if (opened === '}') this.key();
          continue;
        }
        closers.pop();
        this.position += 1;
      }
      if (!this.nextValue(closers)) return this.position;
    }
  }

  /** For json.Unmarshal, which JSON.parse has refused: always throws. */
  scanWhole(): never {
    try {
      this.scan();
    } catch (error) {
      if (error instanceof JsonSyntaxError && error.eof !== 'none') {
        throw new JsonSyntaxError('unexpected end of JSON input', 'truncated');
      }
      throw error;
    }
    this.skipWhitespace();
    return this.fail('after top-level value');
  }

  /** After a value: moves to the next one of the enclosing arrays and objects; false at the end of the outermost. */
  private nextValue(closers: string[]): boolean {
    for (;;) {
      const closer = closers.at(-1);
      if (closer === undefined) return false;
      this.skipWhitespace();
      const character = this.need();
      if (character === ',') {
        this.position += 1;
        this.skipWhitespace();
        if (closer === '}') this.key();
        return true;
      }
      if (character !== closer) {
        this.fail(closer === '}' ? 'after object key:value pair' : 'after array element');
      }
      this.position += 1;
      closers.pop();
    }
  }

  /** Reads a scalar, or the opening of an array or object, whose closing character is returned. */
  private value(): string | undefined {
    this.skipWhitespace();
    const character = this.need();
    switch (character) {
      case '{':
        this.position += 1;
        return '}';
      case '[':
        this.position += 1;
        return ']';
      case '"':
        this.string();
        return undefined;
      case 't':
        this.literal('true');
        return undefined;
      case 'f':
        this.literal('false');
        return undefined;
      case 'n':
        this.literal('null');
        return undefined;
      default:
        if (character === '-' || (character >= '0' && character <= '9')) this.number();
        else this.fail('looking for beginning of value');
        return undefined;
    }
  }

  private key(): void {
    if (this.need() !== '"') this.fail('looking for beginning of object key string');
    this.string();
    this.skipWhitespace();
    if (this.need() !== ':') this.fail('after object key');
    this.position += 1;
  }

  private literal(word: string): void {
    for (let index = 1; index < word.length; index += 1) {
      this.position += 1;
      const expected = word.charAt(index);
      if (this.need() !== expected) this.fail(`in literal ${word} (expecting '${expected}')`);
    }
    this.position += 1;
  }

  private string(): void {
    if (this.match(wholeString)) return;
    for (;;) {
      this.position += 1;
      const character = this.need();
      if (character < ' ') this.fail('in string literal');
      if (character !== '\\') continue;
      this.position += 1;
      const escape = this.need();
      if (!'"\\/bfnrtu'.includes(escape)) this.fail('in string escape code');
      if (escape !== 'u') continue;
      for (let digit = 0; digit < 4; digit += 1) {
        this.position += 1;
        if (!/[0-9a-fA-F]/.test(this.need())) this.fail(String.raw`in \u hexadecimal character escape`);
      }
    }
  }

  private number(): void {
    if (!this.match(wholeNumber)) {
      this.position += 1; // only a lone minus does not match
      this.need();
      this.fail('in numeric literal');
    }
    const next = this.peek();
    if (next === '.') this.afterSign(1, 'after decimal point in numeric literal');
    if (next === 'e' || next === 'E') {
      const signed = '+-'.includes(this.text.charAt(this.position + 1) || ' ');
      this.afterSign(signed ? 2 : 1, 'in exponent of numeric literal');
    }
  }

  private afterSign(length: number, where: string): never {
    this.position += length;
    this.need();
    this.fail(where);
  }

  private match(pattern: RegExp): boolean {
    pattern.lastIndex = this.position;
    if (!pattern.test(this.text)) return false;
    this.position = pattern.lastIndex;
    return true;
  }

  private skipWhitespace(): void {
    this.match(whitespace);
  }

  private peek(): string {
    return this.text.charAt(this.position);
  }

  private need(): string {
    if (this.position >= this.text.length) throw new JsonSyntaxError('unexpected EOF', 'truncated');
    return this.peek();
  }

  /** Behind the character that opened too much. */
  private tooDeep(): never {
    this.position -= 1;
    this.fail('exceeded max depth');
  }

  private fail(where: string): never {
    const codePoint = String.fromCodePoint(this.text.codePointAt(this.position) ?? 0);
    // Go names the first byte of a character beyond ASCII
    const character = String.fromCharCode(Buffer.from(codePoint)[0] ?? 0);
    throw new JsonSyntaxError(`invalid character ${quoted(character)} ${where}`);
  }
}

/** The first value in `text`, as Go's json.Decoder reads it. Throws JsonSyntaxError. */
export function parseFirstValue(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return parse(text.slice(0, new Scanner(text).scan()));
  }
}

/** The only value in `text`, as Go's json.Unmarshal reads it. Throws JsonSyntaxError. */
export function parseWholeValue(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return new Scanner(text).scanWhole();
  }
}

/** Half of a surrogate pair, which only an escape can bring into a value, is no character to Go. */
function parse(text: string): unknown {
  const value: unknown = JSON.parse(text);
  return /\\u[dD][89a-fA-F]/.test(text) ? wellFormed(value) : value;
}

function wellFormed(value: unknown): unknown {
  if (typeof value === 'string') return value.replace(/\p{Surrogate}/gu, '\ufffd');
  if (Array.isArray(value)) return value.map(wellFormed);
  if (typeof value !== 'object' || value === null) return value;
  // fromEntries defines properties: a key `__proto__` is a key like any other
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [wellFormed(key), wellFormed(member)]),
  );
}
