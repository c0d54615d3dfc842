// What becomes of each field of Docker's create on a cluster: honoured, warned of, or refused. A test holds the table to the API's
// fields, and what is warned of or refused to the code.

import type { ContainerConfig, EndpointSettings, HostConfig } from '../../docker/types';
import { DaemonError } from '../../errors';
import { validateFileLog, type LogConfigInput } from '../../semantics/logs/file-log-options';
import { isUserDefined } from '../../semantics/networks/connect-validation';
import { extraHostName, isAlone, podHostname } from './pod-plan';

export type FieldFate = 'honoured' | 'warned' | 'refused';

/** Members of the body and of its HostConfig: what becomes of each, in words that docs/compatibility.md has, too. */
export const createFields: Readonly<Record<string, readonly [FieldFate, string]>> = {
  ArgsEscaped: ['honoured', 'kept and shown'],
  AttachStderr: ['honoured', 'kept and shown: the client attaches'],
  AttachStdin: ['honoured', 'kept and shown: the client attaches'],
  AttachStdout: ['honoured', 'kept and shown: the client attaches'],
  Cmd: ['honoured', 'what process 1 starts'],
  Domainname: ['warned', 'a Pod has none'],
  Entrypoint: ['honoured', 'what process 1 starts'],
  Env: ['honoured', "of the command; `$(NAME)` in it is not Kubernetes' to read"],
  ExposedPorts: ['honoured', 'published with `PublishAllPorts`'],
  Healthcheck: ['honoured', 'an exec by the daemon that holds the Lease'],
  Hostname: [
    'honoured',
    "the Pod's `hostname`; one that is no label of lower-case letters, digits and dashes is warned of",
  ],
  Image: ['honoured', 'by its digest, with the Secret that it was pulled by'],
  Labels: ['honoured', "in the record: Docker's filters select by them, Kubernetes' selectors don't"],
  MacAddress: ['warned', "it is the cluster's network that gives one"],
  NetworkingConfig: [
    'honoured',
    'NetworkPolicies, names and aliases; addresses, MAC addresses and `GwPriority` are warned of',
  ],
  NetworkDisabled: ['honoured', 'as `--network none`'],
  OnBuild: ['honoured', 'kept and shown'],
  OpenStdin: ['honoured', 'process 1 keeps it open'],
  Shell: ['honoured', 'kept and shown'],
  StdinOnce: ['honoured', 'process 1 closes it'],
  StopSignal: ['honoured', 'sent by process 1'],
  StopTimeout: ['honoured', 'seconds between the signal and SIGKILL'],
  Tty: ['honoured', 'process 1 makes the terminal'],
  User: ['honoured', 'looked up in the image by process 1'],
  Volumes: ['honoured', 'PersistentVolumeClaims, filled from the image'],
  WorkingDir: ['honoured', 'made where there is none'],
  'HostConfig.Annotations': ['honoured', 'kept and shown; no runtime reads them'],
  'HostConfig.AutoRemove': ['honoured', 'by the daemon that holds the Lease'],
  'HostConfig.Binds': [
    'honoured',
    "claims for volumes, a Secret for a small file that is only read, `hostPath` below `--kube-bind-path`, for Docker's socket one of process 1; others are refused",
  ],
  'HostConfig.BlkioDeviceReadBps': ['warned', 'Kubernetes has no limits of block I/O'],
  'HostConfig.BlkioDeviceReadIOps': ['warned', 'Kubernetes has no limits of block I/O'],
  'HostConfig.BlkioDeviceWriteBps': ['warned', 'Kubernetes has no limits of block I/O'],
  'HostConfig.BlkioDeviceWriteIOps': ['warned', 'Kubernetes has no limits of block I/O'],
  'HostConfig.BlkioWeight': ['warned', 'Kubernetes has no limits of block I/O'],
  'HostConfig.BlkioWeightDevice': ['warned', 'Kubernetes has no limits of block I/O'],
  'HostConfig.CapAdd': ['honoured', "`capabilities` of the Pod's container, and of the command"],
  'HostConfig.CapDrop': ['honoured', 'process 1 drops them of the command'],
  'HostConfig.Cgroup': ['warned', "control groups are the node's"],
  'HostConfig.CgroupParent': ['warned', "control groups are the node's"],
  'HostConfig.CgroupnsMode': ['warned', "control groups are the node's"],
  'HostConfig.ConsoleSize': ['honoured', 'of the terminal, from its start'],
  'HostConfig.ContainerIDFile': ['honoured', 'the client writes it'],
  'HostConfig.CpuPeriod': ['honoured', 'with `CpuQuota`, `limits.cpu`'],
  'HostConfig.CpuQuota': ['honoured', '`limits.cpu`'],
  'HostConfig.CpuRealtimePeriod': ['warned', 'Kubernetes has no real-time limits'],
  'HostConfig.CpuRealtimeRuntime': ['warned', 'Kubernetes has no real-time limits'],
  'HostConfig.CpuShares': ['honoured', '`requests.cpu`: 1024 are a CPU'],
  'HostConfig.CpusetCpus': ['warned', "which CPUs is the node's choice"],
  'HostConfig.CpusetMems': ['warned', "which memory is the node's choice"],
  'HostConfig.DeviceCgroupRules': ['refused', "which node a container is on is the cluster's choice"],
  'HostConfig.DeviceRequests': ['refused', "which node a container is on is the cluster's choice"],
  'HostConfig.Devices': ['refused', "which node a container is on is the cluster's choice"],
  'HostConfig.Dns': ['honoured', '`dnsConfig`, or whom its name server asks'],
  'HostConfig.DnsOptions': ['honoured', '`dnsConfig`'],
  'HostConfig.DnsSearch': ['honoured', "`dnsConfig`; without `Dns`, after the cluster's own"],
  'HostConfig.ExtraHosts': [
    'honoured',
    '`hostAliases`, in small letters; `host-gateway` is warned of, a name of other characters than letters, digits, dashes and dots refused',
  ],
  'HostConfig.GroupAdd': ['honoured', 'looked up in the image by process 1'],
  'HostConfig.Init': ['honoured', 'process 1 hands signals on and reaps in any case'],
  'HostConfig.IpcMode': [
    'refused',
    "a node's namespaces are not shared, nor another Pod's; `private` and `shareable` are what a Pod has",
  ],
  'HostConfig.KernelMemory': ['warned', 'Kubernetes has no limit of it'],
  'HostConfig.KernelMemoryTCP': ['warned', 'Kubernetes has no limit of it'],
  'HostConfig.Links': ['honoured', 'names, and variables of the command'],
  'HostConfig.LogConfig': [
    'honoured',
    '`json-file`, `local` and `none`, with their sizes, kept by process 1; other drivers are refused',
  ],
  'HostConfig.MaskedPaths': ['warned', "the node's runtime has its own"],
  'HostConfig.Memory': ['honoured', '`limits.memory`'],
  'HostConfig.MemoryReservation': ['honoured', '`requests.memory`'],
  'HostConfig.MemorySwap': ['warned', "swap is the node's choice"],
  'HostConfig.MemorySwappiness': ['warned', "swap is the node's choice"],
  'HostConfig.Mounts': [
    'honoured',
    'as `Binds`; tmpfs as `emptyDir` of memory, whose mode is warned of; images are refused',
  ],
  'HostConfig.NanoCpus': ['honoured', '`limits.cpu`'],
  'HostConfig.NetworkMode': [
    'honoured',
    "NetworkPolicies and names; `none` is a namespace that process 1 makes; `host` is warned of, another container's is refused",
  ],
  'HostConfig.OomKillDisable': ['warned', "it is the node's kernel that chooses"],
  'HostConfig.OomScoreAdj': ['honoured', 'process 1 sets it'],
  'HostConfig.PidMode': ['refused', "a node's namespaces are not shared, nor another Pod's"],
  'HostConfig.PidsLimit': ['warned', "it is the node's setting"],
  'HostConfig.PortBindings': ['honoured', 'listeners of the daemon, through process 1, or a Service'],
  'HostConfig.Privileged': ['honoured', "`privileged`, as far as the namespace's Pod Security lets it"],
  'HostConfig.PublishAllPorts': ['honoured', 'listeners of the daemon, through process 1, or a Service'],
  'HostConfig.ReadonlyPaths': ['warned', "the node's runtime has its own"],
  'HostConfig.ReadonlyRootfs': ['honoured', '`readOnlyRootFilesystem`'],
  'HostConfig.RestartPolicy': [
    'honoured',
    'by the daemon that holds the Lease, in the same Pod while it lasts',
  ],
  'HostConfig.Runtime': [
    'honoured',
    '`runc`, which stands for the RuntimeClass of the daemon; another name is refused',
  ],
  'HostConfig.SecurityOpt': [
    'honoured',
    '`seccomp` and `no-new-privileges`, by process 1; `apparmor` and `label` are warned of',
  ],
  'HostConfig.ShmSize': ['honoured', 'an `emptyDir` of memory, unless it is 64 MiB'],
  'HostConfig.StorageOpt': ['refused', "a container's layer is on its node's disk"],
  'HostConfig.Sysctls': ['honoured', '`sysctls` of the Pod: those that its node allows'],
  'HostConfig.Tmpfs': ['honoured', '`emptyDir` of memory, with `size` and `ro`; other options are warned of'],
  'HostConfig.UTSMode': ['refused', "a node's namespaces are not shared"],
  'HostConfig.Ulimits': ['honoured', 'process 1 sets them, with `SYS_RESOURCE`'],
  'HostConfig.UsernsMode': ['warned', "but for `host`: user namespaces are the node's choice"],
  'HostConfig.VolumeDriver': ['honoured', '`local` is a claim; another is refused'],
  'HostConfig.VolumesFrom': ['honoured', 'the same claims'],
  'HostConfig.Isolation': ['honoured', '`default`; another is refused'],
  'HostConfig.CpuCount': ['warned', 'it is of Windows'],
  'HostConfig.CpuPercent': ['warned', 'it is of Windows'],
  'HostConfig.IOMaximumBandwidth': ['refused', 'as by dockerd on Linux'],
  'HostConfig.IOMaximumIOps': ['refused', 'as by dockerd on Linux'],
};

