// A layer on its way in: hashed, kept as it came and made into a squashfs image, all in one pass.

import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { dirname, join, parse } from 'node:path';
import { addAbortSignal, Transform, type Duplex, type Readable, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { drained } from '../../async/drained';
import { DaemonError, errorMessage, systemErrorCode } from '../../errors';
import { syncPath } from '../../host/sync-path';
import {
  createDecompressor,
  createZstdCompressor,
  gzipFailure,
  peekCompression,
  type Compression,
} from './compression';
import { LayerTar, type LayerTarOptions } from './layer-tar';
import type { LayerPlan } from './layer-tree';
import { freeBytes, noSpace, SpaceGuard } from './space-guard';
import { discarding, startSqfstar, type SquashfsWriter } from './squashfs';
import { TarError } from '../tar/tar-header';

export interface LayerSource {
  stream: Readable;
  /** Of the stream as it comes (a registry's blob). Checked. */
  blobDigest?: string | undefined;
  /** Called when all bytes are here and are what the digest stands for. */
  onVerified?: (() => void) | undefined;
  /** More bytes than this are not what the digest stands for. */
  blobBytes?: number | undefined;
  /** Before the error of a layer that can't be unpacked. */
  processingPrefix?: string | undefined;
  signal?: AbortSignal | undefined;
  /** Of the tar, however well it compresses. */
  maxTarBytes?: number | undefined;
  /** A directory with more names is spread over several images. */
  maxNamesPerDirectory?: number | undefined;
  /** No VM will have it: the blob alone is kept, and no image is made. */
  withoutImages?: boolean | undefined;
}

export interface ConvertedLayer {
  diffId: string;
  /** Bytes of the uncompressed tar. */
  tarBytes: number;
  /** Bytes of the layer's files: what Docker counts as the layer's size. */
  sizeBytes: number;
  blob: { digest: string; sizeBytes: number; compression: Compression; fromRegistry: boolean };
  /** The same tar compressed otherwise, for indexes and manifests that name it so. */
  otherBlobs?: { digest: string; sizeBytes: number; compression: 'gzip' | 'zstd' }[];
  /** How many images the layer is; one unless told. 0: none was made. */
  images?: number;
}

/** What the data is like is at fault, not how it came here. */
class ProcessingError extends Error {}

/** Where the images of a layer are, by the path of the first, the lowest: nearly always the only one. */
export function imagePaths(diskPath: string, images = 1): string[] {
  const path = parse(diskPath);
  const others = Array.from({ length: images - 1 }, (_, i) =>
    join(path.dir, `${path.name}-${i + 1}${path.ext}`),
  );
  return [diskPath, ...others].slice(0, images);
}

/**
 * Writes the blob and the images (`imagePaths`) to the two paths; all are synced. Rejects with Internal in Docker's words for a stream
 * that is corrupt, cut or hostile, or not what its digest says. The caller removes what a failure leaves.
 */
export async function convertLayer(
  source: LayerSource,
  blobPath: string,
  diskPath: string,
): Promise<ConvertedLayer> {
  const { compression, stream } = await peekCompression(source.stream);
  const limit = Math.min(await freeBytes(dirname(diskPath)), source.maxTarBytes ?? Infinity);
  const blobFile = await open(blobPath, 'wx', 0o600);
  try {
    // A layer that comes plain is kept compressed; its blob has no digest that anybody knows.
    const isKeptAsItComes = compression !== 'none';
    const received = new HashingWriter(isKeptAsItComes ? blobFile : undefined, {
      // The tar's own hash is the same.
      hashes: isKeptAsItComes || source.blobDigest !== undefined,
    });
    const tarOptions = { maxContentBytes: limit, maxNamesPerDirectory: source.maxNamesPerDirectory };
    const output = source.withoutImages === true ? discarding() : startSqfstar(diskPath);
    const conversion = new Conversion(dirname(diskPath), output, compression, tarOptions);
    const keeper = compression === 'none' ? keepCompressed(conversion.tar, blobFile) : undefined;
    keeper?.catch(() => undefined); // awaited if all else went well
    // Also while sqfstar still works on what it has got.
    const abort = (): void => {
      conversion.abort();
    };
    source.signal?.addEventListener('abort', abort);
    try {
      await receive(source, stream, received, conversion);
      await conversion.finish();
    } catch (error) {
      conversion.abort();
      source.signal?.throwIfAborted();
      throw error;
    } finally {
      source.signal?.removeEventListener('abort', abort);
    }
    const kept = await keeper;
    const storedCompression = compression === 'none' ? 'zstd' : compression;
    const keptBlob = { path: blobPath, compression: storedCompression };
    const images =
      source.withoutImages === true
        ? 0
        : await convertRest(keptBlob, diskPath, conversion.layerTar, tarOptions);
    await Promise.all([blobFile.sync(), ...imagePaths(diskPath, images).map(syncPath)]);
    return {
      diffId: conversion.tar.digest(),
      tarBytes: conversion.tar.bytes,
      sizeBytes: conversion.layerTar.contentBytes,
      blob: {
        digest: kept?.digest ?? received.digest(),
        sizeBytes: kept?.bytes ?? received.bytes,
        compression: storedCompression,
        fromRegistry: compression !== 'none',
      },
      ...(images === 1 ? {} : { images }),
    };
  } catch (thrown) {
    // The disk may be filled by others, between two looks of ours.
    const isFull =
      systemErrorCode(thrown) === 'ENOSPC' || /no space left on device/i.test(errorMessage(thrown));
    const error = isFull ? noSpace() : thrown;
    throw error instanceof ProcessingError || error instanceof TarError
      ? processingError(error, source.processingPrefix ?? '')
      : error;
  } finally {
    await blobFile.close();
  }
}

/** Reads the whole stream, also when what it holds has turned out bad: a wrong digest is the better thing to say. */
async function receive(
  source: LayerSource,
  stream: Readable,
  received: HashingWriter,
  conversion: Conversion,
): Promise<void> {
  const { blobDigest, signal } = source;
  if (signal !== undefined) addAbortSignal(signal, stream);
  const wrongDigest = (): DaemonError =>
    new DaemonError('Internal', `filesystem layer verification failed for digest ${blobDigest ?? ''}`);
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    if (conversion.failed && blobDigest === undefined) break;
    await Promise.all([received.write(chunk), conversion.write(chunk)]);
    if (blobDigest !== undefined && received.bytes > (source.blobBytes ?? Infinity)) throw wrongDigest();
  }
  signal?.throwIfAborted();
  if (blobDigest !== undefined && blobDigest !== received.digest()) throw wrongDigest();
  source.onVerified?.();
}

