// Layers by diff ID: each one a read-only squashfs image, made in one pass while the layer comes in, and the blob it
// came as, for save and push. Nothing is ever unpacked or mounted on the host.

import { spawn } from 'node:child_process';
import { createHash, randomBytes, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, open, readdir, rename, rm, stat, statfs, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform, type Readable, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { DaemonError, errorMessage, systemErrorCode } from '../errors';
import { createDecompressor, createZstdCompressor, peekCompression, type Compression } from './compression';
import { LayerTar, type LastEntries } from './layer-tar';
import type { DocumentStore, LayerStore } from './stores';

export interface LayerRecord {
  diffId: string;
  /** Bytes of the uncompressed tar. */
  tarBytes: number;
  /** Bytes of the layer's files: what Docker counts as the layer's size. */
  sizeBytes: number;
  /** The blob as it is kept: of the registry, or compressed by us for a layer that came plain. */
  blob: { digest: string; sizeBytes: number; compression: Compression; fromRegistry: boolean };
}

export interface AddLayerOptions {
  /** Digest of the stream as it comes (a registry's blob). Checked. */
  blobDigest?: string;
  /** From the image's configuration. Checked. */
  diffId?: string;
  signal?: AbortSignal;
}

const collection = 'layers';
const referenceCollection = 'layer-references';
/** A layer that would leave less than this free on the host's disk is refused: a small archive can unpack to anything. */
const reservedBytes = 1024 * 1024 * 1024;
const spaceCheckBytes = 64 * 1024 * 1024;

export class SquashfsLayerStore implements LayerStore {
  readonly #documents: DocumentStore;
  readonly #layersDir: string;
  readonly #blobsDir: string;
  readonly #layers: Map<string, LayerRecord>;
  readonly #references = new Map<string, readonly string[]>();

  constructor(documents: DocumentStore, dataRoot: string) {
    this.#documents = documents;
    this.#layersDir = join(dataRoot, 'layers');
    this.#blobsDir = join(dataRoot, 'blobs', 'sha256');
    this.#layers = new Map(documents.all<LayerRecord>(collection).map((layer) => [layer.diffId, layer]));
    for (const { owner, diffIds } of documents.all<{ owner: string; diffIds: string[] }>(
      referenceCollection,
    )) {
      this.#references.set(owner, diffIds);
    }
  }

  find(diffId: string): LayerRecord | undefined {
    return this.#layers.get(diffId);
  }

  findByBlob(blobDigest: string): LayerRecord | undefined {
    return [...this.#layers.values()].find((layer) => layer.blob.digest === blobDigest);
  }

  list(): LayerRecord[] {
    return [...this.#layers.values()];
  }

  diskPaths(diffIds: readonly string[]): string[] {
    return diffIds.map((diffId) => {
      if (!this.#layers.has(diffId)) {
        throw new DaemonError('NotFound', `layer ${diffId} is missing: pull or load its image again`);
      }
      return this.#diskPath(diffId);
    });
  }

  sizeBytes(diffId: string): number {
    return this.#layers.get(diffId)?.sizeBytes ?? 0;
  }

  /** Bytes on the host's disk: the squashfs image and the blob. */
  async hostBytes(diffId: string): Promise<number> {
    const layer = this.#layers.get(diffId);
    if (layer === undefined) return 0;
    const { blocks } = await stat(this.#diskPath(diffId));
    return blocks * 512 + layer.blob.sizeBytes;
  }

  reference(ownerId: string, diffIds: readonly string[]): void {
    this.#documents.put(referenceCollection, ownerId, { owner: ownerId, diffIds });
    this.#references.set(ownerId, diffIds);
  }

  unreference(ownerId: string): void {
    this.#documents.delete(referenceCollection, ownerId);
    this.#references.delete(ownerId);
  }

  isReferenced(diffId: string): boolean {
    return [...this.#references.values()].some((diffIds) => diffIds.includes(diffId));
  }

  blobPath(digest: string): string {
    return join(this.#blobsDir, digest.slice('sha256:'.length));
  }

  /** The layer's plain tar, byte for byte as its diff ID says. */
  openTar(diffId: string): Readable {
    const layer = this.#layers.get(diffId);
    if (layer === undefined) throw new DaemonError('NotFound', `layer ${diffId} is missing`);
    const blob = createReadStream(this.blobPath(layer.blob.digest), { highWaterMark: 1 << 20 });
    const plain = createDecompressor(layer.blob.compression);
    pipeline(blob, plain).catch((error: unknown) => plain.destroy(error as Error)); // streams reject with an Error
    return plain;
  }

  /**
   * Takes a layer in: compressed or not. Rejects with InvalidParameter in Docker's words for a stream that is corrupt,
   * cut or hostile, or not what the digests say; then nothing is left of it.
   */
  async add(source: Readable, options: AddLayerOptions = {}): Promise<LayerRecord> {
    const work = join(this.#layersDir, `.new-${randomBytes(8).toString('hex')}`);
    const blobPath = `${work}.blob`;
    const diskPath = `${work}.squashfs`;
    try {
      return await this.#add(source, options, blobPath, diskPath);
    } catch (error) {
      throw layerError(error, options.signal);
    } finally {
      source.destroy();
      await rm(blobPath, { force: true });
      await rm(diskPath, { force: true });
    }
  }

  /** Removes a layer that nothing uses. Does nothing while something does. */
  async remove(diffId: string): Promise<void> {
    const layer = this.#layers.get(diffId);
    if (layer === undefined || this.isReferenced(diffId)) return;
    this.#documents.delete(collection, diffId);
    this.#layers.delete(diffId);
    await rm(this.#diskPath(diffId), { force: true });
    const shared = [...this.#layers.values()].some((other) => other.blob.digest === layer.blob.digest);
    if (!shared) await rm(this.blobPath(layer.blob.digest), { force: true });
  }

  async repair(): Promise<void> {
    await mkdir(this.#layersDir, { recursive: true, mode: 0o711 });
    await chmod(this.#layersDir, 0o711);
    await mkdir(this.#blobsDir, { recursive: true, mode: 0o700 });
    const known = new Set([...this.#layers.keys()].map((diffId) => this.#diskName(diffId)));
    for (const name of await readdir(this.#layersDir)) {
      if (!known.has(name)) await rm(join(this.#layersDir, name), { force: true });
    }
    const present = new Set(await readdir(this.#layersDir));
    for (const diffId of [...this.#layers.keys()]) {
      if (!present.has(this.#diskName(diffId))) {
        this.#documents.delete(collection, diffId);
        this.#layers.delete(diffId);
      }
    }
  }

  async #add(
    source: Readable,
    options: AddLayerOptions,
    blobPath: string,
    diskPath: string,
  ): Promise<LayerRecord> {
    const { compression, stream } = await peekCompression(source);
    const blobHash = createHash('sha256');
    const blobFile = await open(blobPath, 'wx', 0o600);
    const tarTap = new HashTap(this.#layersDir);
    const layerTar = new LayerTar();
    const squashfs = startSqfstar(diskPath);
    const signal = options.signal;
    let blobBytes = 0;
    try {
      const receive = new Transform({
        transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback) {
          blobHash.update(chunk);
          blobBytes += chunk.length;
          if (compression === 'none') done(null, chunk);
          else blobFile.write(chunk).then(() => done(null, chunk), done);
        },
        readableHighWaterMark: 1 << 20,
        writableHighWaterMark: 1 << 20,
      });
      // A layer that comes plain is kept compressed; its blob has no digest that anybody knows.
      const keeper = compression === 'none' ? keepCompressed(tarTap, blobFile) : undefined;
      await pipeline(stream, receive, createDecompressor(compression), tarTap, layerTar, squashfs.input, {
        signal,
      });
      const kept = await keeper;
      await squashfs.done;
      const blobDigest = `sha256:${blobHash.digest('hex')}`;
      const diffId = `sha256:${tarTap.hash.digest('hex')}`;
      if (options.blobDigest !== undefined && options.blobDigest !== blobDigest) {
        throw new DaemonError(
          'InvalidParameter',
          `filesystem layer verification failed for digest ${options.blobDigest}`,
        );
      }
      if (options.diffId !== undefined && options.diffId !== diffId) {
        throw new DaemonError('InvalidParameter', `layers from manifest don't match image configuration`);
      }
      const existing = this.#layers.get(diffId);
      if (existing !== undefined) return existing;
      const storedCompression = compression === 'none' ? 'zstd' : compression;
      if (layerTar.repeated) await convertAgain(blobPath, diskPath, storedCompression);
      const record: LayerRecord = {
        diffId,
        tarBytes: tarTap.bytes,
        sizeBytes: layerTar.contentBytes,
        blob: {
          digest: kept?.digest ?? blobDigest,
          sizeBytes: kept?.bytes ?? blobBytes,
          compression: storedCompression,
          fromRegistry: compression !== 'none',
        },
      };
      await this.#store(record, blobFile, blobPath, diskPath);
      return record;
    } catch (error) {
      squashfs.kill();
      throw error;
    } finally {
      await blobFile.close();
    }
  }

  async #store(record: LayerRecord, blobFile: FileHandle, blobPath: string, diskPath: string): Promise<void> {
    await blobFile.sync();
    await chmod(diskPath, 0o644);
    await rename(blobPath, this.blobPath(record.blob.digest));
    await rename(diskPath, this.#diskPath(record.diffId));
    this.#documents.put(collection, record.diffId, record);
    this.#layers.set(record.diffId, record);
  }

  #diskName(diffId: string): string {
    return `${diffId.slice('sha256:'.length)}.squashfs`;
  }

  #diskPath(diffId: string): string {
    return join(this.#layersDir, this.#diskName(diffId));
  }
}

/** Counts and hashes what passes, and stops it before the disk is full. */
class HashTap extends Transform {
  readonly hash: Hash = createHash('sha256');
  bytes = 0;
  #unchecked = 0;
  readonly #directory: string;

  constructor(directory: string) {
    super({ readableHighWaterMark: 1 << 20, writableHighWaterMark: 1 << 20 });
    this.#directory = directory;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.hash.update(chunk);
    this.bytes += chunk.length;
    this.#unchecked += chunk.length;
    if (this.#unchecked < spaceCheckBytes) {
      done(null, chunk);
      return;
    }
    this.#unchecked = 0;
    statfs(this.#directory).then(({ bavail, bsize }) => {
      if (bavail * bsize < reservedBytes) done(new DaemonError('Internal', 'no space left on device'));
      else done(null, chunk);
    }, done);
  }
}

/** Writes a zstd-compressed copy of what passes through `tap` into `file`. */
async function keepCompressed(tap: HashTap, file: FileHandle): Promise<{ digest: string; bytes: number }> {
  const hash = createHash('sha256');
  let bytes = 0;
  const compressor = createZstdCompressor();
  tap.on('close', () => {
    if (!tap.readableEnded) compressor.destroy();
  });
  tap.pipe(compressor);
  for await (const chunk of compressor as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
    await file.write(chunk);
  }
  return { digest: `sha256:${hash.digest('hex')}`, bytes };
}

/** The rare layer with a name twice: looked through once for the last entries, then converted with them. */
async function convertAgain(blobPath: string, diskPath: string, compression: Compression): Promise<void> {
  const run = async (options: { lastEntries?: LastEntries; scan?: boolean }): Promise<LayerTar> => {
    const layerTar = new LayerTar(options);
    const source = createReadStream(blobPath, { highWaterMark: 1 << 20 });
    if (options.scan === true) {
      layerTar.resume();
      await pipeline(source, createDecompressor(compression), layerTar);
      return layerTar;
    }
    await rm(diskPath, { force: true });
    const squashfs = startSqfstar(diskPath);
    await pipeline(source, createDecompressor(compression), layerTar, squashfs.input);
    await squashfs.done;
    return layerTar;
  };
  const scan = await run({ scan: true });
  await run({ lastEntries: scan.lastEntries });
}

function startSqfstar(output: string): {
  input: NodeJS.WritableStream;
  done: Promise<void>;
  kill: () => void;
} {
  const options = ['-comp', 'lz4', '-mem', '64M', '-root-mode', '755', '-root-uid', '0', '-root-gid', '0'];
  const child = spawn('sqfstar', [...options, '-no-progress', '-quiet', output], {
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(0, 2000);
  });
  const done = new Promise<void>((resolve, reject) => {
    child.once('error', (error) =>
      reject(new DaemonError('Internal', `sqfstar can't be run (${error.message}): run "npm run setup"`)),
    );
    child.once('close', (code) => {
      if (code === 0) resolve();
      else
        reject(new DaemonError('Internal', `sqfstar: ${complaint.trim() || `exit status ${String(code)}`}`));
    });
  });
  done.catch(() => undefined); // awaited by those who get that far
  return { input: child.stdin, done, kill: () => void child.kill('SIGKILL') };
}

/** Docker's words for a layer that could not be taken in. */
function layerError(error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted === true || error instanceof DaemonError) return error;
  const code = systemErrorCode(error);
  const message =
    code === 'Z_BUF_ERROR'
      ? 'unexpected EOF'
      : code?.startsWith('Z_') === true
        ? 'gzip: invalid header'
        : errorMessage(error);
  return new DaemonError(
    code === 'ENOSPC' ? 'Internal' : 'InvalidParameter',
    `failed to register layer: Error processing tar file(exit status 1): ${message}`,
    { cause: error },
  );
}
