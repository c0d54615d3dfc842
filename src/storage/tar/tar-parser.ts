// tar/: tar as bytes.
//
// Reads a tar as it comes in: headers with what extends them become entries, data is handed on as slices of what came.
// What is valid, and the words for what is not, are those of Go's archive/tar, since Docker's users see them.

import {
  checksumIsRight,
  invalidHeader,
  isZeroBlock,
  paddedLength,
  parsePax,
  readNumber,
  readText,
  tarBlock,
  TarError,
  type SparseMap,
  type TarEntry,
} from './tar-header';
import { checkedSparseMap, oldRealSize, readOldParts, readPaxSparse, SparseMapReader } from './tar-sparse';

export interface TarHandler {
  /** The answer tells whether the entry's data is wanted. `offset` is where it begins in the archive. */
  entry(entry: TarEntry, offset: number): boolean;
  /** A part of the wanted data, which ends with the padding to a whole block. */
  data(chunk: Buffer): void;
}

const maxExtensionBytes = 1024 * 1024;
/** Without data, whatever size they claim. */
const headerOnlyTypes = '123456';

/** What extended headers say of the entry after them. */
interface Extension {
  records: [string, Buffer][];
  longName: string | undefined;
  longLink: string | undefined;
}

/** An entry whose sparse map goes on in the blocks after its header. */
interface OpenSparse {
  entry: TarEntry;
  realSize: number;
  old: SparseMap['parts'][number][] | undefined;
  reader: SparseMapReader;
}

/** Give it the archive with `write`, then call `end`. Both throw TarError. */
export class TarParser {
  readonly #handler: TarHandler;
  readonly #mayEndInPadding: boolean;
  /** A block that came in pieces. */
  #pieces: Buffer[] = [];
  #piecesBytes = 0;
  #needed = tarBlock;
  #offset = 0;
  #extensionHeader: { type: string; size: number } | undefined;
  #extension: Extension = noExtension();
  #sparse: OpenSparse | undefined;
  #dataBytes = 0;
  /** Of the data, at its end. */
  #paddingBytes = 0;
  #dataWanted = false;
  #sawZeroBlock = false;
  #ended = false;

  /** `mayEndInPadding`: as Go reads, which the docker CLI's build contexts count on. */
  constructor(handler: TarHandler, options: { mayEndInPadding?: boolean } = {}) {
    this.#handler = handler;
    this.#mayEndInPadding = options.mayEndInPadding ?? false;
  }

  write(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.#ended) {
      const left = chunk.length - at;
      if (this.#dataBytes > 0) {
        const length = Math.min(this.#dataBytes, left);
        if (this.#dataWanted) this.#handler.data(chunk.subarray(at, at + length));
        this.#dataBytes -= length;
        this.#offset += length;
        at += length;
        continue;
      }
      const length = Math.min(this.#needed - this.#piecesBytes, left);
      const piece = chunk.subarray(at, at + length);
      at += length;
      this.#offset += length;
      this.#piecesBytes += length;
      if (this.#piecesBytes < this.#needed) {
        this.#pieces.push(piece);
        return;
      }
      const block = this.#pieces.length === 0 ? piece : Buffer.concat([...this.#pieces, piece]);
      this.#pieces = [];
      this.#piecesBytes = 0;
      this.#block(block);
    }
  }

  /** The archive ends here. */
  end(): void {
    const inside =
      this.#piecesBytes > 0 ||
      this.#dataBytes > this.#paddingBytes ||
      this.#extensionHeader !== undefined ||
      this.#sparse !== undefined;
    if (!this.#ended && inside) throw new TarError('unexpected EOF');
  }

  #block(block: Buffer): void {
    if (this.#extensionHeader !== undefined) this.#endExtension(block, this.#extensionHeader);
    else if (this.#sparse !== undefined) this.#sparseBlock(block, this.#sparse);
    else if (isZeroBlock(block)) {
      this.#ended = this.#sawZeroBlock; // two end the archive; what comes behind them is padding
      this.#sawZeroBlock = true;
    } else this.#header(block);
  }

  #header(block: Buffer): void {
    if (this.#sawZeroBlock || !checksumIsRight(block)) throw invalidHeader();
    const type = String.fromCharCode(block[156] ?? 0);
    if (type === 'S' && block.toString('latin1', 257, 265) !== 'ustar  \0') throw invalidHeader();
    const size = readNumber(block, 124, 12);
    if (size < 0) throw invalidHeader();
    if (type === 'x' || type === 'g' || type === 'L' || type === 'K') {
      if (size > maxExtensionBytes) throw new TarError('archive/tar: header field too long');
      this.#extensionHeader = { type, size };
      if (size === 0) this.#endExtension(block, this.#extensionHeader);
      else this.#needed = paddedLength(size);
      return;
    }
    const extension = this.#extension;
    this.#extension = noExtension();
    const entry = readEntry(block, extension, type, size);
    const pax = type === 'S' ? undefined : readPaxSparse(extension.records);
    if (type === 'S') {
      const { parts, continues } = readOldParts(block, true);
      const open = { entry, realSize: oldRealSize(block), old: parts, reader: new SparseMapReader() };
      entry.type = '0';
      if (continues) this.#sparse = open;
      else this.#sparseEntry(open, parts, entry.size);
    } else if (pax !== undefined && entry.type === '0') {
      const open = { entry, realSize: pax.realSize, old: undefined, reader: new SparseMapReader() };
      if (pax.parts === 'before data') this.#sparse = open;
      else this.#sparseEntry(open, pax.parts, entry.size);
    } else this.#entry(entry);
  }

  #endExtension(block: Buffer, { type, size }: { type: string; size: number }): void {
    this.#extensionHeader = undefined;
    this.#needed = tarBlock;
    const body = block.subarray(0, size);
    const text = (): string | undefined => readText(body, 0, body.length) || undefined;
    if (type === 'x') this.#extension.records = parsePax(body);
    else if (type === 'L') this.#extension.longName = text();
    else if (type === 'K') this.#extension.longLink = text();
    else parsePax(body); // a global header has to be right; nothing is done with it
  }

  #sparseBlock(block: Buffer, open: OpenSparse): void {
    if (open.old === undefined) {
      const parts = open.reader.add(block);
      if (open.reader.bytes > open.entry.size) throw invalidHeader();
      if (parts !== undefined) this.#sparseEntry(open, parts, open.entry.size - open.reader.bytes);
      return;
    }
    const { parts, continues } = readOldParts(block, false);
    open.old.push(...parts);
    if (open.old.length * 2 > maxExtensionBytes / 8) throw new TarError('archive/tar: header field too long');
    if (!continues) this.#sparseEntry(open, open.old, open.entry.size);
  }

  #sparseEntry(open: OpenSparse, parts: SparseMap['parts'], size: number): void {
    this.#sparse = undefined;
    this.#entry({ ...open.entry, size, sparse: checkedSparseMap(open.realSize, parts, size) });
  }

  #entry(entry: TarEntry): void {
    this.#dataBytes = paddedLength(entry.size);
    this.#paddingBytes = this.#mayEndInPadding ? this.#dataBytes - entry.size : 0;
    this.#dataWanted = this.#handler.entry(entry, this.#offset);
  }
}

