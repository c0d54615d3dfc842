// Images as builds want them: from the store, or from registries that the build's client knows.

import { BuildError } from '../../buildkit/contract/errors';
import type { BuildImages, ImageRequest, RegistryAccess } from '../../buildkit/contract/host';
import type { Platform as BuildPlatform } from '../../buildkit/contract/llb';
import type { ImageConfigResult } from '../../buildkit/contract/solver';
import { errorMessage } from '../../errors';
import { log } from '../../log';
import type { RegistryAuth } from '../../registry/auth';
import type { Platform } from '../../registry/platform';
import { fullString, parseReference } from '../../registry/reference';
import type { Image } from '../../storage/contract/image';
import type { ImageStore, LayerStore, ProgressMessage, RemoteImage } from '../../storage/contract/stores';

/** The host of Docker Hub's registry, by which clients know their credentials for it. */
const hubHost = 'registry-1.docker.io';
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
    const local = request.mode === 'pull' ? undefined : this.#local(request);
    if (local !== undefined) {
      const config = Buffer.from(JSON.stringify(local.config));
      return { ref: canonical(request.ref), digest: local.id, config };
    }
    const { digest, config } = await this.#remote(request, request.ref, signal);
    return { ref: pinned(request.ref, digest), digest, config };
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
    let digest = '';
    const auth = await authFor(name, access, signal);
    const progress = ({ aux }: ProgressMessage): void => {
      if (typeof aux?.['Digest'] === 'string') digest = aux['Digest'];
    };
    await this.#images.push(name, { auth }, progress, signal);
    return { digest };
  }

  /** Of the platform that is wanted; another one's is none. */
  #local({ ref, platform }: ImageRequest): Image | undefined {
    const image = this.#images.find(ref, platformOf(platform)) ?? this.#pinned(ref);
    if (image === undefined) return undefined;
    const { os, architecture } = image.config;
    return os === platform.OS && architecture === platform.Architecture ? image : undefined;
  }

  /** What no registry has is pinned to its id, whatever its name. */
  #pinned(ref: string): Image | undefined {
    const [, id] = /@(sha256:[a-f0-9]{64})$/.exec(ref) ?? [];
    return id === undefined ? undefined : this.#images.find(id);
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

async function authFor(text: string, access: RegistryAccess, signal: AbortSignal): Promise<RegistryAuth> {
  const { domain } = referenceOf(text);
  const found = await access.credentials(domain === 'docker.io' ? hubHost : domain, signal);
  if (found === undefined) return {};
  const { username, secret } = found;
  return username === '' ? { identitytoken: secret } : { username, password: secret };
}

function referenceOf(text: string): ReturnType<typeof parseReference> {
  try {
    return parseReference(text);
  } catch (error) {
    throw new BuildError('InvalidArgument', errorMessage(error), { cause: error });
  }
}

/** With domain and tag; an id stays one. */
function canonical(text: string): string {
  if (/^(sha256:)?[a-f0-9]{64}$/.test(text)) return text;
  const reference = referenceOf(text);
  const isBare = reference.tag === undefined && reference.digest === undefined;
  return fullString(isBare ? { ...reference, tag: 'latest' } : reference);
}

function pinned(text: string, digest: string): string {
  return canonical(text).replace(/@.*$/, '') + `@${digest}`;
}

function keyOf(digest: string, { OS, Architecture, Variant }: BuildPlatform): string {
  return [digest, OS, Architecture, Variant].join(' ');
}

function platformOf({ OS, Architecture, Variant }: BuildPlatform): Platform {
  return { os: OS, architecture: Architecture, ...(Variant === '' ? {} : { variant: Variant }) };
}

/** Docker's line of a pull's progress as a counter of the layer's bytes. */
function count({ id, status, progressDetail }: ProgressMessage, counter: Counter): void {
  if (id === undefined || status === undefined) return;
  const { current = 0, total = 0 } = progressDetail ?? {};
  const done = status === 'Pull complete';
  if (status === 'Downloading' || done) counter({ id, currentBytes: current, totalBytes: total, done });
}
