// What a container's configuration becomes before it is recorded: the image's part merged in, defaults filled.

import type {
  ContainerConfig,
  FilledContainerConfig,
  FilledHostConfig,
  HealthConfig,
  HostConfig,
  PortMap,
} from '../../docker/types';
import { DaemonError } from '../../errors';
import { inheritTimings } from '../../dockerfile/healthcheck-instruction';
import type { ImageRunConfig } from '../../docker/image-config';
import { variableName } from '../../translate/environment';
import { defaultMaskedPaths, defaultReadonlyPaths } from '../../translate/mounts';

/** The client's configuration over the image's, by Docker's rules. Throws InvalidParameter `No command specified`. */
export function mergeImageConfig(
  given: ContainerConfig,
  image: ImageRunConfig,
  hostname: string,
): FilledContainerConfig {
  let cmd = given.Cmd ?? null;
  let entrypoint = given.Entrypoint ?? null;
  if (isEmpty(entrypoint)) {
    if (isEmpty(cmd)) cmd = image.Cmd ?? null;
    // An empty list from the client means "none"; only an absent one inherits.
    entrypoint ??= image.Entrypoint ?? null;
  }
  if (entrypoint?.length === 1 && entrypoint[0] === '') entrypoint = null;
  if (isEmpty(entrypoint) && isEmpty(cmd)) throw new DaemonError('InvalidParameter', 'No command specified');

  const stopSignal = orElse(given.StopSignal, image.StopSignal);
  const healthcheck = mergeHealthcheck(given.Healthcheck, image.Healthcheck);
  const exposed = { ...image.ExposedPorts, ...given.ExposedPorts };
  const volumes = { ...image.Volumes, ...given.Volumes };
  return {
    Hostname: hostname,
    Domainname: given.Domainname ?? '',
    User: orElse(given.User, image.User),
    AttachStdin: given.AttachStdin ?? false,
    AttachStdout: given.AttachStdout ?? false,
    AttachStderr: given.AttachStderr ?? false,
    ...(Object.keys(exposed).length > 0 ? { ExposedPorts: exposed } : {}),
    Tty: given.Tty ?? false,
    OpenStdin: given.OpenStdin ?? false,
    StdinOnce: given.StdinOnce ?? false,
    Env: mergeImageEnv(given.Env ?? null, image.Env ?? null),
    Cmd: cmd,
    ...(healthcheck === undefined ? {} : { Healthcheck: healthcheck }),
    ...(given.ArgsEscaped === true ? { ArgsEscaped: true } : {}),
    Image: given.Image ?? '',
    Volumes: Object.keys(volumes).length > 0 ? volumes : (image.Volumes ?? null),
    WorkingDir: orElse(given.WorkingDir, image.WorkingDir),
    Entrypoint: entrypoint,
    ...(given.NetworkDisabled === true ? { NetworkDisabled: true } : {}),
    ...(orElse(given.MacAddress) === '' ? {} : { MacAddress: orElse(given.MacAddress) }),
    OnBuild: given.OnBuild ?? null,
    Labels: { ...image.Labels, ...given.Labels },
    ...(stopSignal === '' ? {} : { StopSignal: stopSignal }),
    ...(given.StopTimeout === undefined || given.StopTimeout === null
      ? {}
      : { StopTimeout: given.StopTimeout }),
    ...(isEmpty(given.Shell) ? {} : { Shell: given.Shell ?? [] }),
  };
}

function isEmpty(list: readonly string[] | null | undefined): boolean {
  return list === null || list === undefined || list.length === 0;
}

/** The first that is neither absent nor empty. */
function orElse(...texts: (string | undefined)[]): string {
  return texts.find((text) => text !== undefined && text !== '') ?? '';
}

/** The image's variables follow the client's, but for names that the client has set. */
function mergeImageEnv(given: string[] | null, image: string[] | null): string[] | null {
  if (image === null || image.length === 0) return isEmpty(given) ? null : given;
  const names = new Set((given ?? []).map(variableName));
  return [...(given ?? []), ...image.filter((entry) => !names.has(variableName(entry)))];
}

function mergeHealthcheck(
  given: HealthConfig | null | undefined,
  image: ImageRunConfig['Healthcheck'],
): HealthConfig | undefined {
  if (image === null || image === undefined) return given === null ? undefined : withoutEmptyTest(given);
  if (given === null || given === undefined) return image;
  const merged = inheritTimings(given, image);
  if (isEmpty(merged.Test) && image.Test !== undefined) merged.Test = image.Test;
  return merged;
}

