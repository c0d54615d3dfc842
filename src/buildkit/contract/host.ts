// What builds need of the house: images, layers, disks. The daemon composes it of storage and engine; nothing else of those is
// known in src/buildkit.

import type { LayerReader } from '../../builder/file-contents';
import type { Image } from '../../storage/contract/image';
import type { DocumentStore, ImageStore, LayerStore } from '../../storage/contract/stores';
import type { Executor } from './executor';
import type { ImageResolveMode, Platform } from './llb';
import type { ImageConfigResult } from './solver';
import type { RegistryToken, TokenRequest } from './session';

export type { DocumentStore };

export interface BuildHost {
  readonly images: BuildImages;
  /** Images as registries have them: the image store is one. */
  readonly contents: BuildContents;
  readonly layers: LayerStore & LayerReader;
  readonly executor: Executor;
  readonly disks: CacheDisks;
  /** Collections that begin with `buildkit-` are ours. */
  readonly documents: DocumentStore;
  /** For downloads and files of contexts; emptied when the daemon starts. */
  readonly temporaryDir: string;
}

export interface BuildContents extends Pick<ImageStore, 'pushContents' | 'fetchManifest' | 'fetchBlob'> {
  /** As the image store's, of an image that may be kept elsewhere. */
  createContents(...args: Parameters<ImageStore['createContents']>): Image | Promise<Image>;
}

/** Asked for each registry that is spoken to. */
export interface RegistryAccess {
  credentials(host: string, signal: AbortSignal): Promise<{ username: string; secret: string } | undefined>;
  fetchToken(request: TokenRequest, signal: AbortSignal): Promise<RegistryToken | undefined>;
}

export interface ImageRequest {
  /** `name[:tag][@digest]`, or the id of a local image. */
  readonly ref: string;
  readonly platform: Platform;
  readonly mode: ImageResolveMode;
  readonly access: RegistryAccess;
}

export interface BuildImages {
  /** Without layers. Rejects in the registry's words. */
  resolve(request: ImageRequest, signal: AbortSignal): Promise<ImageConfigResult>;
  /** Brings the layers of a resolved image into the store. `counter` is told of each layer's bytes. Held until `release`. */
  layers(
    request: ImageRequest & { digest: string },
    counter: (layer: { id: string; currentBytes: number; totalBytes: number; done: boolean }) => void,
    signal: AbortSignal,
  ): Promise<{ diffIds: readonly string[]; release: () => void }>;
  /** Makes the image of a configuration whose layers are in the store, and moves tags to it. Its id: the digest of `config`. */
  create(config: Buffer, names: readonly string[]): Promise<{ id: string }>;
  /** Diff IDs of the layers that images have. */
  usedLayers(): ReadonlySet<string>;
  /** Removes those of the layers that nothing needs any more. */
  removeUnusedLayers(diffIds: readonly string[]): Promise<void>;
  /** Docker's push of one name. */
  push(name: string, access: RegistryAccess, signal: AbortSignal): Promise<{ digest: string }>;
}

/** Sparse disks of cache mounts, by names of ours. */
export interface CacheDisks {
  /** The disk of that id, an empty one if it is not there yet; its path. */
  create(id: string): Promise<string>;
  usageBytes(id: string): Promise<number>;
  remove(id: string): Promise<void>;
  /** Removes all others: a crash may have left disks that no record names. */
  keepOnly(ids: ReadonlySet<string>): Promise<void>;
}
