// Layers of BuildKit's builds: those that were made here lie in a workshop, those of images in registries until somebody reads them.

import { Readable } from 'node:stream';
import { unlessAborted } from '../../async/deadline';
import type { LayerReader } from '../../builder/file-contents';
import type { BlobCompression, LayerBlob, LayerStore } from '../../storage/contract/stores';
import { detectCompression } from '../../storage/layers/compression';
import { tarBlock } from '../../storage/tar/tar-header';
import type { FoundLayer } from '../images/image-catalog';
import { originOf, skipping } from '../images/image-push';
import { fetchLayer, type FetchNeeds } from '../layers/fetched-layers';
import type { Workshop } from '../layers/workshop';

type Store = Workshop['layers'];

export class BuildLayers implements LayerStore, LayerReader {
  readonly #needs: FetchNeeds;
  readonly #store: Store;
  readonly #known = new Map<string, FoundLayer>();
  readonly #fetches = new Map<string, Promise<void>>();
  /** By the digests of blobs. */
  readonly #compressions = new Map<string, BlobCompression>();
  readonly #closing = new AbortController();

  constructor(needs: FetchNeeds, { layers }: Workshop) {
    this.#needs = needs;
    this.#store = layers;
  }

  close(): void {
    this.#closing.abort();
  }

  /** From now on these can be read. */
  know(layers: readonly FoundLayer[]): void {
    for (const found of layers) this.#known.set(found.layer.diffId, found);
  }

  /** Where a registry has it. */
  whereabouts(diffId: string): FoundLayer | undefined {
    return this.#known.get(diffId);
  }

  /** Nobody has its disks; whoever asks wants to know whether the layers can be had. */
  diskPaths(diffIds: readonly string[]): string[] {
    this.#store.diskPaths(diffIds.filter((diffId) => !this.#known.has(diffId)));
    return [];
  }

  bundle(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  sizeBytes(diffId: string): number {
    const here = this.#store.sizeBytes(diffId);
    return here > 0 ? here : (this.#known.get(diffId)?.layer.bytes ?? 0);
  }

  add(...args: Parameters<LayerStore['add']>): ReturnType<LayerStore['add']> {
    return this.#store.add(...args);
  }

  openTar(diffId: string): Readable {
    return Readable.from(this.#read(diffId), { objectMode: false });
  }

  /** What a registry has as it may be sent stays there until it is opened. */
  async blob(...[diffId, options, signal]: Parameters<LayerStore['blob']>): Promise<LayerBlob> {
    const known = this.#store.find(diffId) === undefined ? this.#known.get(diffId) : undefined;
    const compression = known && (await this.#compressionOf(known, signal));
    if (
      known === undefined ||
      compression === undefined ||
      (options.force && compression !== options.compression)
    ) {
      await unlessAborted(this.#fetch(diffId), signal);
      return this.#store.blob(diffId, options, signal);
    }
    const { digest, bytes } = known.layer;
    const open = (start = 0): Readable =>
      Readable.from(skipping(this.#openBlob(known), start), { objectMode: false });
    return { digest, sizeBytes: bytes, compression, open };
  }

  /** They are here: by the digests of their blobs. */
  async fetchBlobs(digests: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    for (const [diffId, { layer }] of this.#known)
      if (digests.has(layer.digest)) await unlessAborted(this.#fetch(diffId), signal);
  }

  remove(diffId: string): Promise<void> {
    return this.#store.remove(diffId);
  }

  hold(diffIds: readonly string[]): () => void {
    return this.#store.hold(diffIds);
  }

  reference(ownerId: string, diffIds: readonly string[]): void {
    this.#store.reference(ownerId, diffIds);
  }

  unreference(ownerId: string): void {
    this.#store.unreference(ownerId);
  }

  owners(): string[] {
    return this.#store.owners();
  }

  repair(): Promise<void> {
    return this.#store.repair();
  }

  async *#read(diffId: string): AsyncGenerator<Buffer, void, undefined> {
    const release = this.#store.hold([diffId]);
    try {
      await this.#fetch(diffId);
      yield* this.#store.openTar(diffId) as AsyncIterable<Buffer>; // a stream of bytes
    } finally {
      release();
    }
  }

  /** By its first bytes; undefined for one that is neither. */
  async #compressionOf(found: FoundLayer, signal: AbortSignal): Promise<BlobCompression | undefined> {
    const { digest } = found.layer;
    const known = this.#compressions.get(digest);
    if (known !== undefined) return known;
    let head = Buffer.alloc(0);
    for await (const chunk of this.#openBlob(found)) {
      signal.throwIfAborted();
      head = Buffer.concat([head, chunk]);
      if (head.length >= tarBlock) break;
    }
    const compression = compressionOf(head);
    if (compression !== undefined) this.#compressions.set(digest, compression);
    return compression;
  }

  async *#openBlob({ layer, source }: FoundLayer): AsyncGenerator<Buffer, void, undefined> {
    const { client, name } = await originOf(this.#needs, source);
    yield* client.openBlob(name, layer.digest, this.#closing.signal);
  }

  /** Once, however many want it. */
  #fetch(diffId: string): Promise<void> {
    if (this.#store.find(diffId) !== undefined) return Promise.resolve();
    const known = this.#fetches.get(diffId);
    if (known !== undefined) return known;
    const places = {
      workshop: { layers: this.#store },
      view: { findLayer: (id: string) => this.#known.get(id) },
    };
    const fetching = fetchLayer(this.#needs, places, diffId, this.#closing.signal).finally(() =>
      this.#fetches.delete(diffId),
    );
    this.#fetches.set(diffId, fetching);
    fetching.catch(() => undefined); // whoever waits for it hears of it
    return fetching;
  }
}

function compressionOf(head: Buffer): BlobCompression | undefined {
  const detected = detectCompression(head);
  if (detected === 'gzip' || detected === 'zstd') return detected;
  return head.subarray(257, 262).toString() === 'ustar' ? 'none' : undefined;
}