/** Lines are kept beside the container, as dockerd's `local` driver keeps them. */
export function validateClusterLog({ Type, Config }: LogConfigInput): void {
  const type = (Type ?? '') === '' ? 'json-file' : Type;
  if (type === 'none') return;
  if (type === 'json-file' || type === 'local') {
    validateFileLog(type, Config ?? {});
    return;
  }
  throw refusal(
    `the log driver ${String(type)}`,
    'lines are kept beside the container; docker logs has them',
  );
}

function refusal(what: string, why: string): DaemonError {
  return new DaemonError('InvalidParameter', `${what} is not supported on a cluster: ${why}`);
}

function mayReturn(capAdd: readonly string[] | null | undefined): boolean {
  return (capAdd ?? []).some((name) => /^(CAP_)?(SYS_ADMIN|SYS_PTRACE|ALL)$/i.test(name));
}

/** Throws InvalidParameter for what a Pod can't have. Which binds it can, the volumes know. */
export function clusterRefusals(config: ContainerConfig, hostConfig: HostConfig): void {
  const some = (value: readonly unknown[] | null | undefined): boolean => (value ?? []).length > 0;
  if (isAlone({ config, hostConfig }) && (hostConfig.Privileged === true || mayReturn(hostConfig.CapAdd)))
    throw refusal(
      '--network none with the capability SYS_ADMIN or SYS_PTRACE',
      'its Pod has a network, to which that would let it return',
    );
  if (some(hostConfig.Devices) || some(hostConfig.DeviceCgroupRules) || some(hostConfig.DeviceRequests))
    throw refusal('a device of a node', 'which node a container is on is the cluster’s choice');
  if (Object.keys(hostConfig.StorageOpt ?? {}).length > 0)
    throw refusal('--storage-opt', "a container's layer is on its node's disk");
  for (const [name, mode] of [
    ['--ipc', hostConfig.IpcMode],
    ['--pid', hostConfig.PidMode],
    ['--uts', hostConfig.UTSMode],
    ['--network', hostConfig.NetworkMode],
  ] as const) {
    if (mode?.startsWith('container:') === true)
      throw refusal(`${name} ${mode}`, 'each container is a Pod of its own');
    if (name !== '--network' && mode === 'host')
      throw refusal(`${name} host`, "a node's namespaces are not shared");
  }
  for (const entry of hostConfig.ExtraHosts ?? [])
    if (extraHostName(entry) === undefined)
      throw refusal(`the name of --add-host ${entry}`, 'Kubernetes writes none of such characters');
  if (hostConfig.IpcMode === 'none') throw refusal('--ipc none', 'every Pod has a /dev/shm');
  for (const { Type } of hostConfig.Mounts ?? [])
    if (Type === 'image') throw refusal('a mount of type image', 'nodes mount volumes');
}

