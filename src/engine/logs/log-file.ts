// The files of one container's log on disk: the one being written, and rotated ones (`.1` is the youngest).
// Renames happen in one synchronous step with the bookkeeping, so that readers of this process never see half of one.

import { createReadStream, createWriteStream } from 'node:fs';
import * as fs from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import * as path from 'node:path';
import { errorMessage, systemErrorCode } from '../../errors';
import { log } from '../../log';
import type { LogFileOptions } from '../../semantics/logs/file-log-options';
import { parseRecord, parseRunOffsets, type RunOffsets } from '../../semantics/logs/log-record';

const tailBlockBytes = 65_536;
const temporarySuffix = '.gz.tmp';

function unlinkIfExists(file: string): void {
  fs.rmSync(file, { force: true });
}

function openIfExists(file: string): number | undefined {
  try {
    return fs.openSync(file, 'r');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** A descriptor of one file of the log; the one who asked for it closes it. */
export interface OpenLogFile {
  fd: number;
  compressed: boolean;
}

/** Path of the rotated file `age` (1 is the youngest) of `base`; age 0 is `base` itself. */
export function rotatedPath(base: string, age: number): string {
  return age === 0 ? base : `${base}.${age}`;
}

/** Opens the file of this age, compressed or not; undefined if there is none. */
export function openAge(base: string, age: number): OpenLogFile | undefined {
  const plain = openIfExists(rotatedPath(base, age));
  if (plain !== undefined) return { fd: plain, compressed: false };
  const compressed = age === 0 ? undefined : openIfExists(`${rotatedPath(base, age)}.gz`);
  return compressed === undefined ? undefined : { fd: compressed, compressed: true };
}

export class LogFile {
  readonly path: string;
  readonly #options: LogFileOptions;
  #fd: number;
  #size: number;
  /** Number of the file being written; goes up by one with each rotation. */
  #sequence = 0;
  #closed = false;
  #dropRotated = false;
  #compressing: Promise<void> = Promise.resolve();
  readonly #watchers = new Set<() => void>();
  /** What the file said when it was opened, of the run that wrote it. */
  readonly recovered: RunOffsets | undefined;

  /** Creates the file, or opens it and cuts off what a crash left of a half-written record. */
  constructor(file: string, options: LogFileOptions) {
    this.path = file;
    this.#options = options;
    fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    this.#fd = fs.openSync(file, 'a+', 0o600);
    const tail = readTail(this.#fd);
    if (tail.endOffset < fs.fstatSync(this.#fd).size) fs.ftruncateSync(this.#fd, tail.endOffset);
    this.#size = tail.endOffset;
    this.#removeUnfinished();
    this.recovered = tail.offsets ?? (this.#size === 0 ? this.#offsetsOfYoungestRotated() : undefined);
  }

  get size(): number {
    return this.#size;
  }

  get sequence(): number {
    return this.#sequence;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** `wake` is called after each write, after a rotation and at the close. Returns the function that ends it. */
  watch(wake: () => void): () => void {
    this.#watchers.add(wake);
    return () => this.#watchers.delete(wake);
  }

  /** Opens file `sequence`, or the oldest still there if that one is gone. */
  openSequence(sequence: number): (OpenLogFile & { sequence: number }) | undefined {
    for (let next = Math.max(sequence, 0); next <= this.#sequence; next += 1) {
      const file = openAge(this.path, this.#sequence - next);
      if (file !== undefined) return { ...file, sequence: next };
    }
    return undefined;
  }

  /** Appends whole records, each with its newline, and rotates between them. One call at a time. */
  async write(records: readonly string[]): Promise<void> {
    const limit = this.#options.maxSizeBytes;
    if (limit === undefined) return this.#append(Buffer.from(records.join(''), 'utf8'));
    // A record goes into a new file when the present one has reached the limit, as in Docker: files overrun it a little.
    let batch: Buffer[] = [];
    let batchBytes = 0;
    for (const text of records) {
      if (this.#size + batchBytes >= limit) {
        await this.#append(Buffer.concat(batch));
        batch = [];
        batchBytes = 0;
        this.#rotate();
      }
      const record = Buffer.from(text, 'utf8');
      batch.push(record);
      batchBytes += record.length;
    }
    await this.#append(Buffer.concat(batch));
  }

  /** Watchers are woken a last time. Waits for a compression under way. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    fs.closeSync(this.#fd);
    this.#wake();
    await this.#compressing;
  }

  async #append(bytes: Buffer): Promise<void> {
    if (bytes.length === 0) return;
    let written = 0;
    try {
      while (written < bytes.length) {
        written += await writeSome(this.#fd, bytes, written);
      }
    } catch (error) {
      // No half record may stay in the middle of the file.
      if (fs.fstatSync(this.#fd).size > this.#size) fs.ftruncateSync(this.#fd, this.#size);
      throw error;
    }
    this.#size += bytes.length;
    if (this.#dropRotated) {
      unlinkIfExists(rotatedPath(this.path, 1));
      this.#dropRotated = false;
    }
    this.#wake();
  }

  #rotate(): void {
    const { maxFiles } = this.#options;
    for (const suffix of ['', '.gz']) {
      if (maxFiles > 1) unlinkIfExists(`${rotatedPath(this.path, maxFiles - 1)}${suffix}`);
    }
    for (let age = maxFiles - 2; age >= 1; age -= 1) {
      for (const suffix of ['', '.gz']) {
        const from = `${rotatedPath(this.path, age)}${suffix}`;
        if (fs.existsSync(from)) fs.renameSync(from, `${rotatedPath(this.path, age + 1)}${suffix}`);
      }
    }
    // Also when only one file may stay: its last record says where the run is until the next one is written.
    fs.renameSync(this.path, rotatedPath(this.path, 1));
    this.#dropRotated = maxFiles === 1;
    const rotated = this.#sequence;
    const before = this.#fd;
    this.#fd = fs.openSync(this.path, 'a+', 0o600);
    fs.closeSync(before);
    this.#size = 0;
    this.#sequence += 1;
    this.#wake();
    if (this.#options.compress && maxFiles > 1) {
      this.#compressing = this.#compressing.then(() => this.#compress(rotated));
    }
  }

  async #compress(sequence: number): Promise<void> {
    const current = (): string => rotatedPath(this.path, this.#sequence - sequence);
    const temporary = `${this.path}.${sequence}${temporarySuffix}`;
    try {
      if (!fs.existsSync(current())) return;
      await pipeline(
        createReadStream(current()),
        createGzip(),
        createWriteStream(temporary, { mode: 0o600 }),
      );
      // Rotations meanwhile may have renamed the file, or dropped it.
      if (fs.existsSync(current())) {
        fs.renameSync(temporary, `${current()}.gz`);
        unlinkIfExists(current());
      }
    } catch (error) {
      log.warn('compressing a rotated log failed', { path: this.path, error: errorMessage(error) });
    } finally {
      unlinkIfExists(temporary);
    }
  }

  /** Compressions that a crash cut short; their originals are still there. */
  #removeUnfinished(): void {
    if (!this.#options.compress) return;
    const directory = path.dirname(this.path);
    for (const name of fs.readdirSync(directory)) {
      if (name.startsWith(path.basename(this.path)) && name.endsWith(temporarySuffix)) {
        unlinkIfExists(path.join(directory, name));
      }
    }
  }

  #offsetsOfYoungestRotated(): RunOffsets | undefined {
    const fd = openIfExists(rotatedPath(this.path, 1));
    if (fd === undefined) return undefined;
    try {
      return readTail(fd).offsets;
    } finally {
      fs.closeSync(fd);
    }
  }

  #wake(): void {
    for (const wake of [...this.#watchers]) wake();
  }
}

function writeSome(fd: number, bytes: Buffer, from: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.write(fd, bytes, from, bytes.length - from, null, (error, written) => {
      if (error === null) resolve(written);
      else reject(error);
    });
  });
}

/** Where the last whole record ends, and what it says of its run. Anything behind it is no record. */
function readTail(fd: number): { endOffset: number; offsets: RunOffsets | undefined } {
  let endOffset = lastNewline(fd, fs.fstatSync(fd).size) + 1;
  while (endOffset > 0) {
    const start = lastNewline(fd, endOffset - 1) + 1;
    const line = Buffer.alloc(endOffset - 1 - start);
    fs.readSync(fd, line, 0, line.length, start);
    const record = parseRecord(line.toString('utf8'));
    if (record !== undefined) return { endOffset, offsets: parseRunOffsets(record.at) };
    endOffset = start;
  }
  return { endOffset: 0, offsets: undefined };
}

/** Offset of the last newline before `before`, or -1. */
function lastNewline(fd: number, before: number): number {
  const block = Buffer.alloc(Math.min(tailBlockBytes, Math.max(before, 0)));
  for (let end = before; end > 0;) {
    const start = Math.max(0, end - block.length);
    const read = fs.readSync(fd, block, 0, end - start, start);
    const at = block.subarray(0, read).lastIndexOf(10);
    if (at >= 0) return start + at;
    end = start;
  }
  return -1;
}

/** Deletes the log and all its rotated files. */
export function removeLogFiles(base: string): void {
  const directory = path.dirname(base);
  const name = path.basename(base);
  let entries: string[];
  try {
    entries = fs.readdirSync(directory);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return;
    throw error;
  }
  for (const entry of entries) {
    if (entry === name || entry.startsWith(`${name}.`)) unlinkIfExists(path.join(directory, entry));
  }
}
