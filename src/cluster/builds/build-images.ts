// Images as BuildKit's builds want them: those of the cluster's records, or of registries that the build's client knows. What a build makes
// goes into the operator's registry and the records, as that of the classic builder does.

import { createHash } from 'node:crypto';
import { BuildError } from '../../buildkit/contract/errors';
import type { BuildContents, BuildImages, ImageRequest, RegistryAccess } from '../../buildkit/contract/host';
import type { ImageConfigResult } from '../../buildkit/contract/solver';
import { RegistryClient } from '../../registry/registry-client';
import type { RegistryAuth } from '../../registry/auth';
import type { BlobDescriptor } from '../../registry/registry-upload';
import {
  authFor,
  keyOf,
  pinned,
  platformOf,
  pushedDigest,
  referenceOf,
  resolveConfig,
} from '../../semantics/builds/image-refs';
import type { Image } from '../../storage/contract/image';
import type { DiskImageStore } from '../../storage/image-store';
import { blobsNamedBy, manifestsOf } from '../../storage/images/image-contents';
import { resolveImage } from '../../storage/transfers/image-resolution';
import type { NodeSource } from '../contract/cluster-record';
import type { ClusterImageBackend } from '../images/image-backend';
import type { FoundLayer, ImageCatalog } from '../images/image-catalog';
import type { FetchNeeds } from '../layers/fetched-layers';
import { keepImage } from '../layers/made-images';
import type { OwnRegistry } from '../layers/own-registry';
import type { Workshop } from '../layers/workshop';
import type { BuildLayers } from './build-layers';

/** Of images that were found and whose layers may be wanted. */
const maxRemembered = 1_000;

export interface BuildImagesNeeds extends FetchNeeds {
  catalog: ImageCatalog;
  images: Pick<ClusterImageBackend, 'tag' | 'push' | 'released'>;
  own: OwnRegistry;
}

/** What a registry has. */
interface RemoteImage {
  digest: string;
  config: Buffer;
  layers: readonly FoundLayer[];
}

export class ClusterBuildImages implements BuildImages, BuildContents {
  readonly #needs: BuildImagesNeeds;
  readonly #workshop: Workshop;
  readonly #layers: BuildLayers;
  /** Speaks with registries; it has no images. */
  readonly #transfers: DiskImageStore;
  /** What registries had, by digest and platform. */
  readonly #found = new Map<string, RemoteImage>();
  /** Where nodes find a file system, by its layers. */
  readonly #sources = new Map<string, NodeSource>();
  /** By diff ID, what is in the operator's registry. */
  readonly #there = new Map<string, BlobDescriptor>();
  /** Of clients' credentials. */
  readonly #secrets = new Set<string>();

  constructor(needs: BuildImagesNeeds, workshop: Workshop, layers: BuildLayers, transfers: DiskImageStore) {
    this.#needs = needs;
    this.#workshop = workshop;
    this.#layers = layers;
    this.#transfers = transfers;
  }

