// system/: what a daemon in front of a cluster says of itself.
//
// info, version, events, disk usage.

import * as os from 'node:os';
import type { Filters, SystemBackend } from '../../api/v1.41/backend';
import type {
  AuthConfig,
  AuthResponse,
  BuildCacheItem,
  DiskUsage,
  EventMessage,
  SystemInfo,
  SystemVersion,
  Volume,
} from '../../docker/types';
import type { Config } from '../../config';
import { listImages } from '../../semantics/images/list';
import { daemonInfo, daemonVersion } from '../../semantics/system/daemon-info';
import { diskUsage } from '../../semantics/system/disk-usage';
import type { ImageStore } from '../../storage/contract/stores';
import type { SystemVersions } from '../../versions';
import { callApi } from '../client/api-error';
import type { ClusterApi } from '../client/cluster-api';
import type { ClusterContainers } from '../containers/container-backend';
import type { ClusterContext } from '../containers/context';

export interface ClusterSystemParts {
  config: Config;
  versions: Pick<SystemVersions, 'engine' | 'api' | 'minimumApi' | 'gitCommit' | 'buildTime'>;
  api: ClusterApi;
  context: ClusterContext;
  containers: Pick<ClusterContainers, 'list'>;
  /** What the cluster has of them. */
  images: () => Promise<{ index: Pick<ImageStore, 'get' | 'list'>; layerBytes: (diffId: string) => number }>;
  volumes: { usage(): Promise<Volume[]> };
  login: (auth: AuthConfig) => Promise<AuthResponse>;
  /** What BuildKit's cache of this daemon has. */
  buildCache: () => Promise<BuildCacheItem[]>;
  /** What the cluster doesn't enforce. */
  warnings: () => Promise<string[]>;
}

const noFilters: Filters = new Map();

export class ClusterSystemBackend implements SystemBackend {
  readonly #parts: ClusterSystemParts;

  constructor(parts: ClusterSystemParts) {
    this.#parts = parts;
  }

  async info(): Promise<SystemInfo> {
    const { config, versions, api, context, images, warnings } = this.#parts;
    const [{ items: nodes }, { index }, notKept] = await Promise.all([
      callApi(() => api.core.listNode()).catch(() => ({ items: [] })),
      images(),
      warnings(),
    ]);
    const counts = { running: 0, paused: 0, stopped: 0 };
    for (const { state } of context.containers.list()) {
      if (state.kind === 'running' || state.kind === 'restarting') counts.running += 1;
      else if (state.kind === 'paused') counts.paused += 1;
      else counts.stopped += 1;
    }
    const first = nodes[0]?.status?.nodeInfo;
    const sum = (of: (capacity: Record<string, string>) => number): number =>
      nodes.reduce((total, { status }) => total + of(status?.capacity ?? {}), 0);
    return {
      ...daemonInfo({
        config,
        versions,
        containers: counts,
        images: listImages(index, { all: true, filters: noFilters }).length,
        eventListeners: context.events.bus.listenerCount,
        logDrivers: ['json-file', 'local'],
      }),
      ID: `caisson-${api.namespace}`,
      Driver: 'kubernetes',
      DriverStatus: [
        ['Namespace', api.namespace],
        ['RuntimeClass', context.settings.runtimeClass ?? "the nodes' own"],
        ...nodes.map(({ metadata, status }): [string, string] => [
          `Node ${metadata?.name ?? ''}`,
          `${status?.nodeInfo?.kubeletVersion ?? ''}, ${status?.nodeInfo?.containerRuntimeVersion ?? ''}`,
        ]),
      ],
      SwapLimit: false,
      CPUSet: false,
      PidsLimit: false,
      CgroupDriver: 'none',
      KernelVersion: first?.kernelVersion ?? '',
      OperatingSystem: first?.osImage ?? '',
      OSVersion: '',
      Architecture: first?.architecture === 'amd64' ? 'x86_64' : (first?.architecture ?? os.machine()),
      NCPU: sum(({ cpu = '0' }) => Number(cpu)),
      MemTotal: sum(({ memory = '0' }) => kibibytes(memory) * 1024),
      DockerRootDir: '',
      Runtimes: { runc: { path: context.settings.runtimeClass ?? '' } },
      InitBinary: '',
      SecurityOptions: ['name=seccomp,profile=default'],
      Warnings: ['the Kubernetes backend is experimental', ...notKept].map((text) => `WARNING: ${text}`),
    };
  }

  async version(): Promise<SystemVersion> {
    const { versions, config, api } = this.#parts;
    const cluster = await callApi(() => api.version.getCode());
    return daemonVersion(versions, { kernel: os.release(), experimental: config.experimental }, [
      { Name: 'Kubernetes', Version: cluster.gitVersion },
    ]);
  }

  auth(body: AuthConfig): Promise<AuthResponse> {
    return this.#parts.login(body);
  }

  events(
    options: { sinceNs?: bigint; untilNs?: bigint; filters: Filters },
    signal: AbortSignal,
  ): Promise<AsyncIterable<EventMessage>> {
    return Promise.resolve(this.#parts.context.events.bus.subscribe(options, signal));
  }

  /** Layers are as large as their registry has them. What a volume's claim holds no daemon can see: -1, as Docker has it. */
  async diskUsage(): Promise<DiskUsage> {
    const { containers, images, volumes, buildCache } = this.#parts;
    const [listed, { index, layerBytes }, usage, cached] = await Promise.all([
      containers.list({ all: true, limit: 0, size: true, filters: noFilters }),
      images(),
      volumes.usage(),
      buildCache(),
    ]);
    return diskUsage({
      images: index.list(),
      summaries: listImages(index, { all: false, filters: noFilters }),
      layerBytes,
      containers: listed,
      volumes: usage,
      buildCache: cached,
    });
  }
}

/** `16374684Ki`, as nodes tell of their memory. */
function kibibytes(quantity: string): number {
  return Number(/^(\d+)Ki$/.exec(quantity)?.[1] ?? 0);
}
