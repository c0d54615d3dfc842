// A Docker container as a Pod with one container. Pure: what Docker checks only at start is thrown from here.

import { runcRefusal } from '../docker/runtime-text';
import type { ContainerConfig, HostConfig } from '../docker/types';
import { DaemonError } from '../errors';
import { effectiveCapabilities } from './capabilities';
import { containerDevices } from './devices';
import { containerEnvironment } from './environment';
import {
  containerMounts,
  defaultMaskedPaths,
  defaultReadonlyPaths,
  tmpfsOptions,
  type TmpfsMount,
} from './mounts';
import type { SharedNamespace } from '../vm/contract/protocol';
import type { PodContainerSpec, PodSpec } from './pod';
import { blockIoLimits, cgroupLimits, wantedResources } from './resources';
import { containerRlimits } from './rlimits';
import { parseSecurityOptions, seccompProfile } from './security-options';
import { namespacedSysctls } from './sysctls';

/** What of a container's record makes its Pod. */
export interface ContainerDescription {
  id: string;
  podId: string;
  /** Path and arguments, entrypoint and command together. */
  args: string[];
  config: ContainerConfig;
  hostConfig: HostConfig;
  /** Variables of linked containers. */
  linkEnv?: readonly string[];
  /** The Pod that it shares by its label: host name and IPC are that one's, processes if asked. */
  namedPod?: { id: string; hostname: string; sharePid: boolean };
}

/**
 * Throws DaemonError with the message and the code that Docker's start answers with, for what Docker accepts at create
 * and refuses at start.
 */
export function containerToPod(container: ContainerDescription): PodSpec {
  const { config, hostConfig } = container;
  const hostUts = hostConfig.UTSMode === 'host';
  const ipc = ipcNamespace(hostConfig.IpcMode ?? '', container.namedPod !== undefined);
  const sysctls = namespacedSysctls(hostConfig.Sysctls, {
    hostNetwork: hostConfig.NetworkMode === 'host',
    hostIpc: ipc === 'vm',
    hostUts,
  });
  return {
    id: container.namedPod?.id ?? container.id,
    hostname: container.namedPod?.hostname ?? config.Hostname ?? '',
    domainname: config.Domainname ?? '',
    sysctls: { ...sysctls.pod, ...swappiness(hostConfig) },
    ...wantedResources(hostConfig),
    sharePidNamespace: container.namedPod?.sharePid ?? false,
    containers: [podContainer(container, ipc, sysctls.container)],
  };
}

/** The VM's own: cgroup v2 has none for a group. */
function swappiness({ MemorySwappiness }: HostConfig): Record<string, string> {
  const given = MemorySwappiness ?? -1;
  return given < 0 ? {} : { 'vm.swappiness': String(given) };
}

function podContainer(
  { id, args, config, hostConfig, linkEnv = [], namedPod }: ContainerDescription,
  ipc: SharedNamespace,
  sysctls: Record<string, string>,
): PodContainerSpec {
  const privileged = hostConfig.Privileged ?? false;
  const security = parseSecurityOptions(hostConfig.SecurityOpt);
  const terminal = config.Tty ?? false;
  if ((hostConfig.DeviceRequests ?? []).length > 0) throw deviceRequestRefusal(hostConfig);
  const devices = containerDevices({
    privileged,
    devices: hostConfig.Devices,
    rules: hostConfig.DeviceCgroupRules,
  });
  const blockIo = blockIoLimits(hostConfig);
  const shares = hostConfig.CpuShares ?? 0;
  if (shares < 0) throw new DaemonError('Internal', 'shares: invalid argument');
  if (shares === 1) {
    throw runcRefusal(
      'unable to start container process: error during container init: ' +
        'error setting cgroup config for procHooks process: the minimum allowed cpu-shares is 2',
    );
  }
  return {
    id,
    process: {
      args,
      env: containerEnvironment({
        hostname: config.Hostname ?? '',
        terminal,
        env: [...linkEnv, ...(config.Env ?? [])],
      }),
      cwd: config.WorkingDir === undefined || config.WorkingDir === '' ? '/' : config.WorkingDir,
      user: config.User ?? '',
      additionalGroups: hostConfig.GroupAdd ?? [],
      terminal,
      openStdin: config.OpenStdin ?? false,
      capabilities: effectiveCapabilities({
        privileged,
        add: hostConfig.CapAdd,
        drop: hostConfig.CapDrop,
      }),
      noNewPrivileges: security.noNewPrivileges,
      rlimits: containerRlimits(hostConfig.Ulimits),
      oomScoreAdj: hostConfig.OomScoreAdj ?? 0,
      seccomp: privileged ? 'unconfined' : seccompProfile(security.seccomp),
    },
    init: hostConfig.Init ?? false,
    privileged,
    readonlyRootfs: hostConfig.ReadonlyRootfs ?? false,
    pidNamespace: pidNamespace(hostConfig.PidMode ?? '', namedPod?.sharePid ?? false),
    ipcNamespace: ipc,
    utsNamespace: hostConfig.UTSMode === 'host' ? 'vm' : 'pod',
    cgroupNamespace: hostConfig.CgroupnsMode === 'host' ? 'vm' : 'container',
    mounts: containerMounts({
      privileged,
      shmBytes: hostConfig.IpcMode === 'none' ? undefined : shmBytes(hostConfig),
      ...sharedMemory(hostConfig.IpcMode ?? '', ipc),
      tmpfs: tmpfsMounts(hostConfig),
    }),
    devices: devices.devices,
    deviceRules: devices.rules,
    maskedPaths: privileged ? [] : (hostConfig.MaskedPaths ?? [...defaultMaskedPaths]),
    readonlyPaths: privileged ? [] : (hostConfig.ReadonlyPaths ?? [...defaultReadonlyPaths]),
    cgroup: cgroupLimits(hostConfig),
    ...(blockIo === undefined ? {} : { blockIo }),
    sysctls,
  };
}

