// layers/: a layer, from a stream to a read-only disk.
//
// Layers by diff ID: each one a read-only squashfs image, and the blob it came as, for save and push. Nothing is ever
// unpacked or mounted on the host. docs/storage-layout.md

import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { unlessAborted } from '../../async/deadline';
import { DaemonError } from '../../errors';
import { syncPath } from '../../host/sync-path';
import { createCompressor, createDecompressor } from './compression';
import type { FileRange } from './conversion-job';
import { convertLayerApart, type ConversionSource } from './conversion-process';
import { imagePaths, type ConvertedLayer, type LayerSource } from './layer-conversion';
import { makeBundle, maxBundledFiles } from './layer-bundle';
import { LayerOrigins } from './layer-origins';
import { isWholeSquashfs } from './squashfs';
import type { BlobCompression, DocumentStore, LayerBlob, LayerStore } from '../contract/stores';

export type LayerRecord = ConvertedLayer;

export interface AddLayerOptions extends Omit<ConversionSource, 'stream' | keyof LayerLimits> {
  /** From the image's configuration. Checked. */
  diffId?: string;
  /** Told the layer's diff ID when it is known, for who wants to hold it: from then on it may be removed by others. */
  onDiffId?: ((diffId: string) => void) | undefined;
  /** Makes the error of a layer that is not what its diff ID says. */
  wrongDiffId?: (actual: string) => Error;
}

/** What holds for every layer of a store. */
export type LayerLimits = Pick<LayerSource, 'maxTarBytes' | 'maxNamesPerDirectory' | 'withoutImages'>;

const collection = 'layers';
const referenceCollection = 'layer-references';
const maxLayers = 125;
/** More are faster as partitions of one disk. docs/adr/0005-layer-bundles.md */
const maxSeparateLayers = 24;

export class SquashfsLayerStore implements LayerStore {
  /** In which repositories a layer is, and as which blob. */
  readonly origins: LayerOrigins;
  readonly #documents: DocumentStore;
  readonly #layersDir: string;
  readonly #blobsDir: string;
  readonly #layers: Map<string, LayerRecord>;
  readonly #references = new Map<string, readonly string[]>();
  /** Like references, but gone with the daemon. */
  readonly #holds = new Set<readonly string[]>();
  /** Layers whose files are about to go, by diff ID: one that comes again has to wait for that. */
  readonly #removals = new Map<string, Promise<void>>();
  /** By diff ID and compression. */
  readonly #compressing = new Map<string, Promise<{ digest: string; sizeBytes: number }>>();
  readonly #limits: LayerLimits;
  /** By the path of the descriptor. Those of an earlier daemon are removed at start-up, and made again when needed. */
  readonly #bundles = new Map<string, { diffIds: readonly string[]; written: Promise<void> }>();

  constructor(documents: DocumentStore, dataRoot: string, limits: LayerLimits = {}) {
    this.#documents = documents;
    this.origins = new LayerOrigins(documents);
    this.#limits = limits;
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
    return [...this.#layers.values()].find((layer) =>
      blobsOf(layer).some(({ digest }) => digest === blobDigest),
    );
  }

