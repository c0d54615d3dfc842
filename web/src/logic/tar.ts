// The archives that Docker's API speaks, as far as a page needs them: one file in, the names and one file out.

const block = 512;

export interface TarEntry {
  name: string;
  size: number;
  /** Permission bits. */
  mode: number;
  /** Seconds since the epoch. */
  mtime: number;
  type: 'file' | 'directory' | 'symlink' | 'other';
  linkTarget: string;
}

/** Header and padding around a regular file of root's: the archive is header, file, tail. Throws for a name that does not fit. */
export function tarAround(
  name: string,
  size: number,
  mtime: number,
): { header: Uint8Array<ArrayBuffer>; tail: Uint8Array<ArrayBuffer> } {
  const encoded = new TextEncoder().encode(name);
  const parts: Uint8Array[] = [];
  if (encoded.length > 100 || size >= 8 ** 11) {
    // POSIX's extended header: names and sizes of any length
    const records = paxRecord('path', name) + paxRecord('size', String(size));
    const data = new TextEncoder().encode(records);
    parts.push(headerOf(new TextEncoder().encode('pax'), data.length, mtime, 'x'), padded(data));
  }
  parts.push(headerOf(encoded.slice(0, 100), size % 8 ** 11, mtime, '0'));
  const header = concat(parts);
  return { header, tail: new Uint8Array(((block - (size % block)) % block) + 2 * block) };
}

function paxRecord(key: string, value: string): string {
  const body = ` ${key}=${value}\n`;
  const bodyLength = new TextEncoder().encode(body).length;
  let length = bodyLength + 1;
  while (String(length).length + bodyLength !== length) length = String(length).length + bodyLength;
  return `${length}${body}`;
}

function headerOf(name: Uint8Array, size: number, mtime: number, type: string): Uint8Array {
  const header = new Uint8Array(block);
  const put = (text: string, at: number): void => header.set(new TextEncoder().encode(text), at);
  const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, '0')}\0`;
  header.set(name, 0);
  put(octal(0o644, 7), 100);
  put(octal(0, 7), 108);
  put(octal(0, 7), 116);
  put(octal(size, 11), 124);
  put(octal(Math.max(0, Math.floor(mtime)), 11), 136);
  put('        ', 148);
  put(type, 156);
  put('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

function padded(data: Uint8Array): Uint8Array {
  const all = new Uint8Array(Math.ceil(data.length / block) * block);
  all.set(data);
  return all;
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Reads an archive as it comes. `onData` gets the contents of files, in pieces. */
export class TarReader {
  #rest: Uint8Array = new Uint8Array(0);
  #left = 0;
  #padding = 0;
  #special: { type: string; parts: Uint8Array[] } | undefined;
  #long: { name?: string; link?: string; size?: number } = {};
  readonly #onEntry: (entry: TarEntry) => void;
  readonly #onData: (data: Uint8Array) => void;

  constructor(onEntry: (entry: TarEntry) => void, onData: (data: Uint8Array) => void = () => undefined) {
    this.#onEntry = onEntry;
    this.#onData = onData;
  }

  read(chunk: Uint8Array): void {
    let all: Uint8Array = this.#rest.length === 0 ? chunk : concat([this.#rest, chunk]);
    for (;;) {
      if (this.#left > 0) {
        const part = all.subarray(0, Math.min(this.#left, all.length));
        if (this.#special === undefined) {
          if (part.length > 0) this.#onData(part);
        } else this.#special.parts.push(part.slice());
        this.#left -= part.length;
        all = all.subarray(part.length);
        if (this.#left > 0) break;
        this.#endSpecial();
      }
      if (this.#padding > 0) {
        const skipped = Math.min(this.#padding, all.length);
        this.#padding -= skipped;
        all = all.subarray(skipped);
        if (this.#padding > 0) break;
      }
      if (all.length < block) break;
      this.#header(all.subarray(0, block));
      all = all.subarray(block);
    }
    this.#rest = all.slice();
  }

  #header(header: Uint8Array): void {
    if (header.every((byte) => byte === 0)) return;
    const text = (at: number, length: number): string => {
      const field = header.subarray(at, at + length);
      const end = field.indexOf(0);
      return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
    };
    const number = (at: number, length: number): number => {
      if (((header[at] ?? 0) & 0x80) === 0) return parseInt(text(at, length).trim(), 8) || 0;
      return header.subarray(at + 1, at + length).reduce((sum, byte) => sum * 256 + byte, 0);
    };
    const type = text(156, 1) || '0';
    const size = this.#long.size ?? number(124, 12);
    const hasData = !/[1-6]/.test(type);
    this.#left = hasData ? size : 0;
    this.#padding = hasData ? (block - (size % block)) % block : 0;
    if (/[xgLK]/.test(type)) {
      // metadata is small; what says otherwise is no archive
      if (size > 2 ** 20) throw new Error('this archive has a header that is too large');
      this.#special = { type, parts: [] };
      if (size === 0) this.#endSpecial();
      return;
    }
    const prefix = text(257, 5) === 'ustar' && text(263, 2) === '00' ? text(345, 155) : '';
    const name = this.#long.name ?? (prefix === '' ? text(0, 100) : `${prefix}/${text(0, 100)}`);
    const kinds: Record<string, TarEntry['type']> = { '0': 'file', '5': 'directory', '2': 'symlink' };
    this.#onEntry({
      name,
      size: hasData ? size : 0,
      mode: number(100, 8) & 0o7777,
      mtime: number(136, 12),
      type: kinds[type] ?? 'other',
      linkTarget: this.#long.link ?? text(157, 100),
    });
    this.#long = {};
  }

  #endSpecial(): void {
    if (this.#special === undefined) return;
    const { type, parts } = this.#special;
    const text = new TextDecoder().decode(concat(parts));
    this.#special = undefined;
    if (type === 'L') this.#long.name = text.replace(/\0.*$/s, '');
    else if (type === 'K') this.#long.link = text.replace(/\0.*$/s, '');
    else if (type === 'x') {
      for (const [, key, value = ''] of text.matchAll(/\d+ ([^=]+)=([^\n]*)\n/g)) {
        if (key === 'path') this.#long.name = value;
        else if (key === 'linkpath') this.#long.link = value;
        else if (key === 'size') this.#long.size = Number(value);
      }
    }
  }
}
