// The service Control: builds, what they tell, what the cache holds.

import { pipeline } from 'node:stream';
import { DaemonError } from '../../errors';
import { socketPair } from '../../host/socket-pair';
import type { CacheRecord } from '../contract/cache-records';
import type { Solver, CacheSource, Entitlement } from '../contract/solver';
import type { BuildHistory } from '../history/history';
import type { Control } from '../messages/control';
import {
  type CacheOptionsEntry,
  type PruneRequest,
  type SolveRequest,
  type UsageRecordInit,
} from '../messages/control';
import { timestamp } from '../messages/google';
import { ByteMessages } from '../session/byte-messages';
import { sessionHeaders, type ClientSessions } from '../session/sessions';
import type { Handlers } from '../wire/server';
import type { BuildRequest } from './build';
import type { Builds } from './builds';
import { versionOf, workerRecord, type WorkerInfo } from './capabilities';
import { fieldFilter, recordFilter } from './record-filter';
import { BuildError } from '../contract/errors';

export interface ControlParts {
  readonly builds: Builds;
  readonly sessions: ClientSessions;
  readonly solver: Solver;
  readonly worker: WorkerInfo;
  /** Undefined: builds are forgotten. */
  readonly history: BuildHistory | undefined;
  /** Which entitlements a client may have. */
  readonly granted: ReadonlySet<Entitlement>;
}

const nanosecondsPerMillisecond = 1_000_000n;

export function controlHandlers(parts: ControlParts): Handlers<(typeof Control)['methods']> {
  const { builds, sessions, solver, worker, history } = parts;
  return {
    async Solve(request, { signal }) {
      return { ExporterResponse: await builds.run(buildRequest(request, parts.granted), signal) };
    },

    async Status({ Ref }, { signal }, send) {
      if (!builds.isKnown(Ref)) {
        const told = await history?.told(Ref);
        if (told !== undefined) {
          for await (const message of told) await send(message);
          return;
        }
      }
      const build = await builds.any(Ref, signal);
      for await (const message of build.progress.subscribe(signal)) await send(message);
    },

    /** A client's session inside of this connection: we call on one end of a socket whose other end is carried by the stream. */
    async Session(stream, { metadata, signal }) {
      const headers = sessionHeaders((name) => metadata.get(name) ?? []);
      sessions.check(headers);
      const [socket, carried] = await socketPair();
      const tunnel = new ByteMessages(stream);
      pipeline(tunnel, carried, tunnel, () => socket.destroy());
      const session = sessions.add(headers, socket);
      const end = (): void => session.destroy();
      signal.addEventListener('abort', end);
      if (signal.aborted) end();
      await new Promise<void>((resolve) => {
        session.closed.addEventListener('abort', () => resolve());
        if (session.closed.aborted) resolve();
      });
      signal.removeEventListener('abort', end);
      tunnel.destroy();
    },

    ListWorkers: () => Promise.resolve({ record: [workerRecord(worker, solver)] }),

    Info: () => Promise.resolve({ buildkitVersion: versionOf(worker) }),

    async DiskUsage({ filter, ageLimit }, { signal }) {
      const matches = recordFilter(filter, 'diskusage');
      const usedBeforeMs = ageLimit === 0n ? Infinity : Date.now() - milliseconds(ageLimit);
      const records = await solver.records.list(signal);
      return {
        record: records
          .filter((record) => matches(record) && lastUse(record) <= usedBeforeMs)
          .map(usageRecord),
      };
    },

    async Prune(request, { signal }, send) {
      for await (const record of solver.records.prune(pruneOptions(request), signal)) {
        await send(usageRecord(record));
      }
    },

    /** Where nothing is kept, an empty list is an answer that clients understand. */
    async ListenBuildHistory({ ActiveOnly, Ref, EarlyExit, Filter, Limit }, { signal }, send) {
      if (history === undefined) return;
      const matches = fieldFilter(Filter);
      const request = { activeOnly: ActiveOnly, ref: Ref, onlyPresent: EarlyExit, matches, limit: Limit };
      for await (const event of history.listen(request, signal)) await send(event);
    },

    /** What is kept is complete when a build has ended: there is nothing to finalize. */
    async UpdateBuildHistory({ Ref, Pinned, Delete, Finalize }) {
      if (history !== undefined && (Delete || !Finalize))
        await history.update(Ref, { pinned: Pinned, isDelete: Delete });
      else if (!Finalize)
        throw new BuildError('NotFound', `failed to find build record ${Ref.slice(0, 100)}: not found`);
      return {};
    },
  };
}

