// An archive that is looked into on its way to a file.

import { Transform, type TransformCallback } from 'node:stream';
import { SpaceGuard } from '../layers/space-guard';
import type { TarParser } from '../tar/tar-parser';

/** Passes an archive on unchanged, while a parser sees it; fails when the parser does, or the disk has no more room. */
export abstract class ParsedArchive extends Transform {
  protected abstract readonly parser: TarParser;
  readonly #space: SpaceGuard;

  /** `directory`: where what is passed on is written to. */
  constructor(directory: string) {
    super({ readableHighWaterMark: 1 << 20, writableHighWaterMark: 1 << 20 });
    this.#space = new SpaceGuard(directory);
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    try {
      this.parser.write(chunk);
    } catch (error) {
      done(error as Error); // everything thrown there is an Error
      return;
    }
    this.#space.use(chunk.length, (error) => done(error, chunk));
  }

  override _flush(done: TransformCallback): void {
    try {
      this.parser.end();
      this.ended();
      done();
    } catch (error) {
      done(error as Error);
    }
  }

  /** The archive is whole. */
  protected ended(): void {
    // nothing more to do for most
  }
}
