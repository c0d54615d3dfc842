// What Docker's API has of BuildKit beside its connections: builds in one request, and what the cache holds.

import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type {
  BuildKitBackend,
  BuildOptions,
  BuildPruneOptions,
  Filters,
  ProgressWriter,
} from '../../api/v1.41/backend';
import { readBuildOptions, type BuildSettings } from '../../builder/options';
import type { BuildKit, BuildRequest } from '../../buildkit/buildkit';
import type { CacheRecord } from '../../buildkit/contract/cache-records';
import type { BuildCacheItem, BuildPruneResponse } from '../../docker/types';
import { DaemonError, invalid } from '../../errors';
import { parseGoDuration } from '../../go/duration';
import { goQuote } from '../../go/quote';
import { fullString, parseReference } from '../../registry/reference';
import { BodySession } from './body-session';
import { Uploads } from './uploads';

const traceId = 'moby.buildkit.trace';
const imageId = 'moby.image.id';
/** Contexts that don't come with the request: the client's session serves it, or another request brings it. */
const fromSession = 'client-session';
const fromUpload = 'upload-request';
const uploadPrefix = `${fromUpload}:`;
/** Filters that stand for a field of a record. */
const fieldFilters = ['id', 'parent', 'type', 'description', 'inuse', 'shared', 'private'];
const nanosecondsPerMillisecond = 1e6;

export class DockerBuilds implements BuildKitBackend {
  readonly #buildKit: BuildKit;
  readonly #uploads = new Uploads();

  constructor(buildKit: BuildKit) {
    this.#buildKit = buildKit;
  }

  serve(socket: Duplex): void {
    this.#buildKit.serve(socket);
  }

  checkSession(header: (name: string) => readonly string[]): void {
    this.#buildKit.checkSession(header);
  }

  openSession(header: (name: string) => readonly string[], socket: Duplex): void {
    this.#buildKit.openSession(header, socket);
  }

  cancel(buildId: string): void {
    this.#buildKit.cancel(buildId);
  }

  async build(
    { query, room }: Pick<BuildOptions, 'query' | 'room'>,
    context: NodeJS.ReadableStream,
    progress: ProgressWriter,
    signal: AbortSignal,
  ): Promise<void> {
    const buildId = query.get('buildid') ?? '';
    if (buildId.startsWith(uploadPrefix)) {
      await this.#uploads.bring(buildId.slice(uploadPrefix.length), context, signal);
      return;
    }
    const settings = readBuildOptions(query, false);
    const body = settings.remote === fromUpload ? await this.#uploads.take(buildId, signal) : context;
    const isInBody = settings.remote === '' || settings.remote === fromUpload;
    const session = isInBody ? new BodySession(body, signal) : undefined;
    const endSession = session === undefined ? undefined : this.#buildKit.serveOwn(session);
    try {
      const request = buildRequest(query, settings, buildId, session);
      const tell = (status: Buffer): Promise<void> => {
        progress({ id: traceId, aux: status.toString('base64') });
        return room();
      };
      const answer = await this.#buildKit.build(request, tell, signal);
      const id = answer.get('containerimage.config.digest') ?? answer.get('containerimage.digest');
      if (id !== undefined) progress({ id: imageId, aux: { ID: id } });
      // all that `docker build -q` of such a client prints
      if (settings.quiet && id !== undefined) progress({ stream: `${id}\n` });
    } finally {
      endSession?.();
    }
  }