const defaultShmBytes = 64 * 2 ** 20;

function shmBytes(hostConfig: HostConfig): number {
  const given = hostConfig.ShmSize ?? 0;
  return given > 0 ? given : defaultShmBytes;
}

function ipcNamespace(mode: string, sharesPod: boolean): SharedNamespace {
  if (mode === 'host') return 'vm';
  const donor = donorOf(mode);
  if (donor !== undefined) return `container:${donor}`;
  if (!['', 'private', 'shareable', 'none'].includes(mode)) {
    throw new DaemonError('Internal', `Invalid IPC mode: ${mode}`);
  }
  return sharesPod && mode !== 'none' ? 'pod' : 'container';
}

function pidNamespace(mode: string, sharePid: boolean): SharedNamespace {
  if (mode === 'host') return 'vm';
  const donor = donorOf(mode);
  if (donor !== undefined) return `container:${donor}`;
  return sharePid ? 'pod' : 'container';
}

/** The container that a mode `container:<name|id>` names. */
export function donorOf(mode: string): string | undefined {
  return mode.startsWith('container:') ? mode.slice('container:'.length) : undefined;
}

/** /dev/shm goes with the IPC namespace. */
function sharedMemory(mode: string, ipc: SharedNamespace): { shmOf?: string } {
  if (ipc === 'pod') return { shmOf: 'pod' };
  const donor = donorOf(ipc);
  if (donor !== undefined) return { shmOf: donor };
  return mode === 'shareable' ? { shmOf: '' } : {};
}

function tmpfsMounts(hostConfig: HostConfig): TmpfsMount[] {
  const mounts: TmpfsMount[] = Object.entries(hostConfig.Tmpfs ?? {}).map(([target, options]) => ({
    target: cleanPath(target),
    options: tmpfsOptions(options),
  }));
  for (const mount of hostConfig.Mounts ?? []) {
    if (mount.Type !== 'tmpfs') continue;
    const options = [];
    const size = mount.TmpfsOptions?.SizeBytes ?? 0;
    const mode = mount.TmpfsOptions?.Mode ?? 0;
    if (mode !== 0) options.push(`mode=${mode.toString(8)}`);
    if (size !== 0) options.push(`size=${String(size)}`);
    if (mount.ReadOnly ?? false) options.push('ro');
    mounts.push({ target: cleanPath(mount.Target ?? ''), options: tmpfsOptions(options.join(',')) });
  }
  return mounts;
}

/** Without doubled or trailing slashes, `.` and `..`; absolute paths stay absolute. */
export function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

function deviceRequestRefusal(hostConfig: HostConfig): DaemonError {
  const request = hostConfig.DeviceRequests?.[0];
  const capabilities = (request?.Capabilities ?? []).map((set) => `[${set.join(' ')}]`).join(' ');
  return new DaemonError(
    'Internal',
    `could not select device driver "${request?.Driver ?? ''}" with capabilities: [${capabilities}]`,
  );
}