  list(): LayerRecord[] {
    return [...this.#layers.values()];
  }

  diskPaths(diffIds: readonly string[]): string[] {
    return diffIds.flatMap((diffId) => {
      const layer = this.#layers.get(diffId);
      if (layer === undefined) {
        throw new DaemonError('NotFound', `layer ${diffId} is missing: pull or load its image again`);
      }
      return this.#diskPaths(layer);
    });
  }

  async bundle(diffIds: readonly string[]): Promise<string | undefined> {
    const paths = this.diskPaths(diffIds);
    if (paths.length <= maxSeparateLayers || paths.length > maxBundledFiles) return undefined;
    const name = createHash('sha256').update(diffIds.join('\n')).digest('hex');
    const path = join(this.#layersDir, `${name}.vmdk`);
    let made = this.#bundles.get(path);
    if (made === undefined) {
      made = { diffIds: [...diffIds], written: writeBundle(paths, path) };
      this.#bundles.set(path, made);
      made.written.catch(() => this.#bundles.delete(path));
    }
    await made.written;
    return path;
  }

  sizeBytes(diffId: string): number {
    return this.#layers.get(diffId)?.sizeBytes ?? 0;
  }

  /** Bytes on the host's disk: the squashfs images and the blob. */
  async hostBytes(diffId: string): Promise<number> {
    const layer = this.#layers.get(diffId);
    if (layer === undefined) return 0;
    const images = await Promise.all(this.#diskPaths(layer).map((path) => stat(path)));
    return images.reduce((sum, { blocks }) => sum + blocks * 512, layer.blob.sizeBytes);
  }

  reference(ownerId: string, diffIds: readonly string[]): void {
    this.#documents.put(referenceCollection, ownerId, { owner: ownerId, diffIds });
    this.#references.set(ownerId, diffIds);
  }

  unreference(ownerId: string): void {
    this.#documents.delete(referenceCollection, ownerId);
    this.#references.delete(ownerId);
  }

  owners(): string[] {
    return [...this.#references.keys()];
  }

  /** Keeps layers, also ones that are still to come, until the function it returns is called. */
  hold(diffIds: readonly string[]): () => void {
    const held = [...diffIds];
    this.#holds.add(held);
    return () => void this.#holds.delete(held);
  }

  isReferenced(diffId: string): boolean {
    const refers = (diffIds: readonly string[]): boolean => diffIds.includes(diffId);
    return [...this.#holds].some(refers) || [...this.#references.values()].some(refers);
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

  async blob(
    diffId: string,
    { compression, force }: { compression: BlobCompression; force: boolean },
    signal: AbortSignal,
  ): Promise<LayerBlob> {
    const layer = this.#layers.get(diffId);
    if (layer === undefined) throw new DaemonError('NotFound', `layer ${diffId} is missing`);
    const suits = (blob: { compression: string }): boolean => blob.compression === compression;
    const own = blobsOf(layer).find(suits) ?? (force || !layer.blob.fromRegistry ? undefined : layer.blob);
    if (own !== undefined && isBlobCompression(own.compression)) {
      const { digest, sizeBytes, compression: actual } = own;
      return { digest, sizeBytes, compression: actual, open: (start) => this.#openBlob(digest, start) };
    }
    if (compression === 'none') {
      const open = (start = 0): Readable => {
        if (start > 0) throw new DaemonError('Internal', 'a plain layer is read from its beginning');
        return this.openTar(diffId);
      };
      return { digest: diffId, sizeBytes: layer.tarBytes, compression, open };
    }
    const key = `${diffId} ${compression}`;
    const compressing = this.#compressing.get(key) ?? this.#compress(layer, compression);
    this.#compressing.set(key, compressing);
    try {
      const { digest, sizeBytes } = await unlessAborted(compressing, signal);
      return { digest, sizeBytes, compression, open: (start) => this.#openBlob(digest, start) };
    } finally {
      void compressing.finally(() => this.#compressing.delete(key)).catch(() => undefined); // told to who waits
    }
  }

  /** By the digest of any of a layer's blobs, or of its plain tar. Undefined without such a layer. */
  openAnyBlob(digest: string): { sizeBytes: number; open: (start: number) => Readable } | undefined {
    const plain = this.#layers.get(digest);
    if (plain !== undefined) return { sizeBytes: plain.tarBytes, open: () => this.openTar(digest) };
    const blob = [...this.#layers.values()].flatMap(blobsOf).find((each) => each.digest === digest);
    if (blob === undefined) return undefined;
    return { sizeBytes: blob.sizeBytes, open: (start) => this.#openBlob(digest, start) };
  }

  #openBlob(digest: string, start = 0): Readable {
    return createReadStream(this.blobPath(digest), { start, highWaterMark: 1 << 18 });
  }

  /** It is kept as long as the layer is. */
  async #compress(
    { diffId }: LayerRecord,
    compression: 'gzip' | 'zstd',
  ): Promise<{ digest: string; sizeBytes: number }> {
    const release = this.hold([diffId]);
    const path = join(this.#blobsDir, `.new-${randomBytes(8).toString('hex')}`);
    try {
      const hash = createHash('sha256');
      let sizeBytes = 0;
      const counted = async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
        for await (const chunk of source) {
          hash.update(chunk);
          sizeBytes += chunk.length;
          yield chunk;
        }
      };
      await pipeline(
        this.openTar(diffId),
        createCompressor(compression),
        counted,
        createWriteStream(path, { mode: 0o600, highWaterMark: 1 << 20 }),
      );
      const digest = `sha256:${hash.digest('hex')}`;
      await syncPath(path);
      await rename(path, this.blobPath(digest));
      await syncPath(this.#blobsDir);
      const layer = this.#layers.get(diffId);
      if (layer === undefined) throw new DaemonError('NotFound', `layer ${diffId} is missing`);
      const otherBlobs = [...(layer.otherBlobs ?? []), { digest, sizeBytes, compression }];
      const record = { ...layer, otherBlobs };
      this.#documents.put(collection, diffId, record);
      this.#layers.set(diffId, record);
      return { digest, sizeBytes };
    } finally {
      await rm(path, { force: true });
      release();
    }
  }

  /**
   * Takes a layer in, compressed or not, as a stream or from a file. Rejects with Internal in Docker's words for a stream that is corrupt, cut or
   * hostile, or not what the digests say; then nothing is left of it. Destroys the stream if it was not read to its end.
   */
  async add(stream: Readable | FileRange, options: AddLayerOptions = {}): Promise<LayerRecord> {
    const { diffId, wrongDiffId, onDiffId, ...source } = options;
    const work = join(this.#layersDir, `.new-${randomBytes(8).toString('hex')}`);
    const blobPath = `${work}.blob`;
    const diskPath = `${work}.squashfs`;
    let release: (() => void) | undefined;
    try {
      const layer = await convertLayerApart({ ...source, stream, ...this.#limits }, blobPath, diskPath);
      if (diffId !== undefined && diffId !== layer.diffId) {
        throw (
          wrongDiffId?.(layer.diffId) ??
          new DaemonError('Internal', `layers from manifest don't match image configuration`)
        );
      }
      release = this.hold([layer.diffId]);
      onDiffId?.(layer.diffId);
      return await this.#store(layer, blobPath, diskPath);
    } finally {
      if (stream instanceof Readable) stream.destroy();
      for (const name of await readdir(this.#layersDir))
        if (name.startsWith(basename(work))) await rm(join(this.#layersDir, name), { force: true });
      release?.();
    }
  }

  /** Removes a layer that nothing uses. Does nothing while something does. */
  async remove(diffId: string): Promise<void> {
    const layer = this.#layers.get(diffId);
    if (layer === undefined || this.isReferenced(diffId)) return;
    this.#documents.delete(collection, diffId);
    this.origins.forget(diffId);
    this.#layers.delete(diffId);
    const removal = this.#removeFiles(layer);
    this.#removals.set(diffId, removal);
    try {
      await removal;
    } finally {
      this.#removals.delete(diffId);
    }
  }

  async repair(): Promise<void> {
    await mkdir(this.#layersDir, { recursive: true });
    await mkdir(this.#blobsDir, { recursive: true, mode: 0o700 });
    const present = new Set(await readdir(this.#layersDir));
    for (const [diffId, layer] of [...this.#layers]) {
      if (await areWhole(this.#diskPaths(layer), present)) continue;
      this.#documents.delete(collection, diffId);
      this.origins.forget(diffId);
      this.#layers.delete(diffId);
    }
    const disks = new Set(
      this.list().flatMap((layer) => this.#diskPaths(layer).map((path) => basename(path))),
    );
    await removeOthers(this.#layersDir, disks);
    const blobs = new Set(
      [...this.#layers.values()].flatMap(blobsOf).map(({ digest }) => digest.slice('sha256:'.length)),
    );
    await removeOthers(this.#blobsDir, blobs);
  }

  async #removeFiles(layer: LayerRecord): Promise<void> {
    for (const path of this.#diskPaths(layer)) await rm(path, { force: true });
    for (const { digest } of blobsOf(layer))
      if (this.findByBlob(digest) === undefined) await rm(this.blobPath(digest), { force: true });
    for (const [path, bundle] of this.#bundles) {
      if (!bundle.diffIds.includes(layer.diffId)) continue;
      this.#bundles.delete(path);
      await bundle.written.catch(() => undefined);
      await rm(path, { force: true });
      await rm(tableOf(path), { force: true });
    }
  }

  /** The record last: a crash leaves files that `repair` removes, never a record without its files. */
  async #store(layer: LayerRecord, blobPath: string, diskPath: string): Promise<LayerRecord> {
    const images = imagePaths(diskPath, layer.images);
    for (const path of images) await chmod(path, 0o644);
    await this.#removals.get(layer.diffId)?.catch(() => undefined); // whose removal it is hears of it
    const existing = this.#layers.get(layer.diffId);
    if (existing !== undefined) return existing;
    await rename(blobPath, this.blobPath(layer.blob.digest));
    for (const [i, path] of this.#diskPaths(layer).entries()) await rename(images[i] ?? diskPath, path);
    await Promise.all([syncPath(this.#blobsDir), syncPath(this.#layersDir)]);
    const meanwhile = this.#layers.get(layer.diffId);
    if (meanwhile !== undefined) {
      // The image is the same; a blob that was compressed otherwise is one too many.
      if (this.findByBlob(layer.blob.digest) === undefined) await rm(this.blobPath(layer.blob.digest));
      return meanwhile;
    }
    this.#documents.put(collection, layer.diffId, layer);
    this.#layers.set(layer.diffId, layer);
    return layer;
  }

  /** The lowest first. */
  #diskPaths({ diffId, images }: LayerRecord): string[] {
    const name = `${diffId.slice('sha256:'.length)}.squashfs`;
    return imagePaths(join(this.#layersDir, name), images);
  }
}

function blobsOf({
  blob,
  otherBlobs = [],
}: LayerRecord): { digest: string; sizeBytes: number; compression: string }[] {
  return [blob, ...otherBlobs];
}

function isBlobCompression(compression: string): compression is BlobCompression {
  return compression === 'none' || compression === 'gzip' || compression === 'zstd';
}

/** Docker's limit (overlay2's); `prefix` goes before its words. */
export function requireLayerDepth(diffIds: readonly string[], prefix = ''): void {
  if (diffIds.length > maxLayers) throw new DaemonError('Internal', `${prefix}max depth exceeded`);
}

/** `present`: the names in their directory. */
async function areWhole(paths: readonly string[], present: ReadonlySet<string>): Promise<boolean> {
  for (const path of paths) if (!present.has(basename(path)) || !(await isWholeSquashfs(path))) return false;
  return true;
}

function tableOf(bundlePath: string): string {
  return bundlePath.replace(/vmdk$/, 'gpt');
}

/** VMs' users have to read both. The table first: a descriptor stands for a whole bundle. */
async function writeBundle(paths: readonly string[], bundlePath: string): Promise<void> {
  const files = await Promise.all(paths.map(async (path) => ({ path, sizeBytes: (await stat(path)).size })));
  const tablePath = tableOf(bundlePath);
  const { descriptor, table } = makeBundle(files, tablePath);
  for (const [path, content] of [
    [tablePath, table],
    [bundlePath, descriptor],
  ] as const) {
    await writeFile(path, content);
    await chmod(path, 0o644);
  }
}

async function removeOthers(directory: string, known: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!known.has(name)) await rm(join(directory, name), { force: true, recursive: true });
  }
}
