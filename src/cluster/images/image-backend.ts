// What the API's image operations mean on a cluster.

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
import { log } from '../../log';
import { parsePlatform, type Platform } from '../../registry/platform';
import { familiarReference, parseReference } from '../../registry/reference';
import type { RegistryOptions } from '../../registry/registry-client';
import { imagePruneFilter } from '../../semantics/filters/image-filter';
import { inspectImage } from '../../semantics/images/inspect';
import { listImages } from '../../semantics/images/list';
import { requirePlatform } from '../../semantics/images/image-platform';
import { refuseReservedName } from '../../semantics/images/reserved-name';
import { searchImages } from '../../semantics/images/search';
import { pushTarget, tagTarget, withTag, hasTagOrDigest } from '../../semantics/images/tag-target';
import type { Image } from '../../storage/contract/image';
import { imageHistory } from '../../storage/images/image-history';
import { pruneImages, removeImage, type ImageUse } from '../../storage/images/image-remove';
import { inspectDistribution } from '../../storage/transfers/image-distribution';
import type { ImageCatalog, ImageChange, ImageRecord, ImageSource, ImageView } from './image-catalog';
import { pullImages, sourceFor } from './image-pull';
import { pushImages } from './image-push';
import type { PullSecrets } from './pull-secrets';

/** A container that an image is needed for. */
export interface ImageUser {
  imageId: string;
  containerId: string;
  running: boolean;
  /** Which its node pulls by. */
  secret?: string | undefined;
}

export interface ClusterImagesContext {
  catalog: ImageCatalog;
  secrets: PullSecrets;
  registry: RegistryOptions;
  /** Of all daemons' containers. */
  users: () => Promise<ImageUser[]>;
  /** What needs layers at hand. */
  archives: Pick<ImageBackend, 'load' | 'save' | 'importImage'>;
  publish: (action: string, id: string, attributes: Record<string, string>) => Promise<void>;
}

/** An image as a container's create needs it. */
export interface NodeImage {
  image: Image;
  source: ImageSource;
}

interface ImageEvent {
  action: string;
  id: string;
  attributes: Record<string, string>;
}

const distributionTimeoutMs = 60_000;
/** No disks of layers are here. */
const graphDriver = { Data: null, Name: 'kubernetes' };

export class ClusterImageBackend implements ImageBackend {
  readonly #context: ClusterImagesContext;
  readonly #catalog: ImageCatalog;

