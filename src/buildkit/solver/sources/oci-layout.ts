// Images in a client's content store (`--build-context name=oci-layout://directory`): its blobs are asked for by digest, and what
// comes is checked against that.

import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { errorMessage } from '../../../errors';
import { BuildError } from '../../contract/errors';
import { sourceAttributes, type Platform } from '../../contract/llb';
import type { SessionCaller, Sessions } from '../../contract/session';
import type { ResolvedSource, Snapshot, Source, SourceRequest } from '../../contract/source';
import { LayerHolds, type LayerTrees } from '../files/layer-trees';
import { imageCacheKey, layerLimitOf } from './image';

const scheme = 'oci-layout://';
const maxDocumentBytes = 8 * 1024 * 1024;
const maxDepth = 4;
const maxLayers = 500;
const digestPattern = /^sha256:[0-9a-f]{64}$/;

export interface OciLayoutTools {
  readonly trees: LayerTrees;
  readonly sessions: Sessions;
  readonly native: Platform;
}

interface Descriptor {
  readonly digest: string;
  readonly size: number;
  readonly os: string | undefined;
  readonly architecture: string | undefined;
  readonly variant: string | undefined;
}

interface FoundImage {
  readonly manifestDigest: string;
  readonly config: Buffer;
  readonly layers: readonly Descriptor[];
  readonly diffIds: readonly string[];
}

export function ociLayoutSource(tools: OciLayoutTools): Source {
  const resolve = async (request: SourceRequest, signal: AbortSignal): Promise<ResolvedSource> => {
    const { op } = request;
    const digest = digestOf(op.identifier);
    const limit = layerLimitOf(op.attrs.get(sourceAttributes.ociLayerLimit));
    const platform = request.platform ?? tools.native;
    const store = await storeOf(request, tools, signal);
    const image = await store.image(digest, platform, signal);
    return {
      cacheKey: imageCacheKey(image.manifestDigest, platform, limit),
      metadata: { source: op, image: { digest, config: image.config } },
      fetch: () => Promise.resolve(new OciSnapshot(image, store, tools.trees, limit, request)),
    };
  };
  const capabilities = ['source.ocilayout'];
  return { schemes: ['oci-layout'], capabilities, resolve };
}

function digestOf(identifier: string): string {
  const digest = identifier.slice(identifier.lastIndexOf('@') + 1);
  if (!digestPattern.test(digest))
    throw new BuildError(
      'InvalidArgument',
      `${identifier.slice(0, 300)}: an OCI layout is named by its digest`,
    );
  return digest;
}

async function storeOf(
  { op, scope }: SourceRequest,
  { sessions }: OciLayoutTools,
  signal: AbortSignal,
): Promise<ContentStore> {
  const named = op.attrs.get(sourceAttributes.ociSession) ?? '';
  const id = named === '' ? scope.sessionIds[0] : named;
  if (id === undefined)
    throw new BuildError('FailedPrecondition', 'could not access an OCI layout without session');
  const caller = await sessions.get(id, signal);
  const name = op.attrs.get(sourceAttributes.ociStore) ?? '';
  return new ContentStore(caller, `oci:${name === '' ? repositoryOf(op.identifier) : name}`);
}

/** Of a store without a name. */
function repositoryOf(identifier: string): string {
  return identifier.slice(scheme.length).replace(/@.*$/s, '');
}

class ContentStore {
  readonly #caller: SessionCaller;
  readonly #name: string;

  constructor(caller: SessionCaller, name: string) {
    this.#caller = caller;
    this.#name = name;
  }

  open(digest: string, signal: AbortSignal): Readable {
    return this.#caller.readContent(this.#name, digest, signal);
  }

  async image(digest: string, platform: Platform, signal: AbortSignal): Promise<FoundImage> {
    let manifestDigest = digest;
    for (let depth = 0; depth < maxDepth; depth += 1) {
      const { manifests, config, layers } = await this.#json(manifestDigest, signal);
      if (Array.isArray(manifests)) {
        manifestDigest = chosen(manifests.map(descriptorOf), platform).digest;
        continue;
      }
      const bytes = await this.#document(descriptorOf(config).digest, signal);
      const { rootfs } = objectOf(bytes);
      const diffIds: unknown = (Object(rootfs) as Record<string, unknown>)['diff_ids'];
      const blobs = Array.isArray(layers) ? layers.map(descriptorOf) : [];
      if (!isDigests(diffIds) || diffIds.length !== blobs.length || blobs.length > maxLayers)
        throw new BuildError('InvalidArgument', `layers from manifest don't match image configuration`);
      return { manifestDigest, config: bytes, layers: blobs, diffIds };
    }
    throw new BuildError('InvalidArgument', 'invalid OCI layout: indexes too deep');
  }

  async #json(digest: string, signal: AbortSignal): Promise<Record<string, unknown>> {
    return objectOf(await this.#document(digest, signal));
  }

