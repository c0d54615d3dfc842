// Turns a layer's tar stream into one that sqfstar makes the right overlayfs layer of (docs/adr/0003-layer-conversion.md).
// Data passes through untouched; headers are written anew. What is held back to the end: directories (attributes and
// `.wh..wh..opq` may come in any order) and whiteouts (an entry of the same name wins over its whiteout).

import { Transform, type TransformCallback } from 'node:stream';
import {
  buildEntry,
  checksumIsRight,
  emptyEntry,
  invalidHeader,
  isZeroBlock,
  paddedLength,
  parsePax,
  readNumber,
  readText,
  tarBlock,
  TarError,
  type TarEntry,
} from './tar-header';

/** By clean name, the number (from 0) of the last entry that has it. */
export type LastEntries = ReadonlyMap<string, number>;

export interface LayerTarOptions {
  /** From a scan of the same layer: earlier entries of a name are left out. */
  lastEntries?: LastEntries;
  /** Only find out the last entries: nothing is written. */
  scan?: boolean;
}

const maxExtensionBytes = 1024 * 1024;
const maxEntries = 5_000_000;
const maxNameBytes = 65_536;
const whiteoutPrefix = '.wh.';
const opaqueMarker = '.wh..wh..opq';
const keptRecords = /^(SCHILY\.xattr\.|GNU\.sparse\.)/;

/** What extended headers say of the entry after them. */
interface Extension {
  records: Map<string, Buffer>;
  longName: string | undefined;
  longLink: string | undefined;
}

export class LayerTar extends Transform {
  /** Filled while scanning. */
  readonly lastEntries = new Map<string, number>();
  /**
   * A name stands twice, and the last one counts: what was written is of no use, and a second pass with `lastEntries`
   * (from a scan) is needed. The rest of the stream is still read and checked.
   */
  repeated = false;
  /** Sum of the sizes of the layer's files. */
  contentBytes = 0;
  readonly #options: LayerTarOptions;
  #pending: Buffer = Buffer.alloc(0);
  #needed = tarBlock;
  #extensionHeader: { type: string; size: number } | undefined;
  #extension: Extension = { records: new Map(), longName: undefined, longLink: undefined };
  /** Header of an old GNU sparse file whose map goes on in blocks after it. */
  #inSparseMap: { size: number; keep: boolean } | undefined;
  #passBytes = 0;
  #skipBytes = 0;
  #zeroBlocks = 0;
  #ended = false;
  #count = 0;
  readonly #directories = new Map<string, TarEntry>();
  readonly #parents = new Set<string>();
  readonly #opaque = new Set<string>();
  readonly #names = new Set<string>();
  readonly #whiteouts = new Map<string, number>();