function buildRequest(request: SolveRequest, granted: ReadonlySet<Entitlement>): BuildRequest {
  const { Cache: cache, SourcePolicy: policy } = request;
  if (request.SourcePolicySession !== '')
    throw new BuildError(
      'Unimplemented',
      'policies that the client evaluates are not supported: give a source policy, EXPERIMENTAL_BUILDKIT_SOURCE_POLICY',
    );
  const named = request.Exporters.map(({ Type, Attrs }) => ({ type: Type, attributes: Attrs }));
  const deprecated = { type: request.ExporterDeprecated, attributes: request.ExporterAttrsDeprecated };
  return {
    id: request.Ref,
    sessionId: request.Session,
    what: whatToBuild(request),
    options: request.FrontendAttrs,
    inputs: request.FrontendInputs,
    exporters: named.length === 0 && deprecated.type !== '' ? [deprecated] : named,
    cacheImports: [
      ...(cache?.Imports ?? []).map(cacheSource),
      ...(cache?.ImportRefsDeprecated ?? []).map(registryCache),
    ],
    cacheExports: [
      ...(cache?.Exports ?? []).map(cacheSource),
      ...(cache === undefined || cache.ExportRefDeprecated === ''
        ? []
        : [registryCache(cache.ExportRefDeprecated)]),
    ],
    entitlements: entitlementsOf(request.Entitlements, granted),
    sourcePolicy: policy === undefined || policy.rules.length === 0 ? undefined : policy,
    isInternal: request.Internal,
  };
}

function whatToBuild({ Frontend, Definition }: SolveRequest): BuildRequest['what'] {
  if (Frontend !== '') return { kind: 'frontend', name: Frontend };
  return Definition === undefined ? { kind: 'client' } : { kind: 'definition', definition: Definition };
}

export function cacheSource({ Type, Attrs }: CacheOptionsEntry): CacheSource {
  return { type: Type, attributes: Attrs };
}

function registryCache(ref: string): CacheSource {
  return { type: 'registry', attributes: new Map([['ref', ref]]) };
}

const entitlements: readonly Entitlement[] = ['network.host', 'security.insecure', 'device'];

function entitlementsOf(names: readonly string[], granted: ReadonlySet<Entitlement>): Set<Entitlement> {
  return new Set(
    names.map((name) => {
      const [kind = ''] = name.split('=');
      const known = entitlements.find((entitlement) => entitlement === kind);
      if (known === undefined)
        throw new BuildError('InvalidArgument', `unknown entitlement ${JSON.stringify(name)}`);
      if (!granted.has(known)) {
        throw new BuildError('PermissionDenied', `entitlement ${known} is not allowed`);
      }
      return known;
    }),
  );
}

function pruneOptions(request: PruneRequest): Parameters<Solver['records']['prune']>[0] {
  const { filter, all, keepDuration, reservedSpace, maxUsedSpace, minFreeSpace } = request;
  if ([reservedSpace, maxUsedSpace, minFreeSpace].some((bytes) => bytes < 0) || keepDuration < 0n) {
    throw new DaemonError('InvalidParameter', 'negative limits make no sense');
  }
  return {
    matches: recordFilter(filter, 'prune'),
    all,
    keepDurationMs: milliseconds(keepDuration),
    reservedBytes: reservedSpace,
    maxUsedBytes: maxUsedSpace,
    minFreeBytes: minFreeSpace,
  };
}

function usageRecord(record: CacheRecord): UsageRecordInit {
  const { lastUsedAtMs } = record;
  return {
    ID: record.id,
    Mutable: record.mutable,
    InUse: record.inUse,
    Size: record.sizeBytes,
    Parent: record.parents[0] ?? '',
    Parents: record.parents,
    CreatedAt: timestamp(record.createdAtMs),
    ...(lastUsedAtMs === undefined ? {} : { LastUsedAt: timestamp(lastUsedAtMs) }),
    UsageCount: record.usageCount,
    Description: record.description,
    RecordType: record.type,
    Shared: record.shared,
  };
}

function lastUse(record: CacheRecord): number {
  return record.lastUsedAtMs ?? record.createdAtMs;
}

function milliseconds(nanoseconds: bigint): number {
  return Number(nanoseconds / nanosecondsPerMillisecond);
}
