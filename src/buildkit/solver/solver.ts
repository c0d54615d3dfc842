// The solver: builds over one cache.

import { availableParallelism } from 'node:os';
import { Slots } from '../../async/slots';
import { errorMessage } from '../../errors';
import { log } from '../../log';
import type { BuildHost } from '../contract/host';
import type { Platform } from '../contract/llb';
import type { SessionCaller, Sessions } from '../contract/session';
import type { BuildScope, Solver } from '../contract/solver';
import type { Source } from '../contract/source';
import { Build } from './build';
import { CacheMounts } from './cache/cache-mounts';
import { BuildCache, freeBytesOf } from './cache/records';
import { CachedResults } from './cache/results';
import { ContentDigests } from './files/content-digests';
import { LayerTrees } from './files/layer-trees';
import { SharedRuns } from './shared-runs';
import { WantedVertexes } from './wanted-vertexes';
import { callersOf, callersThere } from './sources/callers';
import { gitSource } from './sources/git';
import { httpSource } from './sources/http';
import { imageSource, registryAccess } from './sources/image';
import { localSource } from './sources/local';
import { ociLayoutSource } from './sources/oci-layout';
import { checkPolicy } from './source-policy';
import type { SolverCore } from './vertex-work';

/** Operations on files that go on at once: they share one thread. */
const fileOperations = 4;
const native: Platform = { OS: 'linux', Architecture: 'amd64', Variant: '', OSVersion: '', OSFeatures: [] };

/** What exporters do. */
const exporterCapabilities = [
  'exporter.image.annotations',
  'exporter.image.attestations',
  'exporter.sourcedateepoch',
  'exporter.multiple',
] as const;

/** LLB features of the operations; sources bring theirs. */
const operationCapabilities = [
  'exec.meta.base',
  'exec.meta.proxyenv',
  'exec.meta.network',
  'exec.meta.extrahosts',
  'exec.meta.security',
  'exec.meta.ulimit',
  'exec.meta.cgroup.parent',
  'exec.meta.removemountstubs.recursive',
  'exec.mount.bind',
  'exec.mount.cache',
  'exec.mount.cache.sharing',
  'exec.mount.selector',
  'exec.mount.tmpfs',
  'exec.mount.tmpfs.size',
  'exec.mount.secret',
  'exec.mount.ssh',
  'exec.mount.contentcache',
  'exec.secretenv',
  'exec.validexitcode',
  'file.base',
  'file.rm.wildcard',
  'file.rm.nofollowsymlink',
  'file.copy.includeexcludepatterns',
  'file.copy.alwaysreplaceexistingdestpaths',
  'file.copy.modestring',
  'file.copy.requiredpaths',
  'file.symlink.create',
  'mergeop',
  'diffop',
  'constraints',
  'platform',
  'meta.ignorecache',
  'meta.description',
  'meta.exportcache',
  'source.policy',
] as const;

export interface SolverOptions {
  /** Besides those here: images, local files, http, git, OCI layouts. */
  readonly sources?: readonly Source[];
  /** Commands that run at once. */
  readonly parallelSteps?: number;
  /** Native first. */
  readonly platforms?: readonly Platform[];
}

export function createSolver(host: BuildHost, sessions: Sessions, options: SolverOptions = {}): Solver {
  const trees = new LayerTrees(host.layers);
  const digests = new ContentDigests(host.layers);
  const results = new CachedResults(host);
  results.releaseOrphans();
  const cacheMounts = new CacheMounts(host);
  const platforms = options.platforms ?? [native];
  const sessionsOf = (scope: BuildScope, signal: AbortSignal): Promise<readonly SessionCaller[]> =>
    callersOf(sessions, scope, signal);
  const { temporaryDir, documents } = host;
  const first = platforms[0] ?? native;
  const sources = [
    imageSource(host, trees, first, sessionsOf),
    localSource({ sessions, trees, digests, temporaryDir }),
    httpSource({ trees, digests, temporaryDir, documents, sessionsOf }),
    gitSource({ trees, temporaryDir, sessionsOf }),
    ociLayoutSource({ trees, sessions, native: first }),
    ...(options.sources ?? []),
  ];
  const steps = new StepsOfBuilds();
  const core: SolverCore = {
    host,
    trees,
    digests,
    cacheMounts,
    results,
    runs: new SharedRuns(),
    steps: new Slots(options.parallelSteps ?? availableParallelism()),
    fileWork: new Slots(fileOperations),
    sources: new Map(sources.flatMap((source) => source.schemes.map((scheme) => [scheme, source]))),
    sessionsOf,
    sessionsThere: (scopes) => [...scopes].flatMap(({ sessionIds }) => callersThere(sessions, sessionIds)),
    wanted: new WantedVertexes(),
    cacheImports: {
      host,
      sessionsOf,
      accessOf: (scope) => registryAccess((signal) => sessionsOf(scope, signal)),
    },
    stepOf: (scope, step) => steps.add(scope.id, step),
  };
  return {
    capabilities: [
      ...operationCapabilities,
      ...exporterCapabilities,
      ...sources.flatMap(({ capabilities }) => capabilities),
    ],
    platforms,
    records: new BuildCache(results, cacheMounts, () => freeBytesOf(host.temporaryDir)),
    open: (scope) => {
      if (scope.sourcePolicy !== undefined) checkPolicy(scope.sourcePolicy);
      return new Build(scope, core, () => steps.whenNone(scope.id, () => host.executor.endBuild(scope.id)));
    },
  };
}

/** Steps that run in the VMs of a build; others may want them when their own build is over. */
class StepsOfBuilds {
  readonly #running = new Map<string, Set<Promise<unknown>>>();

  add(buildId: string, step: Promise<unknown>): void {
    const running = this.#running.get(buildId) ?? new Set();
    this.#running.set(buildId, running.add(step));
    const over = (): void => {
      running.delete(step);
      if (running.size === 0 && this.#running.get(buildId) === running) this.#running.delete(buildId);
    };
    step.then(over, over);
  }

  /** At once where none runs; else later, and nobody waits for it. */
  async whenNone(buildId: string, end: () => Promise<void>): Promise<void> {
    const running = this.#running.get(buildId);
    if (running === undefined) return end();
    void Promise.allSettled([...running])
      .then(end)
      .catch((error: unknown) =>
        log.error('VMs of a build could not be ended', { buildId, reason: errorMessage(error) }),
      );
  }
}