  constructor(context: ClusterImagesContext) {
    const publish: ClusterImagesContext['publish'] = async (action, id, attributes) =>
      context.publish(action, id, { ...(await this.#labels(id)), ...attributes });
    this.#context = { ...context, publish };
    this.#catalog = context.catalog;
  }

  /** With the image's labels, as Docker's events have them. */
  publish(action: string, id: string, attributes: Record<string, string>): Promise<void> {
    return this.#context.publish(action, id, attributes);
  }

  /** By id or name. Throws NotFound in Docker's words, also for one of another platform, Internal for one that no registry is known to have. */
  async forNode(ref: string, platform?: Platform): Promise<NodeImage> {
    const { index, record } = await this.#catalog.read();
    const image = index.find(ref, platform) ?? index.get(ref);
    requirePlatform(image, ref, platform);
    const source = sourceFor(record(image.id)?.sources ?? [], ref);
    if (source === undefined) throw new DaemonError('Internal', `no registry is known that has ${ref}`);
    return { image, source };
  }

  async list(options: { all: boolean; digests: boolean; filters: Filters }): Promise<ImageSummary[]> {
    const { index } = await this.#catalog.read();
    return listImages(index, options);
  }

  async inspect(ref: string): Promise<ImageInspect> {
    const { index } = await this.#catalog.read();
    return inspectImage(lookUp(index, ref), () => graphDriver);
  }

  async history(ref: string): Promise<HistoryItem[]> {
    const { index, layerBytes } = await this.#catalog.read();
    return imageHistory(index, layerBytes, ref);
  }

  async pull(
    options: { fromImage: string; tag: string; platform?: string; auth?: AuthConfig },
    progress: ProgressWriter,
    signal: AbortSignal,
  ): Promise<void> {
    const platform = parsePlatform(options.platform);
    const reference = withTag(options.fromImage, options.tag);
    refuseReservedName(reference);
    const pullOptions = {
      ...(platform === undefined ? {} : { platform }),
      ...(options.auth === undefined ? {} : { auth: options.auth }),
      // Docker's API pulls every tag of a repository that is named alone.
      allTags: !hasTagOrDigest(reference),
    };
    const before = secretsOf((await this.#catalog.read()).records());
    await pullImages(this.#context, reference, pullOptions, progress, signal);
    await this.#dropUnused(before);
  }

  /** A container that is gone needs this no more. */
  async released({ secret }: ImageSource): Promise<void> {
    if (secret === undefined) return;
    await this.#dropUnused(new Set([secret])).catch((error: unknown) => {
      log.warn('a pull secret is left', { secret, error: errorMessage(error) });
    });
  }

  async tag(ref: string, options: { repo: string; tag: string }): Promise<void> {
    const { id, name } = await this.#catalog.change(({ index }) => {
      const image = index.get(ref);
      const reference = parseReference(tagTarget(options));
      if (reference.digest !== undefined) {
        throw new DaemonError('InvalidParameter', 'refusing to create a tag with a digest reference');
      }
      const familiar = familiarReference(reference);
      index.setName(familiar, image.id, true);
      return { id: image.id, name: familiar };
    });
    await this.#context.publish('tag', id, { name });
  }

  async remove(ref: string, options: { force: boolean; noprune: boolean }): Promise<ImageDeleteItem[]> {
    const { force, noprune } = options;
    return this.#removing((context) => removeImage(context, ref, { force, prune: !noprune }));
  }

  async prune(filters: Filters): Promise<ImagePruneResponse> {
    const { all, matches } = imagePruneFilter(filters);
    const { deleted, reclaimedBytes } = await this.#removing((context) =>
      pruneImages(context, { all, filters: matches }),
    );
    await this.#context.publish('prune', '', { reclaimed: String(reclaimedBytes) });
    return { ImagesDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: reclaimedBytes };
  }

  search(term: string, options: { limit: number; filters: Filters; auth?: AuthConfig }): Promise<object[]> {
    return searchImages(term, options);
  }

  async push(
    ref: string,
    options: { tag: string; auth: AuthConfig },
    progress: ProgressWriter,
    signal: AbortSignal,
  ): Promise<void> {
    await pushImages(this.#context, pushTarget(ref, options.tag), { auth: options.auth }, progress, signal);
  }

  async distribution(ref: string, auth?: AuthConfig): Promise<DistributionInspect> {
    const signal = AbortSignal.timeout(distributionTimeoutMs);
    const found = await inspectDistribution(this.#context.registry, ref, auth ?? {}, signal);
    const { mediaType, digest, sizeBytes, platforms } = found;
    return {
      Descriptor: { mediaType, digest, size: sizeBytes },
      Platforms: platforms.map((each) => ({ ...each })),
    };
  }

  importImage(...args: Parameters<ImageBackend['importImage']>): Promise<void> {
    return this.#context.archives.importImage(...args);
  }

  load(...args: Parameters<ImageBackend['load']>): Promise<void> {
    return this.#context.archives.load(...args);
  }

  save(...args: Parameters<ImageBackend['save']>): Promise<NodeJS.ReadableStream> {
    return this.#context.archives.save(...args);
  }

  /** Lets Docker's rules remove; then tells of it, and drops Secrets that no image needs any more. */
  async #removing<T>(work: (context: Parameters<typeof removeImage>[0]) => Promise<T>): Promise<T> {
    const users = await this.#context.users();
    const inUse: ImageUse = (imageId) => users.filter((user) => user.imageId === imageId);
    let events: ImageEvent[] = [];
    let labels = new Map<string, Record<string, string>>();
    let secrets = new Set<string>();
    const result = await this.#catalog.change(async ({ index, layerBytes, record, records }: ImageChange) => {
      events = [];
      secrets = secretsOf(records());
      labels = new Map(index.list().map(({ id, config }) => [id, config.config?.Labels ?? {}]));
      const held = new Set(
        users.flatMap(({ imageId }) => record(imageId)?.layers ?? []).map(({ diffId }) => diffId),
      );
      return work({
        index,
        layers: {
          sizeBytes: layerBytes,
          isReferenced: (diffId) => held.has(diffId),
          remove: () => Promise.resolve(),
        },
        inUse,
        publish: (action, id, attributes) => events.push({ action, id, attributes }),
      });
    });
    for (const { action, id, attributes } of events)
      await this.#context.publish(action, id, { ...labels.get(id), ...attributes });
    await this.#dropUnused(secrets);
    return result;
  }

  /** Removes those of the Secrets that neither an image nor a container has any more. */
  async #dropUnused(secrets: ReadonlySet<string>): Promise<void> {
    if (secrets.size === 0) return;
    const used = secretsOf((await this.#catalog.read()).records());
    for (const { secret } of await this.#context.users()) if (secret !== undefined) used.add(secret);
    for (const name of secrets) {
      if (used.has(name)) continue;
      await this.#context.secrets.remove(name).catch((error: unknown) => {
        log.warn('a pull secret is left', { secret: name, error: errorMessage(error) });
      });
    }
  }

  async #labels(id: string): Promise<Record<string, string>> {
    if (id === '') return {};
    try {
      const { index } = await this.#catalog.read();
      return index.find(id)?.config.config?.Labels ?? {};
    } catch (error) {
      log.warn('labels of an image could not be read', { imageId: id, error: errorMessage(error) });
      return {};
    }
  }
}

function secretsOf(records: readonly ImageRecord[]): Set<string> {
  return new Set(records.flatMap(({ sources }) => sources.flatMap(({ secret }) => secret ?? [])));
}

function lookUp(index: ImageView['index'], ref: string): Image {
  try {
    return index.get(ref);
  } catch (error) {
    if (!isDaemonError(error)) throw error;
    throw new DaemonError(error.code, `no such image: ${ref}: ${errorMessage(error)}`, { cause: error });
  }
}
