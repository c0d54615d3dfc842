// Images: known by digest and platform, their layers brought in when something reads them.

import { BuildError } from '../../contract/errors';
import type { BuildHost, ImageRequest, RegistryAccess } from '../../contract/host';
import type { ImageResolveMode, Platform } from '../../contract/llb';
import { sourceAttributes } from '../../contract/llb';
import type { SessionCaller } from '../../contract/session';
import type { BuildScope } from '../../contract/solver';
import type { ResolvedSource, Snapshot, Source, SourceRequest } from '../../contract/source';
import type { LayerTrees } from '../files/layer-trees';

const scheme = 'docker-image';
const resolveModes = ['default', 'pull', 'local'];

export function imageSource(
  host: BuildHost,
  trees: LayerTrees,
  native: Platform,
  sessionsOf: (scope: BuildScope, signal: AbortSignal) => Promise<readonly SessionCaller[]>,
): Source {
  const resolve = async (request: SourceRequest, signal: AbortSignal): Promise<ResolvedSource> => {
    const { op, vertex, scope } = request;
    const mode = op.attrs.get(sourceAttributes.imageResolveMode) ?? 'default';
    if (!resolveModes.includes(mode))
      throw new BuildError('InvalidArgument', `invalid image resolve mode: ${mode.slice(0, 64)}`);
    const layerLimit = layerLimitOf(op.attrs.get(sourceAttributes.imageLayerLimit));
    const platform = request.platform ?? native;
    const wanted: ImageRequest = {
      ref: op.identifier.slice(scheme.length + '://'.length),
      platform,
      mode: mode as ImageResolveMode, // checked above
      access: registryAccess((own) => sessionsOf(scope, own)),
    };
    const image = await host.images.resolve(wanted, signal);
    requireDigest(image.digest, op.attrs.get(sourceAttributes.imageChecksum));
    return {
      cacheKey: imageCacheKey(image.digest, platform, layerLimit),
      metadata: {
        source: { ...op, identifier: `${scheme}://${image.ref}` },
        image: { digest: image.digest, config: image.config },
      },
      fetch: () => {
        const counter: Parameters<typeof host.images.layers>[1] = counterOf(scope, vertex);
        const pull = (own: AbortSignal): ReturnType<typeof host.images.layers> =>
          host.images.layers({ ...wanted, digest: image.digest }, counter, own);
        return Promise.resolve(new ImageSnapshot(pull, trees, layerLimit));
      },
    };
  };
  return { schemes: [scheme], capabilities: imageCapabilities, resolve };
}

const imageCapabilities = [
  'source.image',
  'source.image.resolvemode',
  'source.image.layerlimit',
  'source.image.checksum',
];

/** How many of the layers are wanted; undefined: all. Throws BuildError InvalidArgument. */
export function layerLimitOf(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (!/^\d{1,5}$/.test(text))
    throw new BuildError('InvalidArgument', `invalid layer limit ${text.slice(0, 64)}`);
  return Number(text);
}

export function imageCacheKey(
  digest: string,
  { OS, Architecture, Variant }: Platform,
  layerLimit: number | undefined,
): string {
  return ['image', digest, OS, Architecture, Variant, layerLimit ?? ''].join(',');
}

class ImageSnapshot implements Snapshot {
  readonly #pull: (signal: AbortSignal) => ReturnType<BuildHost['images']['layers']>;
  readonly #trees: LayerTrees;
  readonly #limit: number | undefined;
  #pulled: ReturnType<BuildHost['images']['layers']> | undefined;

  constructor(
    pull: (signal: AbortSignal) => ReturnType<BuildHost['images']['layers']>,
    trees: LayerTrees,
    limit: number | undefined,
  ) {
    this.#pull = pull;
    this.#trees = trees;
    this.#limit = limit;
  }

  async layers(signal: AbortSignal): Promise<readonly string[]> {
    const pulled = this.#pulled ?? this.#pull(signal);
    this.#pulled = pulled;
    try {
      return (await pulled).diffIds.slice(0, this.#limit);
    } catch (error) {
      if (this.#pulled === pulled) this.#pulled = undefined;
      throw error;
    }
  }

  async tree(signal: AbortSignal): ReturnType<Snapshot['tree']> {
    return this.#trees.of(await this.layers(signal));
  }

  release(): void {
    void this.#pulled?.then(
      ({ release }) => release(),
      () => undefined,
    );
    this.#pulled = undefined;
  }
}

function counterOf(scope: BuildScope, vertex: string): Parameters<BuildHost['images']['layers']>[1] {
  const startedMs = Date.now();
  return ({ id, currentBytes, totalBytes, done }) =>
    scope.progress.counter({
      vertex,
      id,
      current: currentBytes,
      total: totalBytes,
      startedMs,
      ...(done ? { completedMs: Date.now() } : {}),
    });
}

function requireDigest(digest: string, expected: string | undefined): void {
  if (expected !== undefined && expected !== digest)
    throw new BuildError(
      'FailedPrecondition',
      `image digest mismatch: expected ${expected.slice(0, 128)}, got ${digest}`,
    );
}

/** The clients of the build know their registries. */
export function registryAccess(
  sessions: (signal: AbortSignal) => Promise<readonly SessionCaller[]>,
): RegistryAccess {
  return {
    credentials: async (registry, signal) => {
      for (const session of await sessions(signal)) {
        if (!session.supports('/moby.filesync.v1.Auth/Credentials')) continue;
        const found = await session.credentials(registry, signal);
        if (found.secret !== '') return found;
      }
      return undefined;
    },
    fetchToken: async (request, signal) => {
      for (const session of await sessions(signal)) {
        if (!session.supports('/moby.filesync.v1.Auth/FetchToken')) continue;
        const token = await session.fetchToken(request, signal);
        if (token !== undefined) return token;
      }
      return undefined;
    },
  };
}