  constructor(options: LayerTarOptions = {}) {
    super({ readableHighWaterMark: 1 << 20, writableHighWaterMark: 1 << 20 });
    this.#options = options;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    try {
      this.#consume(chunk);
      done();
    } catch (error) {
      done(error as Error); // everything thrown here is an Error
    }
  }

  override _flush(done: TransformCallback): void {
    try {
      const cut = this.#pending.length > 0 || this.#passBytes > 0 || this.#skipBytes > 0;
      if (!this.#ended && (cut || this.#extensionHeader !== undefined || this.#inSparseMap !== undefined)) {
        throw new TarError('unexpected EOF');
      }
      if (this.#writes) this.#writeHeldBack();
      done();
    } catch (error) {
      done(error as Error);
    }
  }

  get #writes(): boolean {
    return this.#options.scan !== true && !this.repeated;
  }

  #consume(received: Buffer): void {
    let chunk = received;
    while (chunk.length > 0 && !this.#ended) {
      if (this.#passBytes > 0) {
        const part = chunk.subarray(0, this.#passBytes);
        if (this.#writes) this.push(part);
        this.#passBytes -= part.length;
        chunk = chunk.subarray(part.length);
      } else if (this.#skipBytes > 0) {
        const length = Math.min(this.#skipBytes, chunk.length);
        this.#skipBytes -= length;
        chunk = chunk.subarray(length);
      } else if (this.#pending.length === 0 && chunk.length >= this.#needed) {
        const block = chunk.subarray(0, this.#needed);
        chunk = chunk.subarray(this.#needed);
        this.#block(block);
      } else {
        const part = chunk.subarray(0, this.#needed - this.#pending.length);
        this.#pending = Buffer.concat([this.#pending, part]);
        chunk = chunk.subarray(part.length);
        if (this.#pending.length < this.#needed) return;
        const block = this.#pending;
        this.#pending = Buffer.alloc(0);
        this.#block(block);
      }
    }
  }

  #block(block: Buffer): void {
    if (this.#extensionHeader !== undefined) this.#endExtension(block);
    else if (this.#inSparseMap !== undefined) this.#sparseMapBlock(block);
    else if (isZeroBlock(block)) this.#zeroBlock();
    else this.#header(block);
  }

  /** Two end the archive; what comes behind them is padding. */
  #zeroBlock(): void {
    this.#zeroBlocks += 1;
    this.#ended = this.#zeroBlocks === 2;
  }

  #header(block: Buffer): void {
    this.#zeroBlocks = 0;
    if (!checksumIsRight(block)) throw invalidHeader();
    const type = block[156] === 0 ? '0' : String.fromCharCode(block[156] ?? 0);
    const size = readNumber(block, 124, 12);
    if (size < 0) throw invalidHeader();
    if (type === 'x' || type === 'g' || type === 'L' || type === 'K') {
      if (size > maxExtensionBytes) throw invalidHeader();
      if (size === 0) return;
      this.#extensionHeader = { type, size };
      this.#needed = paddedLength(size);
      return;
    }
    this.#entry(this.#parseEntry(block, type, size), block);
    this.#extension = { records: new Map(), longName: undefined, longLink: undefined };
  }

  #endExtension(block: Buffer): void {
    const { type, size } = this.#extensionHeader ?? { type: '', size: 0 };
    this.#extensionHeader = undefined;
    this.#needed = tarBlock;
    const body = block.subarray(0, size);
    if (type === 'x') this.#extension.records = parsePax(body);
    else if (type === 'L') this.#extension.longName = readText(body, 0, body.length);
    else if (type === 'K') this.#extension.longLink = readText(body, 0, body.length);
  }

  #parseEntry(block: Buffer, type: string, headerSize: number): TarEntry {
    const { records, longName, longLink } = this.#extension;
    const text = (key: string): string | undefined => records.get(key)?.toString('latin1');
    const count = (key: string, otherwise: number): number => {
      const value = text(key);
      if (value === undefined) return otherwise;
      const number = Number(value);
      if (!/^-?\d+(\.\d+)?$/.test(value) || !Number.isFinite(number)) throw invalidHeader();
      return Math.floor(number);
    };
    const isUstar = block.toString('latin1', 257, 263) === 'ustar\0';
    const prefix = isUstar ? readText(block, 345, 155) : '';
    const shortName = readText(block, 0, 100);
    const name =
      text('GNU.sparse.name') ??
      text('path') ??
      longName ??
      (prefix === '' ? shortName : `${prefix}/${shortName}`);
    if (name.length > maxNameBytes) throw invalidHeader();
    const size = count('size', headerSize);
    if (size < 0 || !Number.isSafeInteger(size)) throw invalidHeader();
    return {
      name,
      link: text('linkpath') ?? longLink ?? readText(block, 157, 100),
      type: type === '7' ? '0' : type,
      mode: readNumber(block, 100, 8) & 0o7777,
      uid: Math.max(0, count('uid', readNumber(block, 108, 8))),
      gid: Math.max(0, count('gid', readNumber(block, 116, 8))),
      size,
      mtime: Math.max(0, count('mtime', readNumber(block, 136, 12))),
      deviceMajor: readNumber(block, 329, 8),
      deviceMinor: readNumber(block, 337, 8),
      records: new Map([...records].filter(([key]) => keptRecords.test(key))),
    };
  }

  #entry(entry: TarEntry, block: Buffer): void {
    const number = this.#count;
    this.#count += 1;
    if (number >= maxEntries) throw new TarError(`the layer has more than ${maxEntries} entries`);
    const name = cleanName(entry.name);
    const hasData = entry.type === '0' || entry.type === 'S';
    if (!hasData && !'123456'.includes(entry.type))
      throw new TarError(`unhandled tar header type ${block[156] ?? 0}`);
    const dataBytes = hasData ? paddedLength(entry.size) : 0;
    const slash = name.lastIndexOf('/');
    const base = name.slice(slash + 1);
    const parent = slash < 0 ? '' : name.slice(0, slash);
    const keep = this.#isKept(entry, { name, base, parent, number });
    if (entry.type === 'S' && block[482] === 1) this.#inSparseMap = { size: entry.size, keep };
    else if (keep && this.#writes) this.#passBytes = dataBytes;
    else this.#skipBytes = dataBytes;
    if (!keep) return;
    this.contentBytes += entry.size;
    if (!this.#writes) return;
    if (entry.type === 'S') this.#writeSparse(name, entry, block);
    else
      this.push(
        buildEntry({ ...entry, name, link: entry.type === '1' ? cleanName(entry.link) : entry.link }),
      );
  }

  /** Takes note of what is held back; true for an entry that is to be written now. */
  #isKept(entry: TarEntry, at: { name: string; base: string; parent: string; number: number }): boolean {
    const { name, base, parent, number } = at;
    if (base.startsWith(whiteoutPrefix)) {
      if (base === opaqueMarker) this.#opaque.add(parent);
      else if (!base.startsWith('.wh..wh.')) this.#addWhiteout(parent, base, entry.mtime);
      this.#addParents(parent);
      return false;
    }
    if (entry.type === '5') {
      this.#directories.set(name, entry);
      this.#addParents(name);
      return false;
    }
    if (name === '') throw invalidHeader();
    this.#addParents(parent);
    if (this.#options.scan === true) {
      this.lastEntries.set(name, number);
      return false;
    }
    const last = this.#options.lastEntries?.get(name);
    if (last !== undefined) return last === number;
    if (this.#names.has(name)) this.repeated = true;
    this.#names.add(name);
    return true;
  }

  #addWhiteout(parent: string, base: string, mtime: number): void {
    const hidden = base.slice(whiteoutPrefix.length);
    if (hidden === '' || hidden === '.' || hidden === '..') throw invalidHeader();
    this.#whiteouts.set(parent === '' ? hidden : `${parent}/${hidden}`, mtime);
  }

  #addParents(directory: string): void {
    for (let name = directory; name !== '' && !this.#parents.has(name);) {
      this.#parents.add(name);
      name = name.slice(0, Math.max(0, name.lastIndexOf('/')));
    }
  }

  /** An old GNU sparse file keeps its header: the map is part of it. Only the name may need another form. */
  #writeSparse(name: string, entry: TarEntry, block: Buffer): void {
    const kept = Buffer.from(block);
    if (name.length > 100) {
      const body = Buffer.from(`${name}\0`, 'latin1');
      this.push(buildEntry(emptyEntry({ name: '././@LongLink', type: 'L', size: body.length })));
      this.push(Buffer.concat([body, Buffer.alloc(paddedLength(body.length) - body.length)]));
    } else {
      kept.fill(0, 0, 100);
      kept.write(name, 0, 'latin1');
    }
    kept.write(`${entry.mtime.toString(8).padStart(11, '0')}\0`, 136, 'latin1');
    kept.fill(32, 148, 156);
    let sum = 0;
    for (const byte of kept) sum += byte;
    kept.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    this.push(kept);
  }

  #sparseMapBlock(block: Buffer): void {
    const map = this.#inSparseMap;
    if (map === undefined) return;
    const write = map.keep && this.#writes;
    if (write) this.push(Buffer.from(block));
    if (block[504] === 1) return;
    this.#inSparseMap = undefined;
    if (write) this.#passBytes = paddedLength(map.size);
    else this.#skipBytes = paddedLength(map.size);
  }

  #writeHeldBack(): void {
    const exists = (name: string): boolean =>
      this.#names.has(name) || this.#parents.has(name) || this.#options.lastEntries?.has(name) === true;
    for (const [name, mtime] of this.#whiteouts) {
      if (!exists(name)) this.push(buildEntry(emptyEntry({ name, type: '3', mode: 0, mtime })));
    }
    const opaqueMark = new Map([['SCHILY.xattr.trusted.overlay.opaque', Buffer.from('y')]]);
    for (const name of [...this.#parents].sort()) {
      const entry = this.#directories.get(name) ?? emptyEntry({ mode: 0o755 });
      const records = new Map([...entry.records, ...(this.#opaque.has(name) ? opaqueMark : [])]);
      this.push(buildEntry({ ...entry, name: `${name}/`, link: '', type: '5', size: 0, records }));
    }
    this.push(Buffer.alloc(2 * tarBlock));
  }
}

/** The name below the layer's root: no leading `/` or `./`, no trailing slash. Throws for one that leads out of it. */
function cleanName(name: string): string {
  if (!/(^|\/)\.{0,2}(\/|$)/.test(name)) return name;
  const parts: string[] = [];
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') throw new TarError(`invalid tar entry: "${name}" leads out of the layer`);
    parts.push(part);
  }
  return parts.join('/');
}
