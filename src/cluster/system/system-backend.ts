// system/: what a daemon in front of a cluster says of itself.
//
// info, version, events, disk usage.

import * as os from 'node:os';
import type { Filters, SystemBackend } from '../../api/v1.41/backend';
import type {
  AuthConfig,
  AuthResponse,
  EventMessage,
  SystemInfo,
  SystemVersion,
  Volume,
} from '../../docker/types';
import type { Config } from '../../config';
import { nowTimestamp } from '../../go/timestamp';
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
  images: { list(options: { all: boolean; digests: boolean; filters: Filters }): Promise<object[]> };
  volumes: { list(filters: Filters): Promise<{ Volumes: Volume[] | null }> };
  login: (auth: AuthConfig) => Promise<AuthResponse>;
  /** What the cluster doesn't enforce. */
  warnings: () => Promise<string[]>;
}

const nothing = { ID: '', Expected: '' };
const noFilters: Filters = new Map();

export class ClusterSystemBackend implements SystemBackend {
  readonly #parts: ClusterSystemParts;

  constructor(parts: ClusterSystemParts) {
    this.#parts = parts;
  }

  async info(): Promise<SystemInfo> {
    const { config, versions, api, context, images, warnings } = this.#parts;
    const [{ items: nodes }, listed, notKept] = await Promise.all([
      callApi(() => api.core.listNode()).catch(() => ({ items: [] })),
      images.list({ all: true, digests: false, filters: noFilters }),
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
      ID: `caisson-${api.namespace}`,
      Containers: context.containers.list().length,
      ContainersRunning: counts.running,
      ContainersPaused: counts.paused,
      ContainersStopped: counts.stopped,
      Images: listed.length,
      Driver: 'kubernetes',
      DriverStatus: [
        ['Namespace', api.namespace],
        ['RuntimeClass', context.settings.runtimeClass ?? "the nodes' own"],
        ...nodes.map(({ metadata, status }): [string, string] => [
          `Node ${metadata?.name ?? ''}`,
          `${status?.nodeInfo?.kubeletVersion ?? ''}, ${status?.nodeInfo?.containerRuntimeVersion ?? ''}`,
        ]),
      ],
      Plugins: {
        Volume: ['local'],
        Network: ['bridge', 'host', 'null'],
        Authorization: null,
        Log: ['json-file', 'local'],
      },
      MemoryLimit: true,
      SwapLimit: false,
      KernelMemory: false,
      KernelMemoryTCP: false,
      CpuCfsPeriod: true,
      CpuCfsQuota: true,
      CPUShares: true,
      CPUSet: false,
      PidsLimit: false,
      IPv4Forwarding: true,
      BridgeNfIptables: false,
      BridgeNfIp6tables: false,
      Debug: config.debug,
      NFd: -1,
      OomKillDisable: false,
      NGoroutines: process.getActiveResourcesInfo().length,
      SystemTime: nowTimestamp(),
      LoggingDriver: config.containerDefaults.logDriver,
      CgroupDriver: 'none',
      CgroupVersion: '2',
      NEventsListener: context.events.bus.listenerCount,
      KernelVersion: first?.kernelVersion ?? '',
      OperatingSystem: first?.osImage ?? '',
      OSVersion: '',
      OSType: 'linux',
      Architecture: first?.architecture === 'amd64' ? 'x86_64' : (first?.architecture ?? os.machine()),
      IndexServerAddress: 'https://index.docker.io/v1/',
      RegistryConfig: {
        AllowNondistributableArtifactsCIDRs: [],
        AllowNondistributableArtifactsHostnames: [],
        InsecureRegistryCIDRs: ['127.0.0.0/8'],
        IndexConfigs: {
          'docker.io': {
            Name: 'docker.io',
            Mirrors: [...config.registryMirrors],
            Secure: true,
            Official: true,
          },
        },
        Mirrors: [...config.registryMirrors],
      },
      NCPU: sum(({ cpu = '0' }) => Number(cpu)),
      MemTotal: sum(({ memory = '0' }) => kibibytes(memory) * 1024),
      GenericResources: null,
      DockerRootDir: '',
      HttpProxy: process.env['HTTP_PROXY'] ?? '',
      HttpsProxy: process.env['HTTPS_PROXY'] ?? '',
      NoProxy: process.env['NO_PROXY'] ?? '',
      Name: os.hostname(),
      Labels: [...config.labels],
      ExperimentalBuild: config.experimental,
      ServerVersion: versions.engine,
      Runtimes: { runc: { path: context.settings.runtimeClass ?? '' } },
      DefaultRuntime: 'runc',
      Swarm: {
        NodeID: '',
        NodeAddr: '',
        LocalNodeState: 'inactive',
        ControlAvailable: false,
        Error: '',
        RemoteManagers: null,
      },
      LiveRestoreEnabled: true,
      Isolation: '',
      InitBinary: '',
      ContainerdCommit: nothing,
      RuncCommit: nothing,
      InitCommit: nothing,
      SecurityOptions: ['name=seccomp,profile=default'],
      Warnings: ['the Kubernetes backend is experimental', ...notKept].map((text) => `WARNING: ${text}`),
    };
  }

  async version(): Promise<SystemVersion> {
    const { versions, config, api } = this.#parts;
    const cluster = await callApi(() => api.version.getCode());
    const common = {
      ApiVersion: versions.api,
      MinAPIVersion: versions.minimumApi,
      GitCommit: versions.gitCommit,
      GoVersion: `node ${process.versions.node}`,
      Os: 'linux',
      Arch: os.arch() === 'x64' ? 'amd64' : os.arch(),
      KernelVersion: os.release(),
      BuildTime: versions.buildTime,
    };
    return {
      Platform: { Name: 'Caisson' },
      Components: [
        {
          Name: 'Engine',
          Version: versions.engine,
          Details: { ...common, Experimental: String(config.experimental) },
        },
        { Name: 'Kubernetes', Version: cluster.gitVersion, Details: {} },
      ],
      Version: versions.engine,
      ...common,
      ...(config.experimental ? { Experimental: true } : {}),
    };
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

  async diskUsage(): Promise<object> {
    const { containers, images, volumes } = this.#parts;
    const [Containers, Images, { Volumes }] = await Promise.all([
      containers.list({ all: true, limit: 0, size: true, filters: noFilters }),
      images.list({ all: false, digests: false, filters: noFilters }),
      volumes.list(noFilters),
    ]);
    return {
      LayersSize: 0,
      Images,
      Containers,
      Volumes: (Volumes ?? []).map((volume) => ({ ...volume, UsageData: { RefCount: -1, Size: -1 } })),
      BuildCache: [],
      BuilderSize: 0,
    };
  }
}

/** `16374684Ki`, as nodes tell of their memory. */
function kibibytes(quantity: string): number {
  return Number(/^(\d+)Ki$/.exec(quantity)?.[1] ?? 0);
}
