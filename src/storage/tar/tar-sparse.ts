// GNU tar's sparse files: the old form ('S' entries) and the three that stand in PAX records (0.0, 0.1, 1.0). They are
// written out with their holes as zeros, which squashfs makes holes of again: sqfstar garbles some of the forms.

import { invalidHeader, paddedLength, readNumber, tarBlock, type SparseMap } from './tar-header';

type Part = SparseMap['parts'][number];

/** So many parts are more than any file system reports, and few enough to hold in memory. */
const maxParts = 65_536;
const maxMapBytes = 4 * 1024 * 1024;
const partBytes = 24;

/** Throws unless the parts lie in order within the file and take up exactly the data there is. */
export function checkedSparseMap(realSize: number, parts: readonly Part[], dataBytes: number): SparseMap {
  let end = 0;
  let sum = 0;
  for (const { offset, length } of parts) {
    if (offset < end || length < 0) throw invalidHeader();
    end = offset + length;
    sum += length;
    if (!Number.isSafeInteger(end) || end > realSize) throw invalidHeader();
  }
  if (sum !== dataBytes || !Number.isSafeInteger(realSize)) throw invalidHeader();
  return { realSize, parts };
}

/** The parts in one block of the old form: the header itself, or one that continues it. */
export function readOldParts(block: Buffer, isHeader: boolean): { parts: Part[]; continues: boolean } {
  const [start, count] = isHeader ? [386, 4] : [0, 21];
  const parts: Part[] = [];
  for (let at = start; at < start + count * partBytes && block[at] !== 0; at += partBytes) {
    parts.push({ offset: readNumber(block, at, 12), length: readNumber(block, at + 12, 12) });
  }
  return { parts, continues: block[start + count * partBytes] === 1 };
}

export function oldRealSize(header: Buffer): number {
  return readNumber(header, 483, 12);
}

/** What PAX records say: the parts themselves, or that they stand before the data (form 1.0). */
export function readPaxSparse(
  records: readonly (readonly [string, Buffer])[],
): { realSize: number; parts: Part[] | 'before data' } | undefined {
  const text = new Map(records.map(([key, value]) => [key, value.toString('latin1')]));
  const realSize = text.get('GNU.sparse.realsize') ?? text.get('GNU.sparse.size');
  if (text.get('GNU.sparse.major') === '1' && text.get('GNU.sparse.minor') === '0') {
    return { realSize: decimal(realSize), parts: 'before data' };
  }
  const map = text.get('GNU.sparse.map');
  const numbers =
    map !== undefined
      ? map.split(',').filter((part) => part !== '')
      : records
          .filter(([key]) => key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes')
          .map(([, value]) => value.toString('latin1'));
  if (numbers.length === 0) return undefined;
  return { realSize: decimal(realSize), parts: inPairs(numbers.map(decimal)) };
}

/** Reads the map of form 1.0, decimal lines in whole blocks before the data. */
export class SparseMapReader {
  readonly #blocks: string[] = [];
  #lines = 0;
  #wantedLines = 0;
  bytes = 0;

  /** The parts when this block ends the map, else undefined. */
  add(block: Buffer): Part[] | undefined {
    const text = block.toString('latin1');
    if (this.bytes === 0) {
      const count = decimal(text.split('\n', 1)[0]);
      if (count > maxParts) throw invalidHeader();
      this.#wantedLines = 2 * count + 1;
    }
    this.bytes += tarBlock;
    this.#blocks.push(text);
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) this.#lines += 1;
    if (this.#lines < this.#wantedLines) {
      if (this.bytes > maxMapBytes) throw invalidHeader();
      return undefined;
    }
    return inPairs(this.#blocks.join('').split('\n').slice(1, this.#wantedLines).map(decimal));
  }
}

/** Always the same zeros, so that a hole takes no memory however large it is. */
const zeros = Buffer.alloc(1024 * 1024);

/** Gives a sparse file's data to `push` with zeros in between and whole blocks in the end. */
export class SparseExpander {
  readonly #map: SparseMap;
  readonly #push: (chunk: Buffer) => void;
  #part = 0;
  /** Within the part. */
  #done = 0;
  #position = 0;

  constructor(map: SparseMap, push: (chunk: Buffer) => void) {
    this.#map = map;
    this.#push = push;
    this.#fill();
  }

  /** A part of the data as it stands in the archive. Padding after it is left out. */
  write(chunk: Buffer): void {
    let at = 0;
    for (let part = this.#map.parts[this.#part]; part !== undefined && at < chunk.length;) {
      const piece = chunk.subarray(at, at + part.length - this.#done);
      this.#push(piece);
      at += piece.length;
      this.#done += piece.length;
      this.#position += piece.length;
      if (this.#done === part.length) {
        this.#part += 1;
        this.#done = 0;
        this.#fill();
        part = this.#map.parts[this.#part];
      }
    }
  }

  /** Zeros up to the next part that has data; behind the last one, to the end. */
  #fill(): void {
    while (this.#map.parts[this.#part]?.length === 0) this.#part += 1;
    const end = this.#map.parts[this.#part]?.offset ?? paddedLength(this.#map.realSize);
    while (this.#position < end) {
      const piece = zeros.subarray(0, end - this.#position);
      this.#push(piece);
      this.#position += piece.length;
    }
  }
}

function decimal(text: string | undefined): number {
  if (text === undefined || !/^\d{1,16}$/.test(text)) throw invalidHeader();
  return Number(text);
}

function inPairs(numbers: readonly number[]): Part[] {
  if (numbers.length % 2 !== 0 || numbers.length > 2 * maxParts) throw invalidHeader();
  const parts: Part[] = [];
  for (let i = 0; i < numbers.length; i += 2) {
    parts.push({ offset: numbers[i] ?? 0, length: numbers[i + 1] ?? 0 });
  }
  return parts;
}