  async cacheUsage(signal: AbortSignal): Promise<BuildCacheItem[]> {
    return (await this.#buildKit.records.list(signal)).map(cacheItem);
  }

  async prune(
    { all, filters, keepBytes }: BuildPruneOptions,
    signal: AbortSignal,
  ): Promise<BuildPruneResponse> {
    const removed: CacheRecord[] = [];
    const options = { filter: [fieldsOf(filters)], all, keepDurationMs: ageOf(filters), keepBytes };
    for await (const record of this.#buildKit.prune(options, signal)) removed.push(record);
    return {
      CachesDeleted: removed.length === 0 ? null : removed.map(({ id }) => id),
      SpaceReclaimed: removed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    };
  }
}

/** What the client would have asked of BuildKit itself. Throws in dockerd's words. */
function buildRequest(
  query: URLSearchParams,
  settings: BuildSettings,
  buildId: string,
  body: BodySession | undefined,
): BuildRequest {
  const options = frontendOptions(settings);
  if (body !== undefined) options.set('context', body.url);
  else if (settings.remote !== fromSession) options.set('context', settings.remote);
  return {
    id: buildId === '' ? randomBytes(16).toString('hex') : buildId,
    sessionId: query.get('session') ?? '',
    otherSessionIds: body === undefined ? [] : [body.id],
    what: { kind: 'frontend', name: 'dockerfile.v0' },
    options,
    inputs: new Map(),
    exporters: exportersOf(settings),
    cacheImports: settings.cacheFrom.map((ref) => ({
      type: 'registry',
      attributes: new Map([['ref', ref]]),
    })),
    cacheExports:
      settings.buildArgs.get('BUILDKIT_INLINE_CACHE') === '1'
        ? [{ type: 'inline', attributes: new Map() }]
        : [],
    entitlements: new Set(settings.limits.networkMode === 'host' ? (['network.host'] as const) : []),
  };
}

function frontendOptions(settings: BuildSettings): Map<string, string> {
  const { limits, platform } = settings;
  const options = new Map<string, string>([['filename', settings.dockerfile]]);
  const set = (name: string, value: string): void => {
    if (value !== '') options.set(name, value);
  };
  set('target', settings.target);
  if (settings.noCache) options.set('no-cache', '');
  options.set('image-resolve-mode', settings.pull ? 'pull' : 'default');
  if (platform !== undefined)
    set('platform', [platform.os, platform.architecture, platform.variant].filter(Boolean).join('/'));
  if (!['default', 'host', 'none'].includes(limits.networkMode))
    throw new DaemonError(
      'Internal',
      `network mode ${goQuote(limits.networkMode)} not supported by buildkit`,
    );
  if (limits.networkMode !== 'default') set('force-network-mode', limits.networkMode);
  // `name:address`, of which BuildKit wants `name=address`
  set('add-hosts', limits.extraHosts.map((entry) => entry.replace(':', '=')).join(','));
  if (limits.shmBytes > 0) set('shm-size', String(limits.shmBytes));
  set('ulimit', limits.ulimits.map(({ Name, Soft, Hard }) => `${Name}=${Soft}:${Hard}`).join(','));
  set('cgroup-parent', limits.cgroupParent);
  for (const [name, value] of settings.buildArgs)
    if (value !== undefined) options.set(`build-arg:${name}`, value);
  for (const [name, value] of Object.entries(settings.labels)) options.set(`label:${name}`, value);
  return options;
}

function exportersOf({ outputs, tags }: BuildSettings): BuildRequest['exporters'] {
  if (outputs.length > 1) throw invalid('multiple outputs not supported');
  const [output] = outputs;
  const type = output === undefined || output.Type === '' ? 'moby' : output.Type;
  const attributes = new Map(Object.entries(output?.Attrs ?? {}));
  if (type === 'moby' && tags.length > 0) attributes.set('name', tags.map(taggedName).join(','));
  return type === 'cacheonly' ? [] : [{ type, attributes }];
}

/** With domain and tag, as dockerd names them to its builder. */
function taggedName(name: string): string {
  const reference = parseReference(name);
  return fullString(reference.tag === undefined ? { ...reference, tag: 'latest' } : reference);
}

/** In BuildKit's syntax: all have to hold. '' for none. */
function fieldsOf(filters: Filters): string {
  return fieldFilters
    .flatMap((name) => {
      const values = filters.get(name);
      if (values === undefined) return [];
      const [value] = values;
      const quoted = JSON.stringify(value ?? '');
      return value === undefined ? [name] : [name === 'id' ? `id~=${quoted}` : `${name}==${quoted}`];
    })
    .join(',');
}

/** Milliseconds; 0: any. */
function ageOf(filters: Filters): number {
  const text = filters.get('until')?.[0] ?? filters.get('unused-for')?.[0];
  return text === undefined ? 0 : Math.max(0, (parseGoDuration(text) ?? 0) / nanosecondsPerMillisecond);
}

function cacheItem(record: CacheRecord): BuildCacheItem {
  const { lastUsedAtMs } = record;
  return {
    ID: record.id,
    Parent: record.parents[0] ?? '',
    Type: record.type,
    Description: record.description,
    InUse: record.inUse,
    Shared: record.shared,
    Size: record.sizeBytes,
    CreatedAt: new Date(record.createdAtMs).toISOString(),
    LastUsedAt: lastUsedAtMs === undefined ? null : new Date(lastUsedAtMs).toISOString(),
    UsageCount: record.usageCount,
  };
}
