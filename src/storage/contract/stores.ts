// contract/: what others see of storage.
//
// What the engine sees of storage: each store's contract, and what passes through it.

import type { Readable } from 'node:stream';
import type { ImageConfig } from '../../docker/image-config';
import type { RegistryAuth } from '../../registry/auth';
import type { Platform } from '../../registry/platform';
import type { Image } from './image';

/** One line of Docker's progress stream (pull, push, load, import). */
export interface ProgressMessage {
  status?: string;
  id?: string;
  progressDetail?: { current?: number; total?: number };
  /** The text form of progressDetail, as Docker renders it. */
  progress?: string;
  stream?: string;
  aux?: Record<string, unknown>;
}
export type ProgressSink = (message: ProgressMessage) => void;

export type TransferCounter = (blob: {
  id: string;
  currentBytes: number;
  totalBytes: number;
  done: boolean;
}) => void;

export interface ImageStore {
  /** By id, unique id prefix (with or without `sha256:`), tag reference or digest reference. Throws NotFound `No such image: …`. */
  get(ref: string): Image;
  /** `platform`: which of those that a name's index has; without one, and where it has none of it, the one that the name leads to. */
  find(ref: string, platform?: Platform): Image | undefined;
  list(): Image[];
  /**
   * Adds or moves a tag. `source` is an id or a name, whose index the tag gets too; `target` is `repository[:tag]`, validated with
   * Docker's reference grammar.
   */
  tag(source: string, target: string): void;
  /**
   * Docker's DELETE /images: untags, and deletes what is left without a name. `inUse` tells containers by image id.
   * Returns Docker's list of `{Untagged}` and `{Deleted}`.
   */
  remove(
    ref: string,
    options: { force: boolean; prune: boolean },
    inUse: (imageId: string) => { containerId: string; running: boolean }[],
  ): Promise<{ Untagged?: string; Deleted?: string }[]>;
  /** Writes an image whose layers are in the layer store already. Returns its id. */
  create(config: ImageConfig, options: { parentId?: string; tags?: string[] }): Promise<Image>;
  /** As `create`, of a configuration that is kept to the byte: the image's id is its digest. */
  createFrom(configText: string, tags: readonly string[]): Image;
  /**
   * Makes the images that the contents have configurations of, and lets the names lead to the one for `platform` (the first where none is
   * for it) and to the contents: a push sends exactly these. The layers must be held. Throws Internal for contents that aren't whole.
   */
  createContents(contents: ImageContents, names: readonly string[], platform: Platform): Image;
  /** What a name leads to besides an image; undefined where a push would make a manifest anew. */
  contentsOf(name: string): ImageContents | undefined;
  /**
   * Sends contents with their layers to a registry; under `tag` of the reference, or under its digest alone. `counter` is told of each
   * blob's bytes. Throws in the registry's words.
   */
  pushContents(
    contents: ImageContents,
    reference: string,
    options: { auth: RegistryAuth; byDigest: boolean },
    counter: TransferCounter,
    signal: AbortSignal,
  ): Promise<void>;
  /** A manifest or an index of a registry, by tag or digest. Throws NotFound and others in the registry's words. */
  fetchManifest(reference: string, auth: RegistryAuth, signal: AbortSignal): Promise<ContentDocument>;
  /** A blob of a repository. The caller checks its digest. */
  fetchBlob(reference: string, digest: string, auth: RegistryAuth, signal: AbortSignal): Readable;
  /** Docker's `history`, newest first. */
  history(ref: string): {
    Id: string;
    Created: number;
    CreatedBy: string;
    Tags: string[] | null;
    Size: number;
    Comment: string;
  }[];
  /** Size on this host's disk of the layers no other image uses, and of shared ones. For system df. */
  diskUsage(): { imageId: string; uniqueBytes: number; sharedBytes: number }[];
  pull(
    reference: string,
    options: { platform?: Platform; auth?: RegistryAuth; allTags?: boolean },
    progress: ProgressSink,
    signal: AbortSignal,
  ): Promise<void>;
  /** An image of a registry, without its layers; for linux/amd64 unless a platform is given. Throws in the registry's words. */
  findRemote(
    reference: string,
    options: { platform?: Platform; auth: RegistryAuth },
    signal: AbortSignal,
  ): Promise<RemoteImage>;
  /** What a registry has under a name. Throws in the registry's words. */
  distribution(reference: string, options: { auth: RegistryAuth }): Promise<Distribution>;
  /** `docker push` of `repository[:tag]`; every tag where there is none. Throws in Docker's words. */
  push(
    reference: string,
    options: { auth: RegistryAuth },
    progress: ProgressSink,
    signal: AbortSignal,
  ): Promise<void>;
  /** `docker load`: docker-archive and OCI layouts. Every loaded image is reported as Docker does (`Loaded image: …`). */
  load(
    archive: NodeJS.ReadableStream,
    options: { quiet: boolean },
    progress: ProgressSink,
    signal: AbortSignal,
  ): Promise<void>;
  /**
   * `docker save`: a docker-archive. Throws NotFound before the first byte; destroying the stream or the signal ends it.
   * A name without tag stands for all its tags.
   */
  save(refs: readonly string[], signal: AbortSignal): NodeJS.ReadableStream;
  /** `docker import`: one layer from a root file system tar (plain, gzip, xz, bzip2, zstd). Returns the image's id. */
  importTar(
    source: NodeJS.ReadableStream,
    options: { reference?: string; changes: string[]; message: string; platform?: Platform },
    progress: ProgressSink,
    signal: AbortSignal,
  ): Promise<string>;
  /** Deletes what no tag and no container holds (dangling) or, with `all`, every unused image. */
  prune(
    options: { all: boolean; filters: (image: Image) => boolean },
    inUse: (imageId: string) => { containerId: string; running: boolean }[],
  ): Promise<{ deleted: { Untagged?: string; Deleted?: string }[]; reclaimedBytes: number }>;
  /** Removes those of the layers that no image, no container and no operation needs: after one of them has let them go. */
  removeUnusedLayers(diffIds: readonly string[]): Promise<void>;
  /** Calls back for each pull, tag, untag, delete, load, import: the engine turns it into an event. */
  onEvent(
    listener: (event: { action: string; id: string; attributes: Record<string, string> }) => void,
  ): void;
  /** POST /auth. Returns the status text; throws Unauthorized with the registry's words. */
  login(auth: RegistryAuth): Promise<{ status: string; identityToken: string }>;
}