function noExtension(): Extension {
  return { records: [], longName: undefined, longLink: undefined };
}

function readEntry(block: Buffer, extension: Extension, headerType: string, headerSize: number): TarEntry {
  const records = new Map(extension.records);
  // An empty value takes a record back.
  const text = (key: string): string | undefined => {
    const value = records.get(key);
    return value === undefined || value.length === 0 ? undefined : value.toString('latin1');
  };
  const count = (key: string, otherwise: number): number => {
    const value = text(key);
    if (value === undefined) return otherwise;
    if (!/^-?\d{1,16}(\.\d*)?$/.test(value)) throw invalidHeader();
    return Math.floor(Number(value));
  };
  for (const key of ['atime', 'ctime']) count(key, 0); // only have to be right
  const name = text('GNU.sparse.name') ?? extension.longName ?? text('path') ?? headerName(block);
  // Go: a plain file of the oldest format whose name ends in a slash is a directory.
  const type = headerType !== '\0' ? headerType : name.endsWith('/') ? '5' : '0';
  const size = count('size', headerSize);
  if (size < 0 || !Number.isSafeInteger(size)) throw invalidHeader();
  const isPosix = block.toString('latin1', 257, 262) === 'ustar';
  return {
    name,
    link: extension.longLink ?? text('linkpath') ?? readText(block, 157, 100),
    type,
    mode: readNumber(block, 100, 8) & 0o7777,
    uid: count('uid', readNumber(block, 108, 8)),
    gid: count('gid', readNumber(block, 116, 8)),
    size: headerOnlyTypes.includes(type) ? 0 : size,
    mtime: count('mtime', readNumber(block, 136, 12)),
    deviceMajor: isPosix ? readNumber(block, 329, 8) : 0,
    deviceMinor: isPosix ? readNumber(block, 337, 8) : 0,
    sparse: undefined,
    records: new Map(
      [...records].filter(([key, value]) => key.startsWith('SCHILY.xattr.') && value.length > 0),
    ),
    asRead: {
      modeField: readNumber(block, 100, 8),
      userName: text('uname') ?? (isPosix ? readText(block, 265, 32) : ''),
      groupName: text('gname') ?? (isPosix ? readText(block, 297, 32) : ''),
    },
  };
}

/** The name field, with its prefix in the POSIX formats (GNU's uses those bytes otherwise). */
function headerName(block: Buffer): string {
  const name = readText(block, 0, 100);
  if (block.toString('latin1', 257, 263) !== 'ustar\0') return name;
  const isStar = block.toString('latin1', 508, 512) === 'tar\0';
  const prefix = readText(block, 345, isStar ? 131 : 155);
  return prefix === '' ? name : `${prefix}/${name}`;
}
