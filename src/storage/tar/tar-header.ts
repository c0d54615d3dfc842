// Tar headers at the level of bytes. Names are latin1 strings: one character a byte, so that nothing is lost.

/** Bytes of a block. */
export const tarBlock = 512;

export class TarError extends Error {
  override readonly name = 'TarError';
}

/** Docker's (Go's) words for anything that is not a tar header. */
export function invalidHeader(): TarError {
  return new TarError('archive/tar: invalid tar header');
}

export function paddedLength(size: number): number {
  return Math.ceil(size / tarBlock) * tarBlock;
}

export function isZeroBlock(block: Buffer): boolean {
  return block[0] === 0 && block.equals(zeroBlock);
}
const zeroBlock = Buffer.alloc(tarBlock);

/** Octal text, or base 256 when the first bit is set (GNU). Throws for what is neither, or too large to count with. */
export function readNumber(block: Buffer, offset: number, length: number): number {
  const first = block[offset] ?? 0;
  if ((first & 0x80) !== 0) {
    let value = (first & 0x40) !== 0 ? -1n : 0n;
    for (let i = 0; i < length; i += 1) {
      const byte = BigInt(i === 0 ? ((first & 0x40) !== 0 ? first : first & 0x7f) : (block[offset + i] ?? 0));
      value = i === 0 && value < 0n ? byte - 256n : value * 256n + byte;
    }
    const number = Number(value);
    if (!Number.isSafeInteger(number)) throw invalidHeader();
    return number;
  }
  const [text = ''] = block
    .toString('latin1', offset, offset + length)
    .replace(/^[\0 ]+/, '')
    .replace(/[\0 ]+$/, '')
    .split('\0', 1);
  if (text === '') return 0;
  if (!/^[0-7]+$/.test(text)) throw invalidHeader();
  return parseInt(text, 8);
}

export function readText(block: Buffer, offset: number, length: number): string {
  const end = block.indexOf(0, offset);
  return block.toString('latin1', offset, end < 0 || end > offset + length ? offset + length : end);
}

/** Both sums that tars are found with: of unsigned and of signed bytes. */
export function checksumIsRight(block: Buffer): boolean {
  const wanted = readNumber(block, 148, 8);
  let sum = 8 * 0x20;
  let high = 0;
  for (let i = 0; i < tarBlock; i += 1) {
    if (i === 148) i = 156;
    const byte = block[i] ?? 0;
    sum += byte;
    if (byte > 127) high += 1;
  }
  return wanted === sum || wanted === sum - 256 * high;
}

/** Records that become C strings: a zero byte in one would make two names of it. */
const textRecords = new Set(['path', 'linkpath', 'uname', 'gname', 'GNU.sparse.name']);

/**
 * PAX records (POSIX pax, "pax Extended Header"): `length key=value\n`, in order, since GNU's first sparse form repeats
 * a key. Throws for anything else.
 */
export function parsePax(body: Buffer): [string, Buffer][] {
  const records: [string, Buffer][] = [];
  let at = 0;
  while (at < body.length) {
    const space = body.indexOf(0x20, at);
    const lengthText = space < 0 || space > at + 9 ? '' : body.toString('latin1', at, space);
    const end = /^\d+$/.test(lengthText) ? at + Number(lengthText) : 0;
    const equals = body.indexOf(0x3d, space);
    if (end > body.length || equals <= space + 1 || equals >= end || body[end - 1] !== 0x0a) {
      throw invalidHeader();
    }
    const key = body.toString('latin1', space + 1, equals);
    const value = Buffer.from(body.subarray(equals + 1, end - 1));
    if (key.includes('\0') || (textRecords.has(key) && value.includes(0))) throw invalidHeader();
    records.push([key, value]);
    at = end;
  }
  return records;
}

export function buildPax(records: ReadonlyMap<string, Buffer>): Buffer {
  const parts: Buffer[] = [];
  for (const [key, value] of records) {
    const body = key.length + value.length + 3;
    let length = body + String(body).length;
    if (String(length).length !== String(body).length) length = body + String(length).length;
    parts.push(Buffer.from(`${length} ${key}=`, 'latin1'), value, Buffer.from('\n'));
  }
  return Buffer.concat(parts);
}

