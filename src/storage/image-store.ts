// ImageStore: images by name and id. What an operation is in detail stands in image-pull, -load, -import and -remove.

import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { familiarReference, parseReference } from '../registry/reference';
import { RegistryClient, type RegistryOptions } from '../registry/registry-client';
import { DaemonError } from '../errors';
import type { Image, ImageConfig } from './image';
import { importTar } from './image-import';
import { ImageIndex } from './image-index';
import { loadArchive } from './image-load';
import { pullImages, type PullContext } from './image-pull';
import { deleteImage, removeImage, type ImageUse, type RemovedItem } from './image-remove';
import type { SquashfsLayerStore } from './layer-store';
import { SharedTransfers } from './shared-transfers';
import type { DocumentStore, ImageStore, Platform, ProgressSink, RegistryAuth } from './stores';

type Listener = (event: { action: string; id: string; attributes: Record<string, string> }) => void;

const hubServer = 'https://index.docker.io/v1/';

export class DiskImageStore implements ImageStore {
  readonly #index: ImageIndex;
  readonly #layers: SquashfsLayerStore;
  readonly #registry: RegistryOptions;
  readonly #temporaryDir: string;
  readonly #listeners: Listener[] = [];
  readonly #transfers = new SharedTransfers();

  constructor(parts: {
    documents: DocumentStore;
    layers: SquashfsLayerStore;
    registry: RegistryOptions;
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

  find(ref: string): Image | undefined {
    return this.#index.find(ref);
  }

  list(): Image[] {
    return this.#index.list();
  }

  tag(imageId: string, target: string): void {
    const reference = parseReference(target);
    if (reference.digest !== undefined) {
      throw new DaemonError('InvalidParameter', 'refusing to create a tag with a digest reference');
    }
    const name = familiarReference(reference);
    this.#index.setName(name, imageId, true);
    this.#publish('tag', imageId, { name });
  }

  remove(ref: string, options: { force: boolean; prune: boolean }, inUse: ImageUse): Promise<RemovedItem[]> {
    return removeImage(this.#removeContext(), ref, options, inUse);
  }

  async create(config: ImageConfig, options: { parentId?: string; tags?: string[] }): Promise<Image> {
    const image = this.#index.add(JSON.stringify(config), options.parentId);
    for (const tag of options.tags ?? []) this.tag(image.id, tag);
    return Promise.resolve(this.#index.get(image.id));
  }

  history(ref: string): ReturnType<ImageStore['history']> {
    const image = this.#index.get(ref);
    const entries: ReturnType<ImageStore['history']> = [];
    let layer = 0;
    for (const item of image.config.history ?? []) {
      const diffId = item.empty_layer === true ? undefined : image.config.rootfs.diff_ids[layer];
      if (item.empty_layer !== true) layer += 1;
      entries.unshift({
        Id: '<missing>',
        Created: Math.floor(Date.parse(item.created ?? '0001-01-01T00:00:00Z') / 1000),
        CreatedBy: item.created_by ?? '',
        Tags: null,
        Size: diffId === undefined ? 0 : this.#layers.sizeBytes(diffId),
        Comment: item.comment ?? '',
      });
    }
    const [newest] = entries;
    if (newest !== undefined) {
      newest.Id = image.id;
      newest.Tags = image.repoTags.length === 0 ? null : image.repoTags;
    }
    return entries;
  }

  diskUsage(): ReturnType<ImageStore['diskUsage']> {
    const images = this.#index.list();
    const users = new Map<string, number>();
    for (const image of images) {
      for (const diffId of new Set(image.config.rootfs.diff_ids))
        users.set(diffId, (users.get(diffId) ?? 0) + 1);
    }
    return images.map((image) => {
      const sum = (shared: boolean): number =>
        [...new Set(image.config.rootfs.diff_ids)]
          .filter((diffId) => (users.get(diffId) ?? 0) > 1 === shared)
          .reduce((total, diffId) => total + this.#layers.sizeBytes(diffId), 0);
      return { imageId: image.id, uniqueBytes: sum(false), sharedBytes: sum(true) };
    });
  }

  async pull(
    reference: string,
    options: { platform?: Platform; auth?: RegistryAuth; allTags?: boolean },
    progress: ProgressSink,
    signal: AbortSignal,
  ): Promise<void> {
    const context: PullContext = {
      index: this.#index,
      layers: this.#layers,
      registry: this.#registry,
      transfers: this.#transfers,
      publish: this.#publish,
    };
    await pullImages(context, reference, options, progress, signal);
  }

  async load(
    archive: NodeJS.ReadableStream,
    options: { quiet: boolean },
    progress: ProgressSink,
    signal: AbortSignal,
  ): Promise<void> {
    const context = {
      index: this.#index,
      layers: this.#layers,
      temporaryDir: this.#temporaryDir,
      publish: this.#publish,
    };
    await loadArchive(context, archive, options, progress, signal);
  }

  importTar(
    source: NodeJS.ReadableStream,
    options: { reference?: string; changes: string[]; message: string; platform?: Platform },
    _progress: ProgressSink,
    signal: AbortSignal,
  ): Promise<string> {
    const context = { index: this.#index, layers: this.#layers, publish: this.#publish };
    return importTar(context, source, options, signal);
  }

  async prune(
    options: { all: boolean; filters: (image: Image) => boolean },
    inUse: ImageUse,
  ): Promise<{ deleted: RemovedItem[]; reclaimedBytes: number }> {
    const deleted: RemovedItem[] = [];
    let reclaimedBytes = 0;
    for (const image of this.#index.list()) {
      const named = image.repoTags.length > 0 || (options.all && image.repoDigests.length > 0);
      if ((named && !options.all) || !options.filters(image)) continue;
      if (inUse(image.id).length > 0 || this.#index.children(image.id).length > 0) continue;
      const usage = this.diskUsage().find(({ imageId }) => imageId === image.id);
      for (const name of this.#index.namesOf(image.id)) {
        this.#index.removeName(name);
        deleted.push({ Untagged: name });
        this.#publish('untag', image.id, { name: image.id });
      }
      await deleteImage(this.#removeContext(), image, deleted, true, inUse);
      reclaimedBytes += usage?.uniqueBytes ?? 0;
    }
    return { deleted, reclaimedBytes };
  }

  onEvent(listener: Listener): void {
    this.#listeners.push(listener);
  }

  async login(auth: RegistryAuth): Promise<{ status: string; identityToken: string }> {
    const server = auth.serveraddress ?? '';
    const host =
      server === '' || server === hubServer ? 'docker.io' : server.replace(/^https?:\/\//, '').split('/')[0];
    const client = new RegistryClient(host ?? '', auth, this.#registry);
    await client.login(AbortSignal.timeout(30_000));
    return { status: 'Login Succeeded', identityToken: '' };
  }

  #removeContext(): { index: ImageIndex; layers: SquashfsLayerStore; publish: PullContext['publish'] } {
    return { index: this.#index, layers: this.#layers, publish: this.#publish };
  }

  readonly #publish = (action: string, id: string, attributes: Record<string, string>): void => {
    for (const listener of this.#listeners) listener({ action, id, attributes });
  };
}
