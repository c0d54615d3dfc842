// ImageStore: images by name and id. What an operation is in detail stands in image-pull, -load, -import and -remove.

import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { familiarReference, parseReference } from '../registry/reference';
import { RegistryClient } from '../registry/registry-client';
import { RegistryUpload } from '../registry/registry-upload';
import { DaemonError } from '../errors';
import { goQuote } from '../go/quote';
import type { Image } from './contract/image';
import type { ImageConfig } from '../docker/image-config';
import { inspectDistribution } from './transfers/image-distribution';
import { importTar } from './archives/image-import';
import { parseConfig } from './images/image-config';
import { manifestsOf, requireBlobs } from './images/image-contents';
import { imageHistory, imageUsage } from './images/image-history';
import { ImageIndex } from './images/image-index';
import { loadArchive } from './archives/image-load';
import { pushDocuments } from './transfers/contents-push';
import { pullImages, type PullContext, type TransferSettings } from './transfers/image-pull';
import { repositoryName } from './transfers/image-resolution';
import {
  pruneImages,
  removeImage,
  type ImageUse,
  type RemoveContext,
  type RemovedItem,
} from './images/image-remove';
import { pushImages } from './transfers/image-push';
import { findRemoteImage } from './transfers/remote-image';
import { saveImages, type SaveContext } from './archives/image-save';
import { removeUnused } from './images/layer-garbage';
import { requireLayerDepth, type SquashfsLayerStore } from './layers/layer-store';
import { SharedTransfers } from './transfers/shared-transfers';
import type {
  ContentDocument,
  Distribution,
  DocumentStore,
  ImageContents,
  ImageStore,
  ProgressSink,
  RemoteImage,
  TransferCounter,
} from './contract/stores';
import type { Platform } from '../registry/platform';
import type { RegistryAuth } from '../registry/auth';

type Listener = (event: { action: string; id: string; attributes: Record<string, string> }) => void;

const loginTimeoutMs = 30_000;
const distributionTimeoutMs = 60_000;
const hubHosts = ['', 'docker.io', 'index.docker.io', 'registry-1.docker.io'];

export class DiskImageStore implements ImageStore {
  readonly #index: ImageIndex;
  readonly #layers: SquashfsLayerStore;
  readonly #registry: TransferSettings;
  readonly #temporaryDir: string;
  readonly #listeners: Listener[] = [];
  readonly #transfers = new SharedTransfers();

  constructor(parts: {
    documents: DocumentStore;
    layers: SquashfsLayerStore;
    registry: TransferSettings;
    dataRoot: string;
  }) {
    this.#layers = parts.layers;
    this.#registry = parts.registry;
    this.#temporaryDir = join(parts.dataRoot, 'tmp');
    this.#index = new ImageIndex(parts.documents, (diffId) => parts.layers.sizeBytes(diffId));
  }

