// HostConfig's schema, by Go's names.

import type {
  BindOptions,
  ContainerUpdateBody,
  DeviceMapping,
  DeviceRequest,
  HostConfig,
  LogConfig,
  Mount,
  PortBinding,
  RestartPolicy,
  ThrottleDevice,
  TmpfsOptions,
  Ulimit,
  VolumeOptions,
  WeightDevice,
} from './types';
import {
  bool,
  integer,
  list,
  map,
  named,
  string,
  stringList,
  stringMap,
  strings,
  struct,
} from '../go/json-schema';
import type { Schema } from '../go/json-schema';

const throttleDevices = list(
  struct<ThrottleDevice>('blkiodev.ThrottleDevice', { Path: string, Rate: integer('uint64') }),
  '[]*blkiodev.ThrottleDevice',
);

const restartPolicy = struct<RestartPolicy>('container.RestartPolicy', {
  Name: string,
  MaximumRetryCount: integer('int'),
});

/** The members of HostConfig that ContainerUpdate may change. */
export const updateFields: { [K in keyof Required<ContainerUpdateBody>]: Schema } = {
  CpuShares: integer('int64'),
  Memory: integer('int64'),
  NanoCpus: integer('int64'),
  CgroupParent: string,
  BlkioWeight: integer('uint16'),
  BlkioWeightDevice: list(
    struct<WeightDevice>('blkiodev.WeightDevice', { Path: string, Weight: integer('uint16') }),
    '[]*blkiodev.WeightDevice',
  ),
  BlkioDeviceReadBps: throttleDevices,
  BlkioDeviceWriteBps: throttleDevices,
  BlkioDeviceReadIOps: throttleDevices,
  BlkioDeviceWriteIOps: throttleDevices,
  CpuPeriod: integer('int64'),
  CpuQuota: integer('int64'),
  CpuRealtimePeriod: integer('int64'),
  CpuRealtimeRuntime: integer('int64'),
  CpusetCpus: string,
  CpusetMems: string,
  Devices: list(
    struct<DeviceMapping>('container.DeviceMapping', {
      PathOnHost: string,
      PathInContainer: string,
      CgroupPermissions: string,
    }),
    '[]container.DeviceMapping',
  ),
  DeviceCgroupRules: stringList,
  DeviceRequests: list(
    struct<DeviceRequest>('container.DeviceRequest', {
      Driver: string,
      Count: integer('int'),
      DeviceIDs: stringList,
      Capabilities: list(stringList, '[][]string'),
      Options: stringMap,
    }),
    '[]container.DeviceRequest',
  ),
  KernelMemory: integer('int64'),
  KernelMemoryTCP: integer('int64'),
  MemoryReservation: integer('int64'),
  MemorySwap: integer('int64'),
  MemorySwappiness: integer('int64'),
  OomKillDisable: bool,
  PidsLimit: integer('int64'),
  Ulimits: list(
    struct<Ulimit>('units.Ulimit', { Name: string, Hard: integer('int64'), Soft: integer('int64') }),
    '[]*units.Ulimit',
  ),
  RestartPolicy: restartPolicy,
};

const mount = struct<Mount>('mount.Mount', {
  Type: named('mount.Type'),
  Source: string,
  Target: string,
  ReadOnly: bool,
  Consistency: named('mount.Consistency'),
  BindOptions: struct<BindOptions>('mount.BindOptions', {
    Propagation: named('mount.Propagation'),
    NonRecursive: bool,
    CreateMountpoint: bool,
    ReadOnlyNonRecursive: bool,
    ReadOnlyForceRecursive: bool,
  }),
  VolumeOptions: struct<VolumeOptions>('mount.VolumeOptions', {
    NoCopy: bool,
    Labels: stringMap,
    DriverConfig: struct<NonNullable<VolumeOptions['DriverConfig']>>('mount.Driver', {
      Name: string,
      Options: stringMap,
    }),
    Subpath: string,
  }),
  TmpfsOptions: struct<TmpfsOptions>('mount.TmpfsOptions', {
    SizeBytes: integer('int64'),
    Mode: integer('fs.FileMode'),
    Options: list(stringList, '[][]string'),
  }),
  ImageOptions: struct<NonNullable<Mount['ImageOptions']>>('mount.ImageOptions', { Subpath: string }),
});

const portBinding = struct<PortBinding>('nat.PortBinding', { HostIp: string, HostPort: string });

export const hostConfigFields: { [K in keyof Required<HostConfig>]: Schema } = {
  ...updateFields,
  Binds: stringList,
  ContainerIDFile: string,
  LogConfig: struct<LogConfig>('container.LogConfig', { Type: string, Config: stringMap }),
  NetworkMode: named('container.NetworkMode'),
  PortBindings: map(list(portBinding, '[]nat.PortBinding'), 'nat.PortMap'),
  AutoRemove: bool,
  VolumeDriver: string,
  VolumesFrom: stringList,
  Annotations: stringMap,
  CapAdd: strings,
  CapDrop: strings,
  CgroupnsMode: named('container.CgroupnsMode'),
  Dns: stringList,
  DnsOptions: stringList,
  DnsSearch: stringList,
  ExtraHosts: stringList,
  GroupAdd: stringList,
  IpcMode: named('container.IpcMode'),
  Cgroup: named('container.CgroupSpec'),
  Links: stringList,
  OomScoreAdj: integer('int'),
  PidMode: named('container.PidMode'),
  Privileged: bool,
  PublishAllPorts: bool,
  ReadonlyRootfs: bool,
  SecurityOpt: stringList,
  StorageOpt: stringMap,
  Tmpfs: stringMap,
  UTSMode: named('container.UTSMode'),
  UsernsMode: named('container.UsernsMode'),
  ShmSize: integer('int64'),
  Sysctls: stringMap,
  Runtime: string,
  ConsoleSize: list(integer('uint'), '[2]uint', 2),
  Isolation: named('container.Isolation'),
  CpuCount: integer('int64'),
  CpuPercent: integer('int64'),
  IOMaximumIOps: integer('uint64'),
  IOMaximumBandwidth: integer('uint64'),
  Mounts: list(mount, '[]mount.Mount'),
  MaskedPaths: stringList,
  ReadonlyPaths: stringList,
  Init: bool,
};

export const hostConfig = struct<HostConfig>('container.HostConfig', hostConfigFields);