function withoutEmptyTest(health: HealthConfig | undefined): HealthConfig | undefined {
  if (health === undefined || !isEmpty(health.Test)) return health;
  const rest = { ...health };
  delete rest.Test;
  return rest;
}

// What Docker fills in where a client leaves members out, in the order in which inspect has them.
const emptyWeight = { Path: '', Weight: 0 };
const emptyThrottle = { Path: '', Rate: 0 };
const emptyDevice = { PathOnHost: '', PathInContainer: '', CgroupPermissions: '' };
const emptyDeviceRequest = { Driver: '', Count: 0, DeviceIDs: null, Capabilities: null, Options: null };
const emptyUlimit = { Name: '', Hard: 0, Soft: 0 };

const defaultShmBytes = 64 * 2 ** 20;

/** As inspect shows it. Validate first. */
/** As fillHostConfig. dockerd fills in the runtime at create for clients that sent a HostConfig, at the first start for the others. */
export function hostConfigAtCreate(given: HostConfig, wasSent: boolean): FilledHostConfig {
  const { Runtime, ...others } = fillHostConfig(given);
  return wasSent && Runtime !== undefined ? { ...others, Runtime } : others;
}

export function fillHostConfig(given: HostConfig): FilledHostConfig {
  const privileged = given.Privileged ?? false;
  const memory = given.Memory ?? 0;
  const memorySwap = given.MemorySwap ?? 0;
  const pidsLimit = given.PidsLimit ?? 0;
  const swappiness = given.MemorySwappiness ?? -1;
  return {
    Binds: given.Binds ?? null,
    ContainerIDFile: given.ContainerIDFile ?? '',
    LogConfig: {
      Type: orElse(given.LogConfig?.Type, 'json-file'),
      Config: given.LogConfig?.Config ?? {},
    },
    NetworkMode: orElse(given.NetworkMode, 'default'),
    PortBindings: fillPorts(given.PortBindings),
    RestartPolicy: {
      Name: given.RestartPolicy?.Name ?? '',
      MaximumRetryCount: given.RestartPolicy?.MaximumRetryCount ?? 0,
    },
    AutoRemove: given.AutoRemove ?? false,
    VolumeDriver: given.VolumeDriver ?? '',
    VolumesFrom: given.VolumesFrom ?? null,
    ...unlessEmpty('Annotations', given.Annotations),
    CapAdd: given.CapAdd ?? null,
    CapDrop: given.CapDrop ?? null,
    CgroupnsMode: orElse(given.CgroupnsMode, privileged ? 'host' : 'private'),
    Dns: given.Dns ?? null,
    DnsOptions: given.DnsOptions ?? null,
    DnsSearch: given.DnsSearch ?? null,
    ExtraHosts: given.ExtraHosts ?? null,
    GroupAdd: given.GroupAdd ?? null,
    IpcMode: orElse(given.IpcMode, 'private'),
    Cgroup: given.Cgroup ?? '',
    Links: given.Links ?? null,
    OomScoreAdj: given.OomScoreAdj ?? 0,
    PidMode: given.PidMode ?? '',
    Privileged: privileged,
    PublishAllPorts: given.PublishAllPorts ?? false,
    ReadonlyRootfs: given.ReadonlyRootfs ?? false,
    SecurityOpt: fillSecurityOptions(given),
    ...unlessEmpty('StorageOpt', given.StorageOpt),
    ...unlessEmpty('Tmpfs', given.Tmpfs),
    UTSMode: given.UTSMode ?? '',
    UsernsMode: given.UsernsMode ?? '',
    ShmSize: (given.ShmSize ?? 0) === 0 ? defaultShmBytes : (given.ShmSize ?? 0),
    ...unlessEmpty('Sysctls', given.Sysctls),
    Runtime: orElse(given.Runtime, 'runc'),
    ConsoleSize: given.ConsoleSize ?? [0, 0],
    Isolation: given.Isolation ?? '',
    CpuShares: given.CpuShares ?? 0,
    Memory: memory,
    NanoCpus: given.NanoCpus ?? 0,
    CgroupParent: given.CgroupParent ?? '',
    BlkioWeight: given.BlkioWeight ?? 0,
    BlkioWeightDevice: fillEach(given.BlkioWeightDevice, emptyWeight),
    BlkioDeviceReadBps: fillEach(given.BlkioDeviceReadBps, emptyThrottle),
    BlkioDeviceWriteBps: fillEach(given.BlkioDeviceWriteBps, emptyThrottle),
    BlkioDeviceReadIOps: fillEach(given.BlkioDeviceReadIOps, emptyThrottle),
    BlkioDeviceWriteIOps: fillEach(given.BlkioDeviceWriteIOps, emptyThrottle),
    CpuPeriod: given.CpuPeriod ?? 0,
    CpuQuota: given.CpuQuota ?? 0,
    CpuRealtimePeriod: given.CpuRealtimePeriod ?? 0,
    CpuRealtimeRuntime: given.CpuRealtimeRuntime ?? 0,
    CpusetCpus: given.CpusetCpus ?? '',
    CpusetMems: given.CpusetMems ?? '',
    Devices: fillEach(given.Devices, emptyDevice),
    DeviceCgroupRules: given.DeviceCgroupRules ?? null,
    DeviceRequests: fillEach(given.DeviceRequests, emptyDeviceRequest),
    KernelMemory: given.KernelMemory ?? 0,
    KernelMemoryTCP: given.KernelMemoryTCP ?? 0,
    MemoryReservation: given.MemoryReservation ?? 0,
    // Docker's default lets a container swap as much as it may keep in memory.
    MemorySwap: memory > 0 && memorySwap === 0 ? memory * 2 : memorySwap,
    MemorySwappiness: swappiness === -1 ? null : swappiness,
    OomKillDisable: given.OomKillDisable ?? false,
    PidsLimit: pidsLimit > 0 ? pidsLimit : null,
    Ulimits: fillEach(given.Ulimits, emptyUlimit),
    CpuCount: given.CpuCount ?? 0,
    // what is more is discarded, with a warning
    CpuPercent: Math.min(given.CpuPercent ?? 0, 0),
    IOMaximumIOps: given.IOMaximumIOps ?? 0,
    IOMaximumBandwidth: given.IOMaximumBandwidth ?? 0,
    ...((given.Mounts ?? []).length === 0 ? {} : { Mounts: given.Mounts ?? [] }),
    MaskedPaths: privileged ? null : (given.MaskedPaths ?? [...defaultMaskedPaths]),
    ReadonlyPaths: privileged ? null : (given.ReadonlyPaths ?? [...defaultReadonlyPaths]),
    ...(given.Init === undefined || given.Init === null ? {} : { Init: given.Init }),
  };
}

