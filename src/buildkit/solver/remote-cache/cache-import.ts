// `--cache-from`: records of a registry, of an image, or of a client's directory. Their layers are brought in when a record is used.

import { Readable } from 'node:stream';
import { errorMessage } from '../../../errors';
import { log } from '../../../log';
import { unknownCache } from '../../contract/cache-types';
import { BuildError } from '../../contract/errors';
import type { BuildHost, RegistryAccess } from '../../contract/host';
import type { SessionCaller } from '../../contract/session';
import type { BuildScope, CacheSource } from '../../contract/solver';
import { digestOf } from '../../llb/graph';
import { authFor } from '../delivery/registry-auth';
import { tellingExport } from '../delivery/export-progress';
import {
  cacheConfigType,
  decodeConfig,
  decodeInline,
  type CacheEntry,
  type CacheLayer,
} from './cache-config';
import { nameOf, requiredAttribute } from './cache-export';

const maxDocumentBytes = 64 * 1024 * 1024;
const maxImages = 100;
const indexTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
];

/** Where a cache is: documents by digest, '' for the one it begins with. */
interface Store {
  readonly name: string;
  document(digest: string, signal: AbortSignal): Promise<Buffer>;
  blob(digest: string, signal: AbortSignal): Readable;
}

export interface ImportedResult {
  readonly outputs: readonly (readonly string[])[];
  /** The layers are held until then. */
  readonly release: () => void;
}

interface Descriptor {
  readonly digest: string;
  readonly size: number;
  readonly mediaType: string;
}

export interface CacheImportParts {
  readonly host: BuildHost;
  readonly sessionsOf: (scope: BuildScope, signal: AbortSignal) => Promise<readonly SessionCaller[]>;
  readonly accessOf: (scope: BuildScope) => RegistryAccess;
}

/** The caches that one build may use. */
export class CacheImports {
  readonly #parts: CacheImportParts;
  readonly #scope: BuildScope;
  readonly #signal: AbortSignal;
  readonly #loads = new Map<
    string,
    Promise<{ store: Store; entries: ReadonlyMap<string, CacheEntry> } | undefined>
  >();

  constructor(parts: CacheImportParts, scope: BuildScope, signal: AbortSignal) {
    this.#parts = parts;
    this.#scope = scope;
    this.#signal = signal;
  }

  /** Throws Unimplemented or InvalidArgument for kinds that there are none of. One that can't be read is told and left out. */
  add(sources: readonly CacheSource[]): void {
    for (const source of sources) {
      const key = JSON.stringify([source.type, [...source.attributes].sort()]);
      if (this.#loads.has(key)) continue;
      const store = this.#storeOf(source);
      this.#loads.set(key, this.#load(store));
    }
  }

  /** Undefined where no cache has the key, or what it has can't be had. */
  async find(key: string): Promise<ImportedResult | undefined> {
    for (const load of this.#loads.values()) {
      const loaded = await load;
      const entry = loaded?.entries.get(key);
      if (loaded === undefined || entry === undefined) continue;
      try {
        return await this.#bring(loaded.store, entry);
      } catch (error) {
        this.#signal.throwIfAborted();
        log.warn('a record of a cache could not be brought in', {
          cache: loaded.store.name,
          reason: errorMessage(error),
        });
      }
    }
    return undefined;
  }

  async #load(store: Store): Promise<{ store: Store; entries: ReadonlyMap<string, CacheEntry> } | undefined> {
    const name = `importing cache manifest from ${store.name}`;
    try {
      const entries = await tellingExport(this.#scope.progress, name, () => loadEntries(store, this.#signal));
      return { store, entries };
    } catch (error) {
      log.debug('a cache could not be imported', { cache: store.name, reason: errorMessage(error) });
      return undefined;
    }
  }

  async #bring(store: Store, { outputs }: CacheEntry): Promise<ImportedResult> {
    const { layers } = this.#parts.host;
    const releases = [layers.hold(outputs.flat().map(({ diffId }) => diffId))];
    const release = (): void => releases.splice(0).forEach((each) => each());
    try {
      for (const layer of new Map(outputs.flat().map((each) => [each.diffId, each])).values()) {
        if (this.#isHere(layer)) continue;
        const { diffId } = await layers.add(store.blob(layer.digest, this.#signal), {
          signal: this.#signal,
          onDiffId: (actual) => releases.push(layers.hold([actual])),
        });
        if (diffId !== layer.diffId)
          throw new BuildError('InvalidArgument', `layer ${layer.digest} is ${diffId}, not ${layer.diffId}`);
      }
      return { outputs: outputs.map((chain) => chain.map(({ diffId }) => diffId)), release };
    } catch (error) {
      release();
      throw error;
    }
  }

  #isHere({ diffId }: CacheLayer): boolean {
    try {
      this.#parts.host.layers.diskPaths([diffId]);
      return true;
    } catch {
      return false;
    }
  }