  /** At start-up: removes spool files, and layers that no image and no container uses. */
  async repair(): Promise<void> {
    await mkdir(this.#temporaryDir, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#temporaryDir)) {
      await rm(join(this.#temporaryDir, name), { recursive: true, force: true });
    }
    const used = new Set(this.#index.list().flatMap((image) => image.config.rootfs.diff_ids));
    for (const layer of this.#layers.list())
      if (!used.has(layer.diffId)) await this.#layers.remove(layer.diffId);
  }

  get(ref: string): Image {
    return this.#index.get(ref);
  }

  find(ref: string, platform?: Platform): Image | undefined {
    return this.#index.find(ref, platform);
  }

  list(): Image[] {
    return this.#index.list();
  }

  tag(source: string, target: string): void {
    const { id: imageId } = this.#index.get(source);
    const reference = parseReference(target);
    if (reference.digest !== undefined) {
      throw new DaemonError('InvalidParameter', 'refusing to create a tag with a digest reference');
    }
    const name = familiarReference(reference);
    this.#index.setName(name, imageId, true, this.#contentsDigestOf(source));
    this.#publish('tag', imageId, { name });
  }

  /** Of a name; ids have none. */
  #contentsDigestOf(source: string): string | undefined {
    if (/^sha256:[a-f0-9]{64}$/.test(source)) return undefined;
    try {
      return this.#index.contentsDigestOf(familiarReference(parseReference(source)));
    } catch {
      return undefined;
    }
  }

  createContents(contents: ImageContents, names: readonly string[], platform: Platform): Image {
    const references = names.map((name) => parseReference(name));
    const manifests = manifestsOf(contents);
    requireBlobs(contents, manifests, this.#layers);
    const texts = manifests.filter(({ isImage }) => isImage).map(({ configBlob }) => configBlob.toString());
    for (const text of texts) requireLayerDepth(parseConfig(text).rootfs.diff_ids);
    const made = texts.map((text) => this.#index.add(text));
    const isWanted = ({ config }: Image): boolean =>
      config.os === platform.os && config.architecture === platform.architecture;
    const image = made.find(isWanted) ?? made[0];
    if (image === undefined) throw new DaemonError('Internal', 'the manifests are of no image');
    if (references.length === 0) return image;
    const digest = this.#index.addContents(
      contents,
      made.map(({ id }) => id),
    );
    for (const reference of references) {
      const name = familiarReference(reference);
      this.#index.setName(name, image.id, reference.digest === undefined, digest);
      this.#publish('tag', image.id, { name });
    }
    return this.#index.get(image.id);
  }

  contentsOf(name: string): ImageContents | undefined {
    return this.#index.contentsOf(familiarReference(parseReference(name)));
  }

  async pushContents(
    contents: ImageContents,
    text: string,
    { auth, byDigest }: { auth: RegistryAuth; byDigest: boolean },
    counter: TransferCounter,
    signal: AbortSignal,
  ): Promise<void> {
    const reference = parseReference(text);
    const client = new RegistryClient(reference.domain, auth, { ...this.#registry, mirrors: [] });
    await client.connect(signal);
    const push = {
      layers: this.#layers,
      upload: new RegistryUpload(client, reference.path),
      reference,
      parallelUploads: this.#registry.parallelUploads,
      counter,
      signal,
    };
    await pushDocuments(push, contents, byDigest ? undefined : (reference.tag ?? 'latest'));
  }

  async fetchManifest(text: string, auth: RegistryAuth, signal: AbortSignal): Promise<ContentDocument> {
    const reference = parseReference(text);
    const client = new RegistryClient(reference.domain, auth, this.#registry);
    const wanted = reference.digest ?? reference.tag ?? 'latest';
    const { mediaType, body } = await client.manifest(repositoryName(reference), wanted, signal);
    return { mediaType, body };
  }

  fetchBlob(text: string, digest: string, auth: RegistryAuth, signal: AbortSignal): Readable {
    const reference = parseReference(text);
    const client = new RegistryClient(reference.domain, auth, this.#registry);
    return Readable.from(client.openBlob(repositoryName(reference), digest, signal), { objectMode: false });
  }

  remove(ref: string, options: { force: boolean; prune: boolean }, inUse: ImageUse): Promise<RemovedItem[]> {
    return removeImage(this.#removeContext(inUse), ref, options);
  }

  async create(config: ImageConfig, options: { parentId?: string; tags?: string[] }): Promise<Image> {
    requireLayerDepth(config.rootfs.diff_ids);
    const image = this.#index.add(JSON.stringify(config), options.parentId);
    for (const tag of options.tags ?? []) this.tag(image.id, tag);
    return Promise.resolve(this.#index.get(image.id));
  }

  createFrom(configText: string, tags: readonly string[]): Image {
    requireLayerDepth(parseConfig(configText).rootfs.diff_ids);
    const image = this.#index.add(configText);
    for (const tag of tags) this.tag(image.id, tag);
    return this.#index.get(image.id);
  }

  history(ref: string): ReturnType<ImageStore['history']> {
    return imageHistory(this.#index, (diffId) => this.#layers.sizeBytes(diffId), ref);
  }

  diskUsage(): ReturnType<ImageStore['diskUsage']> {
    return imageUsage(this.#index, (diffId) => this.#layers.sizeBytes(diffId));
  }

  async pull(
    reference: string,
    options: { platform?: Platform; auth?: RegistryAuth; allTags?: boolean },
    progress: ProgressSink,
    signal: AbortSignal,
  ): Promise<void> {
    await pullImages(this.#pullContext(), reference, options, progress, signal);
  }

  findRemote(
    reference: string,
    { platform, auth }: { platform?: Platform; auth: RegistryAuth },
    signal: AbortSignal,
  ): Promise<RemoteImage> {
    return findRemoteImage(this.#pullContext(), reference, { platform, auth }, signal);
  }

  async load(
    archive: NodeJS.ReadableStream,
    options: { quiet: boolean },
    progress: ProgressSink,
    signal: AbortSignal,
  ): Promise<void> {
    const context = { ...this.#context(), temporaryDir: this.#temporaryDir };
    await loadArchive(context, archive, options, progress, signal);
  }

  distribution(reference: string, options: { auth: RegistryAuth }): Promise<Distribution> {
    const signal = AbortSignal.timeout(distributionTimeoutMs);
    return inspectDistribution(this.#registry, reference, options.auth, signal);
  }

  push(
    reference: string,
    options: { auth: RegistryAuth },
    progress: ProgressSink,
    signal: AbortSignal,
  ): Promise<void> {
    const context = { ...this.#context(), registry: this.#registry };
    return pushImages(context, reference, options, progress, signal);
  }

  save(refs: readonly string[], signal: AbortSignal): Readable {
    return saveImages(this.#context(), refs, signal);
  }

  importTar(
    source: NodeJS.ReadableStream,
    options: { reference?: string; changes: string[]; message: string; platform?: Platform },
    _progress: ProgressSink,
    signal: AbortSignal,
  ): Promise<string> {
    return importTar(this.#context(), source, options, signal);
  }

  prune(
    options: { all: boolean; filters: (image: Image) => boolean },
    inUse: ImageUse,
  ): Promise<{ deleted: RemovedItem[]; reclaimedBytes: number }> {
    return pruneImages(this.#removeContext(inUse), options);
  }

  removeUnusedLayers(diffIds: readonly string[]): Promise<void> {
    return removeUnused({ index: this.#index, layers: this.#layers }, diffIds);
  }

  onEvent(listener: Listener): void {
    this.#listeners.push(listener);
  }

  async login(auth: RegistryAuth): Promise<{ status: string; identityToken: string }> {
    const client = new RegistryClient(loginHost(auth.serveraddress ?? ''), auth, this.#registry);
    const identityToken = await client.login(AbortSignal.timeout(loginTimeoutMs));
    return { status: 'Login Succeeded', identityToken };
  }

  #removeContext(inUse: ImageUse): RemoveContext {
    return { ...this.#context(), inUse };
  }

  #pullContext(): PullContext {
    return { ...this.#context(), registry: this.#registry, transfers: this.#transfers };
  }

  /** What every operation on images works with. */
  #context(): SaveContext {
    return { index: this.#index, layers: this.#layers, publish: this.#publish };
  }

  readonly #publish = (action: string, id: string, attributes: Record<string, string>): void => {
    for (const listener of this.#listeners) listener({ action, id, attributes });
  };
}

/** The registry that a login's address means: `https://host/v1/`, `host:port`, or nothing for Docker Hub. */
function loginHost(address: string): string {
  const url = address === '' || /^https?:\/\//.test(address) ? address : `https://${address}`;
  if (url !== '' && !URL.canParse(url)) {
    throw new DaemonError(
      'InvalidParameter',
      `unable to parse server address: parse ${goQuote(url)}: invalid host name`,
    );
  }
  const host = url === '' ? '' : new URL(url).host;
  return hubHosts.includes(host) ? 'docker.io' : host;
}
