import { Transform, type TransformCallback } from 'node:stream';
import { buildEntry, tarBlock, type TarEntry } from './tar-header';
import { TarParser } from './tar-parser';
import { SparseExpander } from './tar-sparse';

/** A tar stream with its headers written anew: what derives from it says which, data pass through, sparse files with their holes. */
export abstract class TarRewriter extends Transform {
  readonly #parser: TarParser;
  /** While the data of a sparse file pass. */
  #sparse: SparseExpander | undefined;

  constructor() {
    super({ readableHighWaterMark: 1 << 20, writableHighWaterMark: 1 << 20 });
    this.#parser = new TarParser({
      entry: (entry) => this.takeEntry(entry),
      data: (chunk) => {
        if (this.#sparse === undefined) this.push(chunk);
        else this.#sparse.write(chunk);
      },
    });
  }

  /** True if the entry's data are to be written, after its header. Throws `TarError` for what can't be rewritten. */
  protected abstract takeEntry(entry: TarEntry): boolean;

  /** After the last entry: what is still to be written. */
  protected abstract takeEnd(): void;

  /** Writes the header of an entry whose data follow as they are read. */
  protected writeHeader(entry: TarEntry): void {
    this.push(buildEntry({ ...entry, size: entry.sparse?.realSize ?? entry.size }));
    const push = (chunk: Buffer): boolean => this.push(chunk);
    this.#sparse = entry.sparse === undefined ? undefined : new SparseExpander(entry.sparse, push);
  }

  /** Writes what ends an archive. */
  protected writeEnd(): void {
    this.push(Buffer.alloc(2 * tarBlock));
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    try {
      this.#parser.write(chunk);
      done();
    } catch (error) {
      done(error as Error); // everything thrown here is an Error
    }
  }

  override _flush(done: TransformCallback): void {
    try {
      this.#parser.end();
      this.takeEnd();
      done();
    } catch (error) {
      done(error as Error);
    }
  }
}