  #storeOf(source: CacheSource): Store {
    switch (source.type) {
      case 'registry':
      case 'inline':
        return this.#registry(nameOf(requiredAttribute(source, 'ref')));
      case 'local':
        return this.#directory(requiredAttribute(source, 'src'), requiredAttribute(source, 'digest'));
      default:
        throw unknownCache('importer', source.type);
    }
  }

  #registry(name: string): Store {
    const { host, accessOf } = this.#parts;
    const auth = (signal: AbortSignal): ReturnType<typeof authFor> =>
      authFor(name, accessOf(this.#scope), signal);
    const repository = name.replace(/@.*$/, '').replace(/:[^/:]*$/, '');
    return {
      name,
      document: async (digest, signal) => {
        const reference = digest === '' ? name : `${repository}@${digest}`;
        return (await host.contents.fetchManifest(reference, await auth(signal), signal)).body;
      },
      blob: (digest, signal) =>
        fromLater(async () => host.contents.fetchBlob(name, digest, await auth(signal), signal)),
    };
  }

  #directory(source: string, top: string): Store {
    if (!/^sha256:[a-f0-9]{64}$/.test(top))
      throw new BuildError('InvalidArgument', 'local cache importer requires explicit digest');
    const storeId = `local:${source}`;
    const { sessionsOf } = this.#parts;
    const scope = this.#scope;
    const blob = (digest: string, signal: AbortSignal): Readable =>
      fromLater(async () => {
        const [session] = await sessionsOf(scope, signal);
        if (session === undefined)
          throw new BuildError('FailedPrecondition', 'local cache exporter/importer requires session');
        return session.readContent(storeId, digest, signal);
      });
    return {
      name: source,
      document: (digest, signal) =>
        wholeOf(blob(digest === '' ? top : digest, signal), digest === '' ? top : digest),
      blob,
    };
  }
}

async function loadEntries(store: Store, signal: AbortSignal): Promise<ReadonlyMap<string, CacheEntry>> {
  const top = objectIn(await store.document('', signal));
  if (!Array.isArray(top['manifests'])) return entriesOf(store, top, signal);
  const described = descriptorsIn(top['manifests']);
  const config = described.find(({ mediaType }) => mediaType === cacheConfigType);
  if (config !== undefined)
    return decodeConfig(await wholeOf(store.blob(config.digest, signal), config.digest));
  const all = new Map<string, CacheEntry>();
  for (const { digest, mediaType } of described.slice(0, maxImages)) {
    if (indexTypes.includes(mediaType)) continue;
    const manifest = objectIn(await store.document(digest, signal));
    for (const [key, entry] of await entriesOf(store, manifest, signal)) all.set(key, entry);
  }
  return all;
}

/** Of one manifest: a cache's own, or an image's. */
async function entriesOf(
  store: Store,
  { config: given, layers: listed }: Record<string, unknown>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, CacheEntry>> {
  const [config] = descriptorsIn([given]);
  if (config === undefined)
    throw new BuildError('InvalidArgument', 'invalid cache manifest: no configuration');
  const bytes = await wholeOf(store.blob(config.digest, signal), config.digest);
  if (config.mediaType === cacheConfigType) return decodeConfig(bytes);
  const { 'moby.buildkit.cache.v0': inline, rootfs } = objectIn(bytes);
  if (typeof inline !== 'string') return new Map();
  const { diff_ids: diffIds } = Object(rootfs) as { diff_ids?: unknown };
  const blobs = descriptorsIn(listed);
  if (!Array.isArray(diffIds) || diffIds.length !== blobs.length)
    throw new BuildError('InvalidArgument', 'invalid cache manifest: layers and diff IDs differ');
  const layers = blobs.map(({ digest, size: sizeBytes, mediaType }, i): CacheLayer => {
    const diffId: unknown = diffIds[i];
    if (typeof diffId !== 'string' || !/^sha256:[a-f0-9]{64}$/.test(diffId))
      throw new BuildError('InvalidArgument', 'invalid cache manifest: a diff ID is malformed');
    return { digest, sizeBytes, mediaType, diffId };
  });
  return decodeInline(Buffer.from(inline, 'base64'), layers);
}

function descriptorsIn(list: unknown): Descriptor[] {
  if (!Array.isArray(list)) throw new BuildError('InvalidArgument', 'invalid cache manifest: no descriptors');
  return list.map((value: unknown) => {
    const { digest, size, mediaType } = Object(value) as Record<string, unknown>;
    if (typeof digest !== 'string' || !/^sha256:[a-f0-9]{64}$/.test(digest))
      throw new BuildError('InvalidArgument', 'invalid cache manifest: a digest is malformed');
    const isSize = typeof size === 'number' && Number.isSafeInteger(size) && size >= 0;
    return { digest, size: isSize ? size : 0, mediaType: typeof mediaType === 'string' ? mediaType : '' };
  });
}

function objectIn(bytes: Buffer): Record<string, unknown> {
  try {
    return Object(JSON.parse(bytes.toString())) as Record<string, unknown>;
  } catch (error) {
    throw new BuildError('InvalidArgument', 'invalid cache manifest: not JSON', { cause: error });
  }
}

/** A small blob, checked. */
async function wholeOf(stream: Readable, digest: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxDocumentBytes) throw new BuildError('ResourceExhausted', `${digest} is too large`);
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  if (digestOf(bytes) !== digest)
    throw new BuildError('InvalidArgument', `content is not what ${digest} stands for`);
  return bytes;
}

/** Whose source is asked for when somebody reads. */
function fromLater(open: () => Promise<Readable>): Readable {
  async function* chunks(): AsyncGenerator<Buffer> {
    yield* (await open()) as AsyncIterable<Buffer>;
  }
  return Readable.from(chunks(), { objectMode: false });
}
