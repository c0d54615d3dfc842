// What the API's image operations mean here: the stores do the work, this shapes questions and answers as Docker.

import type { Filters, ImageBackend, ProgressWriter } from '../../api/v1.41/backend';
import type {
  AuthConfig,
  DistributionInspect,
  HistoryItem,
  ImageDeleteItem,
  ImageInspect,
  ImagePruneResponse,
  ImageSummary,
} from '../../docker/types';
import { DaemonError, errorMessage, isDaemonError } from '../../errors';
import type { Image } from '../../storage/contract/image';
import type { ImageStore, LayerStore } from '../../storage/contract/stores';
import { imageMounts } from '../../semantics/containers/container-record';
import type { ContainerRegistry } from '../core/container-registry';
import { isActive } from '../../semantics/containers/container-state';
import type { EventPublisher } from '../../semantics/events/event-publisher';
import { imagePruneFilter } from '../../semantics/filters/image-filter';
import { isHello, makeHello } from '../images/hello';
import { inspectImage } from '../../semantics/images/inspect';
import { listImages } from '../../semantics/images/list';
import { searchImages } from '../../semantics/images/search';
import { hasTagOrDigest, pushTarget, tagTarget, withTag } from '../../semantics/images/tag-target';
import { layerGraphDriver } from '../system/graph-driver';
import { parsePlatform } from '../../registry/platform';
import { importRequest } from '../../semantics/images/import-request';
import { refuseReservedName } from '../../semantics/images/reserved-name';

export interface ImageBackendContext {
  images: ImageStore;
  layers: LayerStore;
  registry: ContainerRegistry;
  events: EventPublisher;
}

export class EngineImageBackend implements ImageBackend {
  readonly #images: ImageStore;
  readonly #layers: LayerStore;
  readonly #registry: ContainerRegistry;
  readonly #events: EventPublisher;

  /** From here on the store's events are the daemon's. */
  constructor(context: ImageBackendContext) {
    this.#images = context.images;
    this.#layers = context.layers;
    this.#registry = context.registry;
    this.#events = context.events;
    this.#images.onEvent(({ action, id, attributes }) => {
      this.#events.publish('image', action, id, { ...this.#labels(id), ...attributes });
    });
  }

  list(options: { all: boolean; digests: boolean; filters: Filters }): Promise<ImageSummary[]> {
    return promised(() => listImages(this.#images, options));
  }

  inspect(ref: string): Promise<ImageInspect> {
    return promised(() =>
      inspectImage(this.#lookUp(ref), (diffIds) => layerGraphDriver(diffIds, this.#layers)),
    );
  }

  history(ref: string): Promise<HistoryItem[]> {
    return promised(() => this.#images.history(ref));
  }

  async pull(
    options: { fromImage: string; tag: string; platform?: string; auth?: AuthConfig },
    progress: ProgressWriter,
    signal: AbortSignal,
  ): Promise<void> {
    const platform = parsePlatform(options.platform);
    const reference = withTag(options.fromImage, options.tag);
    refuseReservedName(reference);
    if (isHello(reference)) {
      await makeHello(this.#images, progress, signal);
      return;
    }
    await this.#images.pull(
      reference,
      {
        ...(platform === undefined ? {} : { platform }),
        ...(options.auth === undefined ? {} : { auth: options.auth }),
        // Docker's API pulls every tag of a repository that is named alone.
        allTags: !hasTagOrDigest(reference),
      },
      progress,
      signal,
    );
  }

  async importImage(
    options: {
      fromSrc: string;
      repo: string;
      tag: string;
      message: string;
      changes: string[];
      platform?: string;
    },
    body: NodeJS.ReadableStream,
    progress: ProgressWriter,
    signal: AbortSignal,
  ): Promise<void> {
    const { source, ...request } = await importRequest(options, body, progress, signal);
    progress({ status: await this.#images.importTar(source, request, progress, signal) });
  }

  async load(
    body: NodeJS.ReadableStream,
    options: { quiet: boolean },
    progress: ProgressWriter,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#images.load(body, options, progress, signal);
  }

  async push(
    ref: string,
    options: { tag: string; auth: AuthConfig },
    progress: ProgressWriter,
    signal: AbortSignal,
  ): Promise<void> {
    const reference = pushTarget(ref, options.tag);
    await this.#images.push(reference, { auth: options.auth }, progress, signal);
  }

  async distribution(ref: string, auth?: AuthConfig): Promise<DistributionInspect> {
    const { mediaType, digest, sizeBytes, platforms } = await this.#images.distribution(ref, {
      auth: auth ?? {},
    });
    return {
      Descriptor: { mediaType, digest, size: sizeBytes },
      Platforms: platforms.map(({ architecture, os, variant }) => ({
        architecture,
        os,
        ...(variant === undefined ? {} : { variant }),
      })),
    };
  }

  save(refs: string[], signal: AbortSignal): Promise<NodeJS.ReadableStream> {
    return promised(() => this.#images.save(refs, signal));
  }

  tag(ref: string, options: { repo: string; tag: string }): Promise<void> {
    return promised(() => {
      this.#images.get(ref);
      this.#images.tag(ref, tagTarget(options));
    });
  }

  async remove(ref: string, options: { force: boolean; noprune: boolean }): Promise<ImageDeleteItem[]> {
    return this.#images.remove(ref, { force: options.force, prune: !options.noprune }, this.#inUse);
  }

  async prune(filters: Filters): Promise<ImagePruneResponse> {
    const { all, matches } = imagePruneFilter(filters);
    const { deleted, reclaimedBytes } = await this.#images.prune({ all, filters: matches }, this.#inUse);
    this.#events.publish('image', 'prune', '', { reclaimed: String(reclaimedBytes) });
    return { ImagesDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: reclaimedBytes };
  }

  search(term: string, options: { limit: number; filters: Filters; auth?: AuthConfig }): Promise<object[]> {
    return searchImages(term, options);
  }

  #lookUp(ref: string): Image {
    try {
      return this.#images.get(ref);
    } catch (error) {
      if (!isDaemonError(error)) throw error;
      throw new DaemonError(error.code, `no such image: ${ref}: ${errorMessage(error)}`, { cause: error });
    }
  }

  #labels(id: string): Record<string, string> {
    try {
      return this.#images.find(id)?.config.config?.Labels ?? {};
    } catch {
      return {};
    }
  }

  readonly #inUse = (imageId: string): { containerId: string; running: boolean }[] =>
    this.#registry
      .list()
      .filter(
        ({ record }) => record.imageId === imageId || imageMounts(record).some(({ id }) => id === imageId),
      )
      .map(({ id, state }) => ({ containerId: id, running: isActive(state) || state.kind === 'restarting' }));
}

/** What `work` returns or throws, as a promise. */
async function promised<T>(work: () => T): Promise<T> {
  return Promise.resolve(work());
}
