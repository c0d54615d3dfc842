// Config and the body of ContainerCreate.

import type { HostConfig } from './host-config';
import type { EndpointSettings } from './network';

/** Durations are nanoseconds; 0 means inherit. */
export interface HealthConfig {
  /** `[]` inherit, `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", command]`. */
  Test?: string[] | null;
  Interval?: number;
  Timeout?: number;
  StartPeriod?: number;
  /** API 1.44. */
  StartInterval?: number;
  Retries?: number;
}

/** `Config` of a container or an image: in requests, records and responses. */
export interface ContainerConfig {
  Hostname?: string;
  Domainname?: string;
  User?: string;
  AttachStdin?: boolean;
  AttachStdout?: boolean;
  AttachStderr?: boolean;
  /** Keys are `80/tcp`. */
  ExposedPorts?: Record<string, object> | null;
  Tty?: boolean;
  OpenStdin?: boolean;
  StdinOnce?: boolean;
  Env?: string[] | null;
  Cmd?: string[] | null;
  Healthcheck?: HealthConfig | null;
  /** Windows only; kept as sent. */
  ArgsEscaped?: boolean;
  Image?: string;
  Volumes?: Record<string, object> | null;
  WorkingDir?: string;
  Entrypoint?: string[] | null;
  NetworkDisabled?: boolean;
  MacAddress?: string;
  OnBuild?: string[] | null;
  Labels?: Record<string, string> | null;
  StopSignal?: string;
  StopTimeout?: number | null;
  Shell?: string[] | null;
}

/** Config as inspect shows it: these are always there, the others only when set. */
export interface FilledContainerConfig extends ContainerConfig {
  Hostname: string;
  Domainname: string;
  User: string;
  AttachStdin: boolean;
  AttachStdout: boolean;
  AttachStderr: boolean;
  Tty: boolean;
  OpenStdin: boolean;
  StdinOnce: boolean;
  Env: string[] | null;
  Cmd: string[] | null;
  Image: string;
  Volumes: Record<string, object> | null;
  WorkingDir: string;
  Entrypoint: string[] | null;
  OnBuild: string[] | null;
  Labels: Record<string, string> | null;
}

export interface NetworkingConfig {
  EndpointsConfig?: Record<string, EndpointSettings | null> | null;
}

/** Body of ContainerCreate: the container's Config with two more members. */
export interface ContainerCreateBody extends ContainerConfig {
  HostConfig?: HostConfig | null;
  NetworkingConfig?: NetworkingConfig | null;
}

export interface ContainerCreateResponse {
  Id: string;
  Warnings: string[];
}

/** Body of ContainerUpdate: Resources of HostConfig and the restart policy. */
export type ContainerUpdateBody = Pick<
  HostConfig,
  | 'BlkioDeviceReadBps'
  | 'BlkioDeviceReadIOps'
  | 'BlkioDeviceWriteBps'
  | 'BlkioDeviceWriteIOps'
  | 'BlkioWeight'
  | 'BlkioWeightDevice'
  | 'CgroupParent'
  | 'CpuPeriod'
  | 'CpuQuota'
  | 'CpuRealtimePeriod'
  | 'CpuRealtimeRuntime'
  | 'CpuShares'
  | 'CpusetCpus'
  | 'CpusetMems'
  | 'DeviceCgroupRules'
  | 'DeviceRequests'
  | 'Devices'
  | 'KernelMemory'
  | 'KernelMemoryTCP'
  | 'Memory'
  | 'MemoryReservation'
  | 'MemorySwap'
  | 'MemorySwappiness'
  | 'NanoCpus'
  | 'OomKillDisable'
  | 'PidsLimit'
  | 'RestartPolicy'
  | 'Ulimits'
>;

export interface CheckpointCreateBody {
  CheckpointID?: string;
  /** '': the container's own. */
  CheckpointDir?: string;
  /** The container ends when it is saved. */
  Exit?: boolean;
}
