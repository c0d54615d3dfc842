// What becomes of each field of Docker's create on a cluster: honoured, warned of, or refused. A test holds the table to the API's
// fields, and what is warned of or refused to the code.

import type { ContainerConfig, HostConfig } from '../../docker/types';
import { DaemonError } from '../../errors';

export type FieldFate = 'honoured' | 'warned' | 'refused';

/** Members of the body and of its HostConfig. */
export const createFields: Readonly<Record<string, FieldFate>> = {
  ArgsEscaped: 'honoured',
  AttachStderr: 'honoured',
  AttachStdin: 'honoured',
  AttachStdout: 'honoured',
  Cmd: 'honoured',
  Domainname: 'warned',
  Entrypoint: 'honoured',
  Env: 'honoured',
  ExposedPorts: 'honoured',
  Healthcheck: 'honoured',
  Hostname: 'honoured',
  Image: 'honoured',
  Labels: 'honoured',
  MacAddress: 'warned',
  NetworkDisabled: 'refused',
  NetworkingConfig: 'honoured',
  OnBuild: 'honoured',
  OpenStdin: 'honoured',
  Shell: 'honoured',
  StdinOnce: 'honoured',
  StopSignal: 'honoured',
  StopTimeout: 'honoured',
  Tty: 'honoured',
  User: 'honoured',
  Volumes: 'honoured',
  WorkingDir: 'honoured',
  'HostConfig.Annotations': 'honoured',
  'HostConfig.AutoRemove': 'honoured',
  'HostConfig.Binds': 'honoured',
  'HostConfig.BlkioDeviceReadBps': 'warned',
  'HostConfig.BlkioDeviceReadIOps': 'warned',
  'HostConfig.BlkioDeviceWriteBps': 'warned',
  'HostConfig.BlkioDeviceWriteIOps': 'warned',
  'HostConfig.BlkioWeight': 'warned',
  'HostConfig.BlkioWeightDevice': 'warned',
  'HostConfig.CapAdd': 'honoured',
  'HostConfig.CapDrop': 'honoured',
  'HostConfig.Cgroup': 'warned',
  'HostConfig.CgroupParent': 'warned',
  'HostConfig.CgroupnsMode': 'warned',
  'HostConfig.ConsoleSize': 'honoured',
  'HostConfig.ContainerIDFile': 'honoured',
  'HostConfig.CpuPeriod': 'honoured',
  'HostConfig.CpuQuota': 'honoured',
  'HostConfig.CpuRealtimePeriod': 'warned',
  'HostConfig.CpuRealtimeRuntime': 'warned',
  'HostConfig.CpuShares': 'honoured',
  'HostConfig.CpusetCpus': 'warned',
  'HostConfig.CpusetMems': 'warned',
  'HostConfig.DeviceCgroupRules': 'refused',
  'HostConfig.DeviceRequests': 'refused',
  'HostConfig.Devices': 'refused',
  'HostConfig.Dns': 'honoured',
  'HostConfig.DnsOptions': 'honoured',
  'HostConfig.DnsSearch': 'honoured',
  'HostConfig.ExtraHosts': 'honoured',
  'HostConfig.GroupAdd': 'honoured',
  'HostConfig.Init': 'honoured',
  'HostConfig.IpcMode': 'refused',
  'HostConfig.KernelMemory': 'warned',
  'HostConfig.KernelMemoryTCP': 'warned',
  'HostConfig.Links': 'honoured',
  'HostConfig.LogConfig': 'honoured',
  'HostConfig.MaskedPaths': 'warned',
  'HostConfig.Memory': 'honoured',
  'HostConfig.MemoryReservation': 'honoured',
  'HostConfig.MemorySwap': 'warned',
  'HostConfig.MemorySwappiness': 'warned',
  'HostConfig.Mounts': 'honoured',
  'HostConfig.NanoCpus': 'honoured',
  'HostConfig.NetworkMode': 'honoured',
  'HostConfig.OomKillDisable': 'warned',
  'HostConfig.OomScoreAdj': 'honoured',
  'HostConfig.PidMode': 'refused',
  'HostConfig.PidsLimit': 'warned',
  'HostConfig.PortBindings': 'honoured',
  'HostConfig.Privileged': 'honoured',
  'HostConfig.PublishAllPorts': 'honoured',
  'HostConfig.ReadonlyPaths': 'warned',
  'HostConfig.ReadonlyRootfs': 'honoured',
  'HostConfig.RestartPolicy': 'honoured',
  'HostConfig.Runtime': 'honoured',
  'HostConfig.SecurityOpt': 'honoured',
  'HostConfig.ShmSize': 'honoured',
  'HostConfig.StorageOpt': 'refused',
  'HostConfig.Sysctls': 'honoured',
  'HostConfig.Tmpfs': 'honoured',
  'HostConfig.UTSMode': 'refused',
  'HostConfig.Ulimits': 'honoured',
  'HostConfig.UsernsMode': 'warned',
  'HostConfig.VolumeDriver': 'honoured',
  'HostConfig.VolumesFrom': 'honoured',
  'HostConfig.Isolation': 'honoured',
  'HostConfig.CpuCount': 'warned',
  'HostConfig.CpuPercent': 'warned',
  'HostConfig.IOMaximumBandwidth': 'refused',
  'HostConfig.IOMaximumIOps': 'refused',
};

