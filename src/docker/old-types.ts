// Answers that clients of versions before 1.25 get, as dockerd 20.10 still gives them.

import type { ContainerInspect, ContainerStats, NetworkSettings, NetworkStats } from './container';
import type { FilledContainerConfig } from './container-config';
import type { SystemInfo } from './system';

/** `Config` has what moved to HostConfig, and names what is empty. */
export interface ContainerConfig120 extends FilledContainerConfig {
  MacAddress: string;
  NetworkDisabled: boolean;
  ExposedPorts: Record<string, object> | null;
  VolumeDriver: string;
}

export interface ContainerConfig119 extends ContainerConfig120 {
  Memory: number;
  MemorySwap: number;
  CpuShares: number;
  Cpuset: string;
}

/** `Ports` is null unless it runs. */
type NetworkSettings120 = Omit<NetworkSettings, 'Networks' | 'Ports'> & {
  Ports: NetworkSettings['Ports'] | null;
};

type InspectBase = Omit<ContainerInspect, 'SizeRw' | 'SizeRootFs' | 'Mounts' | 'Config' | 'NetworkSettings'>;

/** Of API 1.20. */
export interface ContainerInspect120 extends InspectBase {
  Mounts: ContainerInspect['Mounts'];
  Config: ContainerConfig120;
  NetworkSettings: NetworkSettings120;
}

/** Up to API 1.19. */
export interface ContainerInspect119 extends InspectBase {
  /** Where on the host, by destination. */
  Volumes: Record<string, string>;
  VolumesRW: Record<string, boolean>;
  Config: ContainerConfig119;
  NetworkSettings: NetworkSettings120;
}

/** Up to API 1.20. */
export interface ContainerStats120 extends Omit<ContainerStats, 'name' | 'id' | 'networks'> {
  /** Of all interfaces. */
  network: NetworkStats;
}

/** Of one that does not run the one sample is as today. */
export type OldContainerStats = ContainerStats120 | ContainerStats;

/** Up to API 1.24. `SecurityOptions` are names alone. */
export interface SystemInfo124 extends SystemInfo {
  ExecutionDriver: string;
}