/**
 * An image as registries and archives have it: documents, and blobs that they name by digest. Layers are not among them: those
 * are in the layer store, and each manifest names one of the forms that `LayerStore.blob` has given.
 */
export interface ImageContents {
  /** What names lead to: a manifest, or an index. */
  readonly top: ContentDocument;
  /** Those that the index leads to. */
  readonly manifests: readonly ContentDocument[];
  /** Configurations, attestations. */
  readonly blobs: readonly Buffer[];
}

/** A manifest or an index: its digest is that of `body`. */
export interface ContentDocument {
  readonly mediaType: string;
  readonly body: Buffer;
}

export type BlobCompression = 'none' | 'gzip' | 'zstd';

/** A layer as it is sent. */
export interface LayerBlob {
  readonly digest: string;
  readonly sizeBytes: number;
  readonly compression: BlobCompression;
  /** From a byte on, which is not 0 only for what has been begun before. */
  open(start?: number): Readable;
}

export interface LayerStore {
  /** Host paths of the read-only squashfs images of these diff IDs, in the same order. Throws NotFound if one is missing. */
  diskPaths(diffIds: readonly string[]): string[];
  /**
   * Path of a VMDK descriptor that makes these layers partitions 1, 2 … of one disk, in the same order; undefined where
   * they are few, and better disks of their own. Good for as long as the layers are held.
   */
  bundle(diffIds: readonly string[]): Promise<string | undefined>;
  /** Uncompressed tar size. */
  sizeBytes(diffId: string): number;
  /**
   * Takes a layer's tar in: compressed or not. Rejects with Internal in Docker's words for a stream that is corrupt, cut
   * or hostile; then nothing is left of it. `onDiffId` is told what it is, for who wants to hold it before anybody can remove it.
   */
  add(
    stream: Readable,
    options: { signal?: AbortSignal; onDiffId?: ((diffId: string) => void) | undefined },
  ): Promise<{ diffId: string; sizeBytes: number }>;
  /**
   * The layer compressed so: as it came, where it came so, or, unless `force`, came compressed in another way; else it is compressed
   * now, and kept beside the layer, so that its digest stays good. The layer must be held by the caller.
   */
  blob(
    diffId: string,
    options: { compression: BlobCompression; force: boolean },
    signal: AbortSignal,
  ): Promise<LayerBlob>;
  /** Removes a layer that nothing uses. Does nothing while something does. */
  remove(diffId: string): Promise<void>;
  /** Keeps layers until the function it returns is called. */
  hold(diffIds: readonly string[]): () => void;
  /** Holds layers while a container uses them, so that no prune removes them. */
  reference(ownerId: string, diffIds: readonly string[]): void;
  unreference(ownerId: string): void;
  /** Who holds layers. */
  owners(): string[];
  /** Removes files of unfinished conversions and of layers nobody refers to. At start-up. */
  repair(): Promise<void>;
}

/** Sparse ext4 files, one for each container from `create` on. */
export interface WritableDiskStore {
  create(containerId: string, sizeBytes: number): Promise<string>;
  path(containerId: string): string;
  /** Allocated bytes on the host. 0 if there is none. */
  usageBytes(containerId: string): Promise<number>;
  /**
   * Bytes of the files that a container has written, as they are on its disk: a guest that has it mounted may know of more.
   * 0 if there is no disk, or none that can be read.
   */
  fileBytes(containerId: string): Promise<number>;
  remove(containerId: string): Promise<void>;
  list(): Promise<string[]>;
}

/**
 * Crash-safe documents by collection and id (SQLite, WAL). Values are JSON. Every write is durable against a crash of
 * the daemon when it returns.
 */
export interface DocumentStore {
  put(collection: string, id: string, value: object): void;
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the caller knows what it has put
  get<T>(collection: string, id: string): T | undefined;

  all<T>(collection: string): T[];
  delete(collection: string, id: string): void;
  /** All or nothing. */
  transaction<T>(work: () => T): T;
  close(): void;
}

/** An image that is known, and not here. */
export interface RemoteImage {
  /** Of what the name leads to: a manifest, or an index. */
  digest: string;
  /** The configuration's JSON. */
  config: Buffer;
  /** Lowest first. */
  diffIds: readonly string[];
  /** Brings those into the store that are missing. The caller holds them all. */
  fetchLayers: (progress: ProgressSink, signal: AbortSignal) => Promise<void>;
}

export interface Distribution {
  mediaType: string;
  digest: string;
  /** Bytes of the manifest or index. */
  sizeBytes: number;
  platforms: Platform[];
}