/** Counts and hashes what it is given, and writes it to a file if there is one. */
class HashingWriter {
  bytes = 0;
  readonly #hash = createHash('sha256');
  readonly #file: FileHandle | undefined;
  readonly #hashes: boolean;

  constructor(file: FileHandle | undefined, { hashes }: { hashes: boolean } = { hashes: true }) {
    this.#file = file;
    this.#hashes = hashes;
  }

  async write(chunk: Buffer): Promise<void> {
    this.bytes += chunk.length;
    if (this.#hashes) this.#hash.update(chunk);
    await this.#file?.appendFile(chunk);
  }

  digest(): string {
    return `sha256:${this.#hash.copy().digest('hex')}`;
  }
}

/** decompress | hash | rewrite | sqfstar */
class Conversion {
  readonly tar: TarTap;
  readonly layerTar: LayerTar;
  failed = false;
  #written = 0;
  readonly #decompressor: Duplex;
  readonly #compression: Compression;
  readonly #squashfs: SquashfsWriter;
  readonly #done: Promise<void>;

  constructor(
    directory: string,
    output: SquashfsWriter,
    compression: Compression,
    options: LayerTarOptions & { maxContentBytes: number },
  ) {
    this.#compression = compression;
    this.tar = new TarTap(directory, options.maxContentBytes);
    this.layerTar = new LayerTar(options);
    this.#decompressor = createDecompressor(compression);
    this.#squashfs = output;
    this.#done = pipeline(this.#decompressor, this.tar, this.layerTar, this.#squashfs.input);
    this.#done.catch(() => {
      this.failed = true;
    });
  }

  /** Resolves when more may come. Bytes after a failure are dropped. */
  async write(chunk: Buffer): Promise<void> {
    if (this.failed || this.#decompressor.destroyed) return;
    this.#written += chunk.length;
    if (this.#decompressor.write(chunk)) return;
    await drained(this.#decompressor);
  }

  /** After the last byte: resolves when the image is whole. Rejects with ProcessingError for bad data. */
  async finish(): Promise<void> {
    try {
      if (!this.#decompressor.destroyed) this.#decompressor.end();
      await this.#done;
    } catch (error) {
      // sqfstar went away: it knows why
      if (systemErrorCode(error) === 'EPIPE') await this.#squashfs.done;
      throw this.#described(error);
    }
    // What sqfstar got then is cut, and it says so.
    if (this.layerTar.needsPlan) await this.#squashfs.done.catch(() => undefined);
    else await this.#squashfs.done;
  }

  abort(): void {
    this.#decompressor.destroy();
    this.#squashfs.kill();
  }

  /** In the words of Go's decompressors and of dockerd around them. */
  #described(error: unknown): unknown {
    if (error instanceof TarError) return error;
    const broken = gzipFailure(error, this.#written);
    if (broken === 'unexpected EOF') return new TarError(broken);
    if (broken !== undefined) return new ProcessingError(broken);
    const byTool = this.#compression !== 'none' && this.#compression !== 'gzip';
    return byTool && error instanceof DaemonError ? new ProcessingError(error.message) : error;
  }
}

/** dockerd names what unpacks first, and what decompresses in its place when that is at fault. */
function processingError(error: Error, prefix: string): DaemonError {
  const text = error instanceof TarError ? `exit status 1): ${error.message}` : `${error.message}): `;
  const full = `${prefix}Error processing tar file(${text}`;
  return new DaemonError('Internal', full, { cause: error });
}

/** Counts and hashes the tar, and stops it before the disk is full. */
class TarTap extends Transform {
  bytes = 0;
  readonly #hash: Hash = createHash('sha256');
  readonly #space: SpaceGuard;
  readonly #maxBytes: number;

  constructor(directory: string, maxBytes: number) {
    super({ readableHighWaterMark: 1 << 20, writableHighWaterMark: 1 << 20 });
    this.#space = new SpaceGuard(directory);
    this.#maxBytes = maxBytes;
  }

  digest(): string {
    return `sha256:${this.#hash.copy().digest('hex')}`;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#hash.update(chunk);
    this.bytes += chunk.length;
    if (this.bytes > this.#maxBytes) done(noSpace());
    else this.#space.use(chunk.length, (error) => done(error, chunk));
  }
}

/** Writes a zstd-compressed copy of what passes through `tar` into `file`. */
async function keepCompressed(tar: Transform, file: FileHandle): Promise<{ digest: string; bytes: number }> {
  const written = new HashingWriter(file);
  const compressor = createZstdCompressor();
  tar.once('close', () => {
    if (!tar.readableEnded) compressor.destroy();
  });
  tar.pipe(compressor);
  for await (const chunk of compressor as AsyncIterable<Buffer>) await written.write(chunk);
  return { digest: written.digest(), bytes: written.bytes };
}

interface KeptBlob {
  path: string;
  compression: Compression;
}

/**
 * What one pass could not do of rare layers: one that can't be rewritten as it comes is looked through once for a plan,
 * and one with very full directories is read once for each further image. Resolves with the number of images.
 */
async function convertRest(
  blob: KeptBlob,
  diskPath: string,
  first: LayerTar,
  options: LayerTarOptions,
): Promise<number> {
  let { partCount } = first;
  let planned = options;
  if (first.needsPlan) {
    planned = { ...options, plan: await planOf(blob) };
    await rm(diskPath, { force: true });
    partCount = await convertKept(blob, diskPath, planned);
  }
  const paths = imagePaths(diskPath, partCount);
  for (let part = 1; part < partCount; part += 1)
    await convertKept(blob, paths[part] ?? diskPath, { ...planned, part });
  return partCount;
}

async function planOf(blob: KeptBlob): Promise<LayerPlan> {
  const scan = new LayerTar({ scan: true });
  scan.resume();
  await pipeline(...openKept(blob), scan);
  return scan.plan();
}

function openKept({ path, compression }: KeptBlob): [Readable, Duplex] {
  return [createReadStream(path, { highWaterMark: 1 << 20 }), createDecompressor(compression)];
}

/** Makes one image of a blob. Resolves with the number that the layer needs. */
async function convertKept(blob: KeptBlob, imagePath: string, options: LayerTarOptions): Promise<number> {
  const squashfs = startSqfstar(imagePath);
  try {
    const layerTar = new LayerTar(options);
    await pipeline(...openKept(blob), layerTar, squashfs.input);
    await squashfs.done;
    return layerTar.partCount;
  } catch (error) {
    squashfs.kill();
    throw error;
  }
}
