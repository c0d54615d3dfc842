// system/: what a daemon says of itself, whatever runs its containers.
//
// The half of `docker info` and `docker version` that is the same for all.

import { readdirSync } from 'node:fs';
import * as os from 'node:os';
import type { Config } from '../../config';
import type { IndexInfo, RegistryServiceConfig, SystemInfo, SystemVersion } from '../../docker/types';
import { nowTimestamp } from '../../go/timestamp';
import type { SystemVersions } from '../../versions';

export interface DaemonFacts {
  config: Config;
  versions: Pick<SystemVersions, 'engine'>;
  containers: { running: number; paused: number; stopped: number };
  images: number;
  eventListeners: number;
  logDrivers: readonly string[];
}

const nothing = { ID: '', Expected: '' };

export function daemonInfo({
  config,
  versions,
  containers,
  images,
  eventListeners,
  logDrivers,
}: DaemonFacts) {
  return {
    Containers: containers.running + containers.paused + containers.stopped,
    ContainersRunning: containers.running,
    ContainersPaused: containers.paused,
    ContainersStopped: containers.stopped,
    Images: images,
    Plugins: {
      Volume: ['local'],
      Network: ['bridge', 'host', 'null'],
      Authorization: null,
      Log: [...logDrivers],
    },
    MemoryLimit: true,
    // Docker gave these two up on cgroup v2.
    KernelMemory: false,
    KernelMemoryTCP: false,
    CpuCfsPeriod: true,
    CpuCfsQuota: true,
    CPUShares: true,
    IPv4Forwarding: true,
    BridgeNfIptables: false,
    BridgeNfIp6tables: false,
    Debug: config.debug,
    NFd: openFiles(),
    OomKillDisable: false,
    NGoroutines: process.getActiveResourcesInfo().length,
    SystemTime: nowTimestamp(),
    LoggingDriver: config.containerDefaults.logDriver,
    CgroupVersion: '2',
    NEventsListener: eventListeners,
    OSType: 'linux',
    IndexServerAddress: 'https://index.docker.io/v1/',
    RegistryConfig: registryConfig(config),
    GenericResources: null,
    HttpProxy: process.env['HTTP_PROXY'] ?? '',
    HttpsProxy: process.env['HTTPS_PROXY'] ?? '',
    NoProxy: process.env['NO_PROXY'] ?? '',
    Name: os.hostname(),
    Labels: [...config.labels],
    ExperimentalBuild: config.experimental,
    ServerVersion: versions.engine,
    DefaultRuntime: 'runc',
    Swarm: {
      NodeID: '',
      NodeAddr: '',
      LocalNodeState: 'inactive',
      ControlAvailable: false,
      Error: '',
      RemoteManagers: null,
    },
    // Containers outlive the daemon.
    LiveRestoreEnabled: true,
    Isolation: '',
    ContainerdCommit: nothing,
    RuncCommit: nothing,
    InitCommit: nothing,
  } satisfies Partial<SystemInfo>;
}

/** `components`: besides the engine. */
export function daemonVersion(
  versions: Pick<SystemVersions, 'engine' | 'api' | 'minimumApi' | 'gitCommit' | 'buildTime'>,
  { kernel, experimental }: { kernel: string; experimental: boolean },
  components: readonly { Name: string; Version: string }[],
): SystemVersion {
  const common = {
    ApiVersion: versions.api,
    MinAPIVersion: versions.minimumApi,
    GitCommit: versions.gitCommit,
    // Clients print it; there is no Go here.
    GoVersion: `node ${process.versions.node}`,
    Os: 'linux',
    Arch: goArchitecture(),
    KernelVersion: kernel,
    BuildTime: versions.buildTime,
  };
  return {
    Platform: { Name: 'Caisson' },
    Components: [
      {
        Name: 'Engine',
        Version: versions.engine,
        Details: { ...common, Experimental: String(experimental) },
      },
      ...components.map((component) => ({ ...component, Details: {} })),
    ],
    Version: versions.engine,
    ...common,
    ...(experimental ? { Experimental: true } : {}),
  };
}

function registryConfig(config: Config): RegistryServiceConfig {
  const isBlock = (registry: string): boolean => /^[\d.:a-fA-F]+\/\d+$/.test(registry);
  const mirrors = config.registryMirrors.map((mirror) => (mirror.endsWith('/') ? mirror : `${mirror}/`));
  const index = (Name: string, more: Partial<IndexInfo>): [string, IndexInfo] => [
    Name,
    { Name, Mirrors: [], Secure: true, Official: false, ...more },
  ];
  return {
    AllowNondistributableArtifactsCIDRs: [],
    AllowNondistributableArtifactsHostnames: [],
    InsecureRegistryCIDRs: [...config.insecureRegistries.filter(isBlock), '127.0.0.0/8'],
    IndexConfigs: Object.fromEntries([
      index('docker.io', { Mirrors: mirrors, Official: true }),
      ...config.insecureRegistries
        .filter((registry) => !isBlock(registry))
        .map((host) => index(host, { Secure: false })),
    ]),
    Mirrors: mirrors,
  };
}

function openFiles(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return -1;
  }
}

function goArchitecture(): string {
  return os.arch() === 'x64' ? 'amd64' : os.arch();
}