/** What is not honoured, and does no harm. `endpoints`: of NetworkingConfig. */
export function clusterWarnings(
  config: ContainerConfig,
  hostConfig: HostConfig,
  endpoints: Readonly<Record<string, EndpointSettings | null>> = {},
): string[] {
  const memoryMounts = (hostConfig.Mounts ?? []).filter(({ Type }) => Type === 'tmpfs');
  const hostname = config.Hostname ?? '';
  const discarded: [string, unknown, string][] = [
    ['Hostname', hostname !== '' && podHostname(hostname) !== hostname, "a Pod's has other letters"],
    [
      'ExtraHosts host-gateway',
      (hostConfig.ExtraHosts ?? []).some((entry) => entry.endsWith(':host-gateway')),
      'a Pod has no host of its own',
    ],
    [
      'SecurityOpt apparmor and label',
      (hostConfig.SecurityOpt ?? []).some((option) =>
        /^(apparmor[=:](?!unconfined$)|label[=:](?!disable$))/.test(option),
      ),
      "they are the node's",
    ],
    [
      'Tmpfs options',
      Object.values(hostConfig.Tmpfs ?? {}).some(hasOtherOptions),
      'memory of a Pod has a size, and may be read-only',
    ],
    [
      'TmpfsOptions Mode',
      memoryMounts.some(({ TmpfsOptions }) => (TmpfsOptions?.Mode ?? 0) !== 0),
      'memory of a Pod has a size, and may be read-only',
    ],
    ...Object.entries(endpoints).flatMap(([name, settings]) => discardedOfEndpoint(name, settings ?? {})),
    ['Domainname', config.Domainname, 'a Pod has none'],
    ['MacAddress', config.MacAddress, "it is the cluster's network that gives one"],
    ['BlkioWeight', hostConfig.BlkioWeight, 'Kubernetes has no limits of block I/O'],
    ['BlkioWeightDevice', hostConfig.BlkioWeightDevice, 'Kubernetes has no limits of block I/O'],
    ['BlkioDeviceReadBps', hostConfig.BlkioDeviceReadBps, 'Kubernetes has no limits of block I/O'],
    ['BlkioDeviceWriteBps', hostConfig.BlkioDeviceWriteBps, 'Kubernetes has no limits of block I/O'],
    ['BlkioDeviceReadIOps', hostConfig.BlkioDeviceReadIOps, 'Kubernetes has no limits of block I/O'],
    ['BlkioDeviceWriteIOps', hostConfig.BlkioDeviceWriteIOps, 'Kubernetes has no limits of block I/O'],
    ['CpuRealtimePeriod', hostConfig.CpuRealtimePeriod, 'Kubernetes has no real-time limits'],
    ['CpuRealtimeRuntime', hostConfig.CpuRealtimeRuntime, 'Kubernetes has no real-time limits'],
    ['CpusetCpus', hostConfig.CpusetCpus, "which CPUs is the node's choice"],
    ['CpusetMems', hostConfig.CpusetMems, "which memory is the node's choice"],
    ['MemorySwap', hostConfig.MemorySwap, "swap is the node's choice"],
    ['MemorySwappiness', (hostConfig.MemorySwappiness ?? -1) >= 0, "swap is the node's choice"],
    ['NetworkMode', hostConfig.NetworkMode === 'host', "a container has an address of its own, not a node's"],
    ['Cgroup', hostConfig.Cgroup, "control groups are the node's"],
    ['CgroupParent', hostConfig.CgroupParent, "control groups are the node's"],
    ['CgroupnsMode', hostConfig.CgroupnsMode, "control groups are the node's"],
    ['KernelMemory', hostConfig.KernelMemory, 'Kubernetes has no limit of it'],
    ['KernelMemoryTCP', hostConfig.KernelMemoryTCP, 'Kubernetes has no limit of it'],
    ['MaskedPaths', hostConfig.MaskedPaths, "the node's runtime has its own"],
    ['ReadonlyPaths', hostConfig.ReadonlyPaths, "the node's runtime has its own"],
    [
      'UsernsMode',
      hostConfig.UsernsMode !== 'host' && hostConfig.UsernsMode,
      "user namespaces are the node's choice",
    ],
    ['CpuCount', hostConfig.CpuCount, 'it is of Windows'],
    ['CpuPercent', hostConfig.CpuPercent, 'it is of Windows'],
    ['PidsLimit', (hostConfig.PidsLimit ?? 0) > 0, "it is the node's setting"],
  ];
  return discarded.flatMap(([name, value, why]) => (isGiven(value) ? [`${name} discarded: ${why}.`] : []));
}

/** Which address a Pod has is the cluster's choice. One that is asked for on a network that is not the user's is refused at start. */
function discardedOfEndpoint(
  network: string,
  { IPAMConfig, MacAddress, GwPriority }: EndpointSettings,
): [string, unknown, string][] {
  const { IPv4Address, IPv6Address, LinkLocalIPs } = IPAMConfig ?? {};
  const addresses = [...(isUserDefined(network) ? [IPv4Address, IPv6Address] : []), ...(LinkLocalIPs ?? [])];
  return [
    [`IPAMConfig of ${network}`, addresses.filter(isGiven), "addresses are the cluster's choice"],
    [`MacAddress of ${network}`, MacAddress, "it is the cluster's network that gives one"],
    [`GwPriority of ${network}`, GwPriority, 'a Pod has one interface'],
  ];
}

function hasOtherOptions(options: string): boolean {
  const known = /^(|rw|ro|size=\d+[kmg]?)$/i;
  return options.split(',').some((option) => !known.test(option));
}

function isGiven(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return ![undefined, null, 0, '', false].includes(value as undefined);
}
