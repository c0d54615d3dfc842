// What the daemon and the process that converts a layer say to each other.

import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import type { ErrorCode } from '../../errors';
import type { ConvertedLayer, LayerSource } from './layer-conversion';

/** A part of a file that is a layer. */
export interface FileRange {
  path: string;
  start: number;
  bytes: number;
}

/** Without a file the layer comes on its standard input. */
export interface ConversionJob extends Omit<LayerSource, 'stream' | 'onVerified' | 'signal'> {
  file: FileRange | undefined;
  blobPath: string;
  diskPath: string;
}

/** The job comes first. */
export type ToWorker = { kind: 'convert'; job: ConversionJob } | { kind: 'abort' };

/** `read`: so many bytes of the file. The last is `converted` or `failed`. */
export type FromWorker =
  | { kind: 'read'; bytes: number }
  | { kind: 'verified' }
  | { kind: 'converted'; layer: ConvertedLayer }
  | { kind: 'failed'; code: ErrorCode | undefined; text: string };

const chunkBytes = 1 << 20;

export function openRange({ path, start, bytes }: FileRange, onRead?: (bytes: number) => void): Readable {
  if (bytes === 0) return Readable.from([], { objectMode: false });
  const file = createReadStream(path, { start, end: start + bytes - 1, highWaterMark: chunkBytes });
  if (onRead === undefined) return file;
  const counted = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of file as AsyncIterable<Buffer>) {
      onRead(chunk.length);
      yield chunk;
    }
  };
  return Readable.from(counted(), { objectMode: false, highWaterMark: chunkBytes });
}