  async resolve(request: ImageRequest, signal: AbortSignal): Promise<ImageConfigResult> {
    const { index } = await this.#needs.catalog.read();
    return resolveConfig(request, index, () => this.#remote(request, request.ref, signal));
  }

  /** They stay where they are until somebody reads them. */
  async layers(
    request: ImageRequest & { digest: string },
    _counter: unknown,
    signal: AbortSignal,
  ): Promise<{ diffIds: readonly string[]; release: () => void }> {
    const record = (await this.#needs.catalog.read()).record(request.digest);
    const [source] = record?.sources ?? [];
    const layers =
      record === undefined || source === undefined
        ? (
            this.#found.get(keyOf(request.digest, request.platform)) ??
            (await this.#remote(request, pinned(request.ref, request.digest), signal))
          ).layers
        : record.layers.map((layer) => ({ layer, source }));
    this.#layers.know(layers);
    const diffIds = layers.map(({ layer }) => layer.diffId);
    const [first] = layers;
    if (first !== undefined) this.#sources.set(diffIds.join(), first.source);
    return { diffIds, release: this.#layers.hold(diffIds) };
  }

  async create(config: Buffer, names: readonly string[]): Promise<{ id: string }> {
    const { id } = await this.#keep(config.toString(), new AbortController().signal);
    for (const name of names) await this.#needs.images.tag(id, { repo: name, tag: '' });
    return { id };
  }

  /** A record is one image: of several platforms the daemon's own. What else there is goes with a push alone. */
  async createContents(
    ...[contents, names, platform]: Parameters<BuildContents['createContents']>
  ): Promise<Image> {
    const texts = manifestsOf(contents).flatMap(({ isImage, configBlob }) =>
      isImage ? [configBlob.toString()] : [],
    );
    const isWanted = (text: string): boolean => {
      const { os, architecture } = JSON.parse(text) as { os?: unknown; architecture?: unknown };
      return os === platform.os && architecture === platform.architecture;
    };
    const text = texts.find(isWanted) ?? texts[0];
    if (text === undefined) throw new BuildError('Internal', 'the manifests are of no image');
    const image = await this.#keep(text, new AbortController().signal);
    for (const name of names)
      if (referenceOf(name).digest === undefined)
        await this.#needs.images.tag(image.id, { repo: name, tag: '' });
    return image;
  }

  /** The registry has the layers of images: none of those that are here is theirs. */
  usedLayers(): ReadonlySet<string> {
    return new Set();
  }

  async removeUnusedLayers(diffIds: readonly string[]): Promise<void> {
    for (const diffId of diffIds) await this.#layers.remove(diffId);
  }

  async push(name: string, access: RegistryAccess, signal: AbortSignal): Promise<{ digest: string }> {
    const auth = await authFor(name, access, signal);
    const { images } = this.#needs;
    const digest = await pushedDigest((progress) => images.push(name, { tag: '', auth }, progress, signal));
    return { digest };
  }

  async pushContents(...args: Parameters<BuildContents['pushContents']>): Promise<void> {
    const [contents, , , , signal] = args;
    const wanted = new Set(blobsNamedBy(contents).map(({ digest }) => digest));
    await this.#layers.fetchBlobs(wanted, signal);
    await this.#transfers.pushContents(...args);
  }

  fetchManifest(
    ...args: Parameters<BuildContents['fetchManifest']>
  ): ReturnType<BuildContents['fetchManifest']> {
    return this.#transfers.fetchManifest(...args);
  }

  fetchBlob(...args: Parameters<BuildContents['fetchBlob']>): ReturnType<BuildContents['fetchBlob']> {
    return this.#transfers.fetchBlob(...args);
  }

  /** An image whose files are these layers, in a registry. Throws in the registry's words. */
  async sourceOf(diffIds: readonly string[], signal: AbortSignal): Promise<NodeSource> {
    const key = diffIds.join();
    const known = this.#sources.get(key);
    if (known !== undefined) return known;
    const config = {
      ...{ architecture: 'amd64', os: 'linux', config: {} },
      rootfs: { type: 'layers' as const, diff_ids: [...diffIds] },
    };
    const configText = JSON.stringify(config);
    const id = `sha256:${createHash('sha256').update(configText).digest('hex')}`;
    const view = await this.#needs.catalog.read();
    const { source } = await this.#putting(() =>
      this.#needs.own.put({ id, configText, config }, { ...this.#places(), view }, signal),
    );
    this.#sources.set(key, source);
    return source;
  }

  /** A node could not pull it: it is put there again when it is wanted again. */
  forgetSource(diffIds: readonly string[]): void {
    this.#sources.delete(diffIds.join());
    this.#there.clear();
  }

  /** No build goes on: Secrets that no image and no container needs go. */
  async dropSecrets(): Promise<void> {
    for (const secret of this.#secrets) {
      this.#secrets.delete(secret);
      await this.#needs.images.released({ reference: '', secret });
    }
  }

  async #keep(configText: string, signal: AbortSignal): Promise<Image> {
    const made = { configText, parentId: '', names: [] };
    const { image } = await this.#putting(() => keepImage(this.#needs, this.#places(), made, signal));
    return image;
  }

  /** Whatever was thought to be there, a registry that refuses may have lost. */
  async #putting<T>(put: () => Promise<T>): Promise<T> {
    try {
      return await put();
    } catch (error) {
      this.#there.clear();
      throw error;
    }
  }

  #places(): {
    workshop: Workshop;
    there: Map<string, BlobDescriptor>;
    elsewhere: BuildLayers['whereabouts'];
  } {
    return {
      workshop: this.#workshop,
      there: this.#there,
      elsewhere: (diffId) => this.#layers.whereabouts(diffId),
    };
  }

  async #remote(request: ImageRequest, ref: string, signal: AbortSignal): Promise<RemoteImage> {
    const auth = await authFor(ref, request.access, signal);
    const reference = referenceOf(ref);
    const { registry, catalog } = this.#needs;
    const client = new RegistryClient(reference.domain, auth, registry);
    const question = { client, platform: platformOf(request.platform), progress: () => undefined, signal };
    const { index } = await catalog.read();
    const { digest, config, layers } = await resolveImage(question, reference, (id) => index.configText(id));
    const source = await this.#source(
      `${reference.domain}/${reference.path}@${digest}`,
      reference.domain,
      auth,
    );
    const found = {
      digest,
      config: Buffer.from(config.text),
      layers: layers.map(({ digest: blob, size }, i) => ({
        layer: { diffId: config.parsed.rootfs.diff_ids[i] ?? '', digest: blob, bytes: size },
        source,
      })),
    };
    const [oldest] = this.#found.keys();
    if (this.#found.size >= maxRemembered && oldest !== undefined) this.#found.delete(oldest);
    this.#found.set(keyOf(digest, request.platform), found);
    return found;
  }

  /** A node is let in with what the client is let in with. */
  async #source(reference: string, domain: string, auth: RegistryAuth): Promise<NodeSource> {
    const secret = await this.#needs.secrets.keep(domain, auth);
    if (secret === undefined) return { reference };
    this.#secrets.add(secret);
    return { reference, secret };
  }
}