/** Lines are kept beside the container, as dockerd's `local` driver keeps them. */
export function validateClusterLog(config: { Type?: string | undefined }): void {
  const type = config.Type ?? '';
  if (['', 'json-file', 'local', 'none'].includes(type)) return;
  throw refusal(`the log driver ${type}`, 'lines are kept beside the container; docker logs has them');
}

function refusal(what: string, why: string): DaemonError {
  return new DaemonError('InvalidParameter', `${what} is not supported on a cluster: ${why}`);
}

/** Throws InvalidParameter for what a Pod can't have. Which binds it can, the volumes know. */
export function clusterRefusals(config: ContainerConfig, hostConfig: HostConfig): void {
  const some = (value: readonly unknown[] | null | undefined): boolean => (value ?? []).length > 0;
  if (config.NetworkDisabled === true) throw refusal('NetworkDisabled', 'every Pod has a network');
  if (hostConfig.NetworkMode === 'none')
    throw refusal(
      '--network none',
      'every Pod has a network, and nothing proves that this cluster keeps one closed',
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
  for (const { Type } of hostConfig.Mounts ?? [])
    if (Type === 'image') throw refusal('a mount of type image', 'nodes mount volumes');
}

/** What is not honoured, and does no harm. */
export function clusterWarnings(config: ContainerConfig, hostConfig: HostConfig): string[] {
  const discarded: [string, unknown, string][] = [
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
    ['OomKillDisable', hostConfig.OomKillDisable, "it is the node's kernel that chooses"],
    ['NetworkMode', hostConfig.NetworkMode === 'host', "a container has an address of its own, not a node's"],
    ['Cgroup', hostConfig.Cgroup, "control groups are the node's"],
    ['CgroupParent', hostConfig.CgroupParent, "control groups are the node's"],
    ['CgroupnsMode', hostConfig.CgroupnsMode, "control groups are the node's"],
    ['KernelMemory', hostConfig.KernelMemory, 'Kubernetes has no limit of it'],
    ['KernelMemoryTCP', hostConfig.KernelMemoryTCP, 'Kubernetes has no limit of it'],
    ['MaskedPaths', hostConfig.MaskedPaths, "the node's runtime has its own"],
    ['ReadonlyPaths', hostConfig.ReadonlyPaths, "the node's runtime has its own"],
    ['UsernsMode', hostConfig.UsernsMode, "user namespaces are the node's choice"],
    ['CpuCount', hostConfig.CpuCount, 'it is of Windows'],
    ['CpuPercent', hostConfig.CpuPercent, 'it is of Windows'],
    ['PidsLimit', (hostConfig.PidsLimit ?? 0) > 0, "it is the node's setting"],
  ];
  return discarded.flatMap(([name, value, why]) => (isGiven(value) ? [`${name} discarded: ${why}.`] : []));
}

function isGiven(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return ![undefined, null, 0, '', false].includes(value as undefined);
}
