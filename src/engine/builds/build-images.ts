// Images as builds want them: from the store, or from registries that the build's client knows.

import type { BuildImages, ImageRequest, RegistryAccess } from '../../buildkit/contract/host';
import type { ImageConfigResult } from '../../buildkit/contract/solver';
import { log } from '../../log';
import {
  authFor,
  keyOf,
  pinned,
  platformOf,
  pushedDigest,
  resolveConfig,
} from '../../semantics/builds/image-refs';
import type { ImageStore, LayerStore, ProgressMessage, RemoteImage } from '../../storage/contract/stores';

/** Of images that were found and whose layers may be wanted. */
const maxRemembered = 1_000;

type Counter = Parameters<BuildImages['layers']>[1];

export class EngineBuildImages implements BuildImages {
  readonly #images: ImageStore;
  readonly #layers: LayerStore;
  /** What registries had, by digest and platform. */
  readonly #found = new Map<string, RemoteImage>();

  constructor(images: ImageStore, layers: LayerStore) {
    this.#images = images;
    this.#layers = layers;
  }

  async resolve(request: ImageRequest, signal: AbortSignal): Promise<ImageConfigResult> {
    return resolveConfig(request, this.#images, () => this.#remote(request, request.ref, signal));
  }

  async layers(
    request: ImageRequest & { digest: string },
    counter: Counter,
    signal: AbortSignal,
  ): Promise<{ diffIds: readonly string[]; release: () => void }> {
    const local = this.#images.find(request.digest);
    if (local !== undefined) {
      const diffIds = local.config.rootfs.diff_ids;
      return { diffIds, release: this.#hold(diffIds) };
    }
    const remote =
      this.#found.get(keyOf(request.digest, request.platform)) ??
      (await this.#remote(request, pinned(request.ref, request.digest), signal));
    const release = this.#hold(remote.diffIds);
    try {
      await remote.fetchLayers((message) => count(message, counter), signal);
      return { diffIds: remote.diffIds, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  create(config: Buffer, names: readonly string[]): Promise<{ id: string }> {
    return Promise.resolve().then(() => ({ id: this.#images.createFrom(config.toString(), names).id }));
  }

  usedLayers(): ReadonlySet<string> {
    return new Set(this.#images.list().flatMap(({ config }) => config.rootfs.diff_ids));
  }

  removeUnusedLayers(diffIds: readonly string[]): Promise<void> {
    return this.#images.removeUnusedLayers(diffIds);
  }

  async push(name: string, access: RegistryAccess, signal: AbortSignal): Promise<{ digest: string }> {
    const auth = await authFor(name, access, signal);
    const digest = await pushedDigest((progress) => this.#images.push(name, { auth }, progress, signal));
    return { digest };
  }

  async #remote(request: ImageRequest, ref: string, signal: AbortSignal): Promise<RemoteImage> {
    const auth = await authFor(ref, request.access, signal);
    const platform = platformOf(request.platform);
    const found = await this.#images.findRemote(ref, { platform, auth }, signal);
    const [oldest] = this.#found.keys();
    if (this.#found.size >= maxRemembered && oldest !== undefined) this.#found.delete(oldest);
    this.#found.set(keyOf(found.digest, request.platform), found);
    return found;
  }

  /** Those that nothing needs when they are released go. */
  #hold(diffIds: readonly string[]): () => void {
    const release = this.#layers.hold(diffIds);
    return () => {
      release();
      this.#images
        .removeUnusedLayers(diffIds)
        .catch((error: unknown) => log.error('layers of a build could not be removed', { error }));
    };
  }
}

/** Docker's line of a pull's progress as a counter of the layer's bytes. */
function count({ id, status, progressDetail }: ProgressMessage, counter: Counter): void {
  if (id === undefined || status === undefined) return;
  const { current = 0, total = 0 } = progressDetail ?? {};
  const done = status === 'Pull complete';
  if (status === 'Downloading' || done) counter({ id, currentBytes: current, totalBytes: total, done });
}