  async #document(digest: string, signal: AbortSignal): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of this.open(digest, signal) as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > maxDocumentBytes)
        throw new BuildError('ResourceExhausted', `${digest} of the OCI layout is too large`);
    }
    const bytes = Buffer.concat(chunks);
    if (`sha256:${createHash('sha256').update(bytes).digest('hex')}` !== digest)
      throw new BuildError('FailedPrecondition', `the OCI layout has another content for ${digest}`);
    return bytes;
  }
}

class OciSnapshot implements Snapshot {
  readonly #image: FoundImage;
  readonly #store: ContentStore;
  readonly #trees: LayerTrees;
  readonly #limit: number | undefined;
  readonly #request: SourceRequest;
  readonly #holds: LayerHolds;
  #layers: Promise<readonly string[]> | undefined;

  constructor(
    image: FoundImage,
    store: ContentStore,
    trees: LayerTrees,
    limit: number | undefined,
    request: SourceRequest,
  ) {
    this.#image = image;
    this.#store = store;
    this.#trees = trees;
    this.#limit = limit;
    this.#request = request;
    this.#holds = new LayerHolds(trees.layers);
  }

  async layers(signal: AbortSignal): Promise<readonly string[]> {
    const layers = this.#layers ?? this.#fetch(signal);
    this.#layers = layers;
    try {
      return await layers;
    } catch (error) {
      if (this.#layers === layers) this.#layers = undefined;
      throw error;
    }
  }

  async tree(signal: AbortSignal): ReturnType<Snapshot['tree']> {
    return this.#trees.of(await this.layers(signal));
  }

  release(): void {
    this.#holds.release();
  }

  async #fetch(signal: AbortSignal): Promise<readonly string[]> {
    const diffIds = this.#image.diffIds.slice(0, this.#limit);
    for (const [i, diffId] of diffIds.entries()) {
      const layer = this.#image.layers[i];
      if (layer !== undefined && !this.#isHere(diffId)) await this.#add(layer, diffId, signal);
    }
    return diffIds;
  }

  #isHere(diffId: string): boolean {
    try {
      this.#trees.layers.diskPaths([diffId]);
    } catch {
      return false;
    }
    this.#holds.add([diffId]);
    return true;
  }

  async #add({ digest, size }: Descriptor, diffId: string, signal: AbortSignal): Promise<void> {
    const { scope, vertex } = this.#request;
    const startedMs = Date.now();
    let current = 0;
    const tell = (more: { completedMs?: number }): void =>
      scope.progress.counter({ vertex, id: digest, current, total: size, startedMs, ...more });
    async function* counted(blob: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
      for await (const chunk of blob) {
        current += chunk.length;
        tell({});
        yield chunk;
      }
    }
    const blob = Readable.from(counted(this.#store.open(digest, signal)), { objectMode: false });
    const onDiffId = (made: string): void => this.#holds.add([made]);
    try {
      const added = await this.#trees.layers.add(blob, { signal, onDiffId });
      if (added.diffId !== diffId)
        throw new BuildError('FailedPrecondition', `layer ${digest} of the OCI layout is not ${diffId}`);
    } catch (error) {
      blob.destroy();
      if (error instanceof BuildError) throw error;
      throw new BuildError('Unknown', `failed to get layer ${digest}: ${errorMessage(error)}`, {
        cause: error,
      });
    }
    tell({ completedMs: Date.now() });
  }
}

function chosen(manifests: readonly Descriptor[], { OS, Architecture, Variant }: Platform): Descriptor {
  const fitting = manifests.filter(({ os, architecture }) => os === OS && architecture === Architecture);
  const found =
    fitting.find(({ variant }) => (variant ?? '') === Variant) ??
    (Variant === '' ? fitting[0] : undefined) ??
    (manifests.length === 1 && manifests[0]?.os === undefined ? manifests[0] : undefined);
  if (found !== undefined) return found;
  const name = [OS, Architecture, Variant].filter((part) => part !== '').join('/');
  throw new BuildError('NotFound', `no match for platform in manifest: not found (${name})`);
}

function objectOf(bytes: Buffer): Record<string, unknown> {
  try {
    return Object(JSON.parse(bytes.toString('utf8'))) as Record<string, unknown>;
  } catch (error) {
    throw new BuildError('InvalidArgument', 'a document of the OCI layout is no JSON', { cause: error });
  }
}

function descriptorOf(value: unknown): Descriptor {
  const { digest, size, platform } = Object(value) as Record<string, unknown>;
  if (typeof digest !== 'string' || !digestPattern.test(digest))
    throw new BuildError('InvalidArgument', 'invalid OCI layout: a digest is missing or malformed');
  const { os, architecture, variant } = Object(platform ?? {}) as Record<string, unknown>;
  const text = (item: unknown): string | undefined => (typeof item === 'string' ? item : undefined);
  return {
    digest,
    size: typeof size === 'number' && Number.isSafeInteger(size) && size >= 0 ? size : 0,
    os: text(os),
    architecture: text(architecture),
    variant: text(variant),
  };
}

function isDigests(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string' && digestPattern.test(item));
}
