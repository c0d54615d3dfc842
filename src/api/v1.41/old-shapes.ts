// Today's answers in the shapes that clients of older versions know: pure functions. old-versions.ts says for whom.

import type {
  ContainerConfig120,
  ContainerInspect,
  ContainerInspect119,
  ContainerInspect120,
  ContainerStats,
  ContainerStats120,
  NetworkStats,
  SystemInfo,
  SystemInfo124,
} from '../../docker/types';
import { neverTimestamp } from '../../go/timestamp';

/** Up to API 1.19: volumes as two maps, and limits in `Config`. */
export function inspectOf119(inspected: ContainerInspect): ContainerInspect119 {
  const { Mounts, Config, HostConfig, ...rest } = inspectOf120(inspected);
  const { Memory, MemorySwap, CpuShares, CpusetCpus } = HostConfig;
  return {
    ...rest,
    HostConfig,
    Volumes: Object.fromEntries(Mounts.map(({ Destination, Source }) => [Destination, Source])),
    VolumesRW: Object.fromEntries(Mounts.map(({ Destination, RW }) => [Destination, RW])),
    Config: { ...Config, Memory, MemorySwap, CpuShares, Cpuset: CpusetCpus },
  };
}

/** API 1.20. */
export function inspectOf120(inspected: ContainerInspect): ContainerInspect120 {
  const { Running, Restarting } = inspected.State;
  const { Ports } = inspected.NetworkSettings;
  return {
    ...without(inspected, 'SizeRw', 'SizeRootFs'),
    Config: configOf120(inspected.Config, inspected.HostConfig),
    NetworkSettings: {
      ...without(inspected.NetworkSettings, 'Networks'),
      Ports: Running && !Restarting ? Ports : null,
    },
  };
}

function configOf120(
  config: ContainerInspect['Config'],
  { VolumeDriver }: ContainerInspect['HostConfig'],
): ContainerConfig120 {
  return {
    ...config,
    MacAddress: config.MacAddress ?? '',
    NetworkDisabled: config.NetworkDisabled ?? false,
    ExposedPorts: config.ExposedPorts ?? null,
    VolumeDriver,
  };
}

const noTraffic: NetworkStats = {
  rx_bytes: 0,
  rx_packets: 0,
  rx_errors: 0,
  rx_dropped: 0,
  tx_bytes: 0,
  tx_packets: 0,
  tx_errors: 0,
  tx_dropped: 0,
};

/** Up to API 1.20: the traffic of all interfaces as one. */
export function statsOf120(sample: ContainerStats): ContainerStats120 {
  const network = { ...noTraffic };
  for (const counters of Object.values(sample.networks ?? {})) {
    // its own names
    for (const counter of Object.keys(noTraffic) as (keyof NetworkStats)[])
      network[counter] += counters[counter];
  }
  return { ...without(sample, 'name', 'id', 'networks'), network };
}

/** The one sample of a container that does not run: it has today's shape in every version. */
export function isEmptySample({ read }: ContainerStats): boolean {
  return read === neverTimestamp;
}

/** Up to API 1.24: what security there is by name, without the options. */
export function infoOf124(info: SystemInfo): SystemInfo124 {
  const names = info.SecurityOptions.map((option) => /(?:^|,)name=([^,]*)/.exec(option)?.[1] ?? option);
  return { ...info, SecurityOptions: names, ExecutionDriver: '<not supported>' };
}

function without<T extends object, Name extends keyof T>(value: T, ...names: Name[]): Omit<T, Name> {
  const copy = { ...value };
  for (const name of names) Reflect.deleteProperty(copy, name);
  return copy;
}