/** Every item with all members; what a client sent as null is no item. */
function fillEach<Item extends object>(
  list: readonly (Item | null)[] | null | undefined,
  empty: Item,
): Item[] | null {
  return list?.flatMap((item) => (item === null ? [] : [{ ...empty, ...item }])) ?? null;
}

/** The member, which Docker leaves out when there is nothing in it. */
function unlessEmpty<Name extends 'Annotations' | 'StorageOpt' | 'Tmpfs' | 'Sysctls'>(
  name: Name,
  map: Record<string, string> | null | undefined,
): Partial<Record<Name, Record<string, string>>> {
  if (map === null || map === undefined || Object.keys(map).length === 0) return {};
  return { [name]: map } as Record<Name, Record<string, string>>; // a computed name becomes any string
}

function fillPorts(ports: PortMap | null | undefined): PortMap | null {
  if (ports === null || ports === undefined) return null;
  return Object.fromEntries(
    Object.entries(ports).map(([port, bindings]) => [
      port,
      bindings?.map((binding) => ({ HostIp: binding.HostIp ?? '', HostPort: binding.HostPort ?? '' })) ??
        null,
    ]),
  );
}

/** Docker switches labels off where namespaces of the host are shared, unless the client said something about them. */
function fillSecurityOptions(given: HostConfig): string[] | null {
  const options = given.SecurityOpt ?? null;
  const shares = (given.Privileged ?? false) || given.IpcMode === 'host' || given.PidMode === 'host';
  if (!shares || (options ?? []).some((option) => option.split('=')[0] === 'label')) return options;
  return [...(options ?? []), 'label=disable'];
}
