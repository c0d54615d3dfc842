// system/: what the daemon says of itself: its id, its drivers, what it takes on disk.
//
// `docker info` and `docker version`: the truth about this daemon in the members Docker has for it.

import { readdirSync, readFileSync } from 'node:fs';
import * as os from 'node:os';
import type { IndexInfo, RegistryServiceConfig, SystemInfo, SystemVersion } from '../../docker/types';
import type { Config } from '../../config';
import type { VmPool } from '../../vm/contract/vm';
import { graphDriverName } from './graph-driver';
import { nowTimestamp } from '../../go/timestamp';
import type { SystemVersions } from '../../versions';

export interface InfoSources {
  id: string;
  config: Config;
  versions: SystemVersions;
  vmStatus: ReturnType<VmPool['status']>;
  containers: { running: number; paused: number; stopped: number };
  images: number;
  eventListeners: number;
  logDrivers: readonly string[];
}

const nothing = { ID: '', Expected: '' };

export function systemInfo(sources: InfoSources): SystemInfo {
  const { config, versions, containers, vmStatus } = sources;
  const release = osRelease();
  return {
    ID: sources.id,
    Containers: containers.running + containers.paused + containers.stopped,
    ContainersRunning: containers.running,
    ContainersPaused: containers.paused,
    ContainersStopped: containers.stopped,
    Images: sources.images,
    Driver: graphDriverName,
    DriverStatus: driverStatus(sources),
    Plugins: {
      Volume: ['local'],
      Network: ['bridge', 'host', 'null'],
      Authorization: null,
      Log: [...sources.logDrivers],
    },
    MemoryLimit: true,
    SwapLimit: true,
    // Docker gave these two up on cgroup v2, which every guest has.
    KernelMemory: false,
    KernelMemoryTCP: false,
    CpuCfsPeriod: true,
    CpuCfsQuota: true,
    CPUShares: true,
    CPUSet: true,
    PidsLimit: true,
    IPv4Forwarding: true,
    // Inside the private namespace, where isolation is done by rules of its own.
    BridgeNfIptables: false,
    BridgeNfIp6tables: false,
    Debug: config.debug,
    NFd: openFiles(),
    OomKillDisable: false,
    NGoroutines: process.getActiveResourcesInfo().length,
    SystemTime: nowTimestamp(),
    LoggingDriver: config.containerDefaults.logDriver,
    CgroupDriver: 'cgroupfs',
    CgroupVersion: '2',
    NEventsListener: sources.eventListeners,
    // What a container's `uname -r` says: the guest's kernel.
    KernelVersion: versions.guestKernel,
    OperatingSystem: release['PRETTY_NAME'] ?? os.type(),
    OSVersion: release['VERSION_ID'] ?? '',
    OSType: 'linux',
    Architecture: os.machine(),
    IndexServerAddress: 'https://index.docker.io/v1/',
    RegistryConfig: registryConfig(config),
    NCPU: os.availableParallelism(),
    MemTotal: os.totalmem(),
    GenericResources: null,
    DockerRootDir: config.dataRoot,
    HttpProxy: process.env['HTTP_PROXY'] ?? '',
    HttpsProxy: process.env['HTTPS_PROXY'] ?? '',
    NoProxy: process.env['NO_PROXY'] ?? '',
    Name: os.hostname(),
    Labels: [...config.labels],
    ExperimentalBuild: config.experimental,
    ServerVersion: versions.engine,
    // The name clients ask for; what runs is the agent in a VM.
    Runtimes: { runc: { path: 'caisson-agent' } },
    DefaultRuntime: 'runc',
    Swarm: {
      NodeID: '',
      NodeAddr: '',
      LocalNodeState: 'inactive',
      ControlAvailable: false,
      Error: '',
      RemoteManagers: null,
    },
    // VMs outlive the daemon.
    LiveRestoreEnabled: true,
    Isolation: '',
    InitBinary: 'docker-init',
    ContainerdCommit: nothing,
    RuncCommit: nothing,
    InitCommit: nothing,
    SecurityOptions: [
      `name=seccomp,profile=${config.containerDefaults.seccompProfile?.path ?? 'default'}`,
      'name=cgroupns',
    ],
    Warnings: warnings(vmStatus),
  };
}

function driverStatus({ vmStatus, versions, config }: InfoSources): [string, string][] {
  return [
    ['Layers', 'squashfs (lz4), one read-only disk each'],
    ['Writable Disks', 'sparse ext4'],
    ['Accelerator', `${vmStatus.accelerator}: ${vmStatus.acceleratorReason}`],
    ['QEMU', versions.qemu],
    ['Template', vmStatus.template ? 'ready' : 'none: VMs boot'],
    ['Pool', `${vmStatus.idle} idle of ${config.poolSize}`],
    ['VMs with a Pod', String(vmStatus.associated)],
  ];
}

function warnings({ accelerator, acceleratorReason }: InfoSources['vmStatus']): string[] | null {
  if (accelerator === 'kvm') return null;
  return [`WARNING: containers run without hardware virtualization: ${acceleratorReason}`];
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

/** Members of os-release(5). */
function osRelease(): Record<string, string> {
  let text: string;
  try {
    text = readFileSync('/etc/os-release', 'utf8');
  } catch {
    return {};
  }
  return Object.fromEntries(
    [...text.matchAll(/^([A-Z_]+)=(?:"(.*)"|'(.*)'|(.*))$/gm)].map(([, name = '', double, single, bare]) => [
      name,
      double ?? single ?? bare ?? '',
    ]),
  );
}

export function systemVersion(versions: SystemVersions, experimental: boolean): SystemVersion {
  const common = {
    ApiVersion: versions.api,
    MinAPIVersion: versions.minimumApi,
    GitCommit: versions.gitCommit,
    // Clients print it; there is no Go here.
    GoVersion: `node ${process.versions.node}`,
    Os: 'linux',
    Arch: goArchitecture(),
    KernelVersion: versions.guestKernel,
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
      { Name: 'QEMU', Version: versions.qemu, Details: {} },
      { Name: 'Guest kernel', Version: versions.guestKernel, Details: {} },
      { Name: 'Guest agent', Version: versions.agentBuild, Details: {} },
    ],
    Version: versions.engine,
    ...common,
    ...(experimental ? { Experimental: true } : {}),
  };
}

function goArchitecture(): string {
  return os.arch() === 'x64' ? 'amd64' : os.arch();
}
