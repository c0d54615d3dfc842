// Reading one file of a log: forward in blocks of whole lines, and backward to where the last lines begin.

import * as fs from 'node:fs';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { OpenLogFile } from './log-file';

const read = promisify(fs.read);
const blockBytes = 262_144;
const newline = 10;

/** One file, open for reading. Close it. */
export class LogSegment {
  readonly #fd: number;
  /** Content of a compressed file, in memory (no longer than max-size and a record). */
  #content: Buffer | undefined;
  #position = 0;
  #end = Infinity;
  #pending: Buffer = Buffer.alloc(0);

  private constructor(fd: number, content: Buffer | undefined) {
    this.#fd = fd;
    this.#content = content;
  }

  /** Takes over the descriptor. */
  static async open(file: OpenLogFile): Promise<LogSegment> {
    if (!file.compressed) return new LogSegment(file.fd, undefined);
    try {
      const content = await promisify(gunzip)(fs.readFileSync(file.fd));
      return new LogSegment(file.fd, content);
    } catch (error) {
      fs.closeSync(file.fd);
      throw error;
    }
  }

  close(): void {
    fs.closeSync(this.#fd);
  }

  get size(): number {
    return this.#content?.length ?? fs.fstatSync(this.#fd).size;
  }

  /** The next whole lines; '' when there is none more at present. */
  async nextLines(): Promise<string> {
    for (;;) {
      // Somebody cut the file: what is written now begins at its start.
      if (this.#content === undefined && this.size < this.#position) this.seek(0);
      const block = await this.#readAt(this.#position, Math.min(blockBytes, this.#end - this.#position));
      if (block.length === 0) return '';
      this.#position += block.length;
      const end = block.lastIndexOf(newline);
      if (end < 0) {
        this.#pending = Buffer.concat([this.#pending, block]);
        continue;
      }
      const whole = block.subarray(0, end + 1);
      const text =
        this.#pending.length === 0
          ? whole.toString('utf8')
          : Buffer.concat([this.#pending, whole]).toString('utf8');
      this.#pending = Buffer.from(block.subarray(end + 1));
      return text;
    }
  }

  /** Lines written after this call are not read. */
  stopAtPresentEnd(): void {
    this.#end = this.size;
  }

  seek(position: number): void {
    this.#position = position;
    this.#pending = Buffer.alloc(0);
  }

  /** Seeks to the begin of the last `lines` whole lines; to the start if there are fewer. Returns how many follow. */
  async seekLastLines(lines: number): Promise<number> {
    this.seek(0);
    // One newline more than lines wanted: that of the line before them.
    let found = 0;
    let end = this.size;
    while (end > 0) {
      const start = Math.max(0, end - blockBytes);
      const block = await this.#readAt(start, end - start);
      for (
        let at = block.lastIndexOf(newline);
        at >= 0;
        at = at === 0 ? -1 : block.lastIndexOf(newline, at - 1)
      ) {
        if (found === lines) {
          this.seek(start + at + 1);
          return found;
        }
        found += 1;
      }
      end = start;
    }
    return found;
  }

  async #readAt(position: number, length: number): Promise<Buffer> {
    if (length <= 0) return Buffer.alloc(0);
    if (this.#content !== undefined) return this.#content.subarray(position, position + length);
    const buffer = Buffer.allocUnsafe(length);
    const { bytesRead } = await read(this.#fd, buffer, 0, length, position);
    return buffer.subarray(0, bytesRead);
  }
}
