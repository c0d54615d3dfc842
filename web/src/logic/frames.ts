// What streams are made of: Docker's frames of eight bytes header, lines of text, JSON objects one after the other.

export type StreamName = 'stdout' | 'stderr';

/** Takes frames apart as they come. With a terminal there are none: everything is stdout. */
export class FrameReader {
  #rest = new Uint8Array(0);
  readonly #terminal: boolean;

  constructor(terminal: boolean) {
    this.#terminal = terminal;
  }

  *read(chunk: Uint8Array): Generator<{ stream: StreamName; data: Uint8Array }, void, undefined> {
    if (this.#terminal) {
      yield { stream: 'stdout', data: chunk };
      return;
    }
    let all = joined(this.#rest, chunk);
    while (all.length >= 8) {
      const length = new DataView(all.buffer, all.byteOffset, 8).getUint32(4);
      if (all.length < 8 + length) break;
      yield { stream: all[0] === 2 ? 'stderr' : 'stdout', data: all.subarray(8, 8 + length) };
      all = all.subarray(8 + length);
    }
    this.#rest = all.slice();
  }
}

function joined(left: Uint8Array, right: Uint8Array): Uint8Array {
  if (left.length === 0) return right;
  const all = new Uint8Array(left.length + right.length);
  all.set(left);
  all.set(right, left.length);
  return all;
}

/** Lines of text, without their ends. A line of more than `longest` characters comes in pieces. */
export class LineReader {
  readonly #decoder = new TextDecoder();
  readonly #longest: number;
  #rest = '';

  constructor(longest = 32_768) {
    this.#longest = longest;
  }

  read(data: Uint8Array): string[] {
    const lines = (this.#rest + this.#decoder.decode(data, { stream: true })).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > this.#longest) {
      lines.push(this.#rest);
      this.#rest = '';
    }
    return lines;
  }

  /** What came without an end. */
  end(): string[] {
    const rest = this.#rest + this.#decoder.decode();
    this.#rest = '';
    return rest === '' ? [] : [rest];
  }
}