/** What a header says, after the extended headers before it were applied. */
export interface TarEntry {
  /** As it stands in the archive. */
  name: string;
  link: string;
  /** `0` file, `1` hard link, `2` symbolic link, `3` and `4` devices, `5` directory, `6` FIFO, others as they are. */
  type: string;
  mode: number;
  uid: number;
  gid: number;
  /** Bytes of data that follow the header; of a sparse file, those of its parts that are not holes. */
  size: number;
  /** Whole seconds. */
  mtime: number;
  deviceMajor: number;
  deviceMinor: number;
  sparse: SparseMap | undefined;
  /** PAX records that are kept as they are: extended attributes. */
  records: Map<string, Buffer>;
  /** As read: what Docker's checksums of build contexts count besides; headers are written without. */
  asRead?: { modeField: number; userName: string; groupName: string };
}

/** Where the data of a sparse file belongs. */
export interface SparseMap {
  /** With the holes. */
  realSize: number;
  parts: readonly { offset: number; length: number }[];
}

const maxOctal8 = 0o7777777;
const maxOctal12 = 0o77777777777;

/** Header block(s) of an entry in canonical form: what does not fit the ustar fields stands in PAX records. */
export function buildEntry(entry: TarEntry): Buffer {
  const pax = new Map(entry.records);
  const setText = (key: string, text: string, size: number): string => {
    if (text.length > size || !isAscii(text)) pax.set(key, Buffer.from(text, 'latin1'));
    return text.slice(0, size);
  };
  const setNumber = (key: string, value: number, limit: number): number => {
    if (value <= limit) return value;
    pax.set(key, Buffer.from(String(value)));
    return 0;
  };
  const parts: Buffer[] = [];
  let link = entry.link;
  if (entry.type === '2' && (link.length > 100 || !isAscii(link))) {
    // squashfs-tools 4.5 takes leading dots off a symbolic link's target in a PAX record, but not in GNU's form.
    const body = Buffer.from(`${link}\0`, 'latin1');
    parts.push(
      buildHeader({ ...blank, name: '././@LongLink', type: 'K', size: body.length }),
      body,
      padding(body.length),
    );
    link = link.slice(0, 100);
  } else {
    link = setText('linkpath', link, 100);
  }
  const header = buildHeader({
    ...entry,
    name: pax.has('path') ? entry.name.slice(0, 100) : setText('path', entry.name, 100),
    link,
    uid: setNumber('uid', entry.uid, maxOctal8),
    gid: setNumber('gid', entry.gid, maxOctal8),
    size: setNumber('size', entry.size, maxOctal12),
    mtime: setNumber('mtime', entry.mtime, maxOctal12),
  });
  if (pax.size > 0) {
    const body = buildPax(pax);
    parts.unshift(
      buildHeader({ ...blank, name: 'PaxHeaders/x', type: 'x', size: body.length }),
      body,
      padding(body.length),
    );
  }
  return Buffer.concat([...parts, header]);
}

const blank: TarEntry = {
  name: '',
  link: '',
  type: '0',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0,
  deviceMajor: 0,
  deviceMinor: 0,
  sparse: undefined,
  records: new Map(),
};

export function emptyEntry(changes: Partial<TarEntry>): TarEntry {
  return { ...blank, records: new Map(), ...changes };
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) if (text.charCodeAt(i) > 126) return false;
  return true;
}

/** What follows data of so many bytes, up to a whole block. */
export function padding(length: number): Buffer {
  return Buffer.alloc(paddedLength(length) - length);
}

function buildHeader(entry: TarEntry): Buffer {
  const block = Buffer.alloc(tarBlock);
  const octal = (value: number, offset: number, length: number): void => {
    block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, offset, 'latin1');
  };
  block.write(entry.name, 0, 100, 'latin1');
  octal(entry.mode & 0o7777, 100, 8);
  octal(entry.uid, 108, 8);
  octal(entry.gid, 116, 8);
  octal(entry.size, 124, 12);
  octal(entry.mtime, 136, 12);
  block.write(entry.type, 156, 'latin1');
  block.write(entry.link, 157, 100, 'latin1');
  block.write('ustar\u000000', 257, 'latin1');
  octal(entry.deviceMajor & maxOctal8, 329, 8);
  octal(entry.deviceMinor & maxOctal8, 337, 8);
  block.fill(32, 148, 156);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}
