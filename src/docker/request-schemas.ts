// The request bodies of API 1.41, by Go's names of structs and types: clients see them in errors.

import type {
  AuthConfig,
  CheckpointCreateBody,
  ContainerCreateBody,
  ContainerUpdateBody,
  EndpointSettings,
  ExecCreateBody,
  ExecStartBody,
  HostConfig,
  NetworkConnectBody,
  NetworkCreateBody,
  NetworkDisconnectBody,
  VolumeCreateBody,
} from './types';
import { configFields } from './container-config-schema';
import { hostConfig, hostConfigFields, updateFields } from './host-config-schema';
import { bool, integer, list, map, string, stringList, stringMap, struct } from '../go/json-schema';

const consoleSize = list(integer('uint'), '[2]uint', 2);

const endpointSettings = struct<EndpointSettings>('network.EndpointSettings', {
  IPAMConfig: struct<NonNullable<EndpointSettings['IPAMConfig']>>('network.EndpointIPAMConfig', {
    IPv4Address: string,
    IPv6Address: string,
    LinkLocalIPs: stringList,
  }),
  Links: stringList,
  Aliases: stringList,
  NetworkID: string,
  EndpointID: string,
  Gateway: string,
  IPAddress: string,
  IPPrefixLen: integer('int'),
  IPv6Gateway: string,
  GlobalIPv6Address: string,
  GlobalIPv6PrefixLen: integer('int'),
  MacAddress: string,
  DriverOpts: stringMap,
  DNSNames: stringList,
  GwPriority: integer('int'),
});

/** ContainerCreate's, as it is decoded: members of HostConfig may stand at the top, too. */
export type LooseCreateBody = ContainerCreateBody & HostConfig & { Cpuset?: string };

export const containerCreate = struct<LooseCreateBody>('runconfig.ContainerConfigWrapper', {
  ...configFields,
  ...hostConfigFields,
  Cpuset: string,
  HostConfig: hostConfig,
  NetworkingConfig: struct<NonNullable<LooseCreateBody['NetworkingConfig']>>('network.NetworkingConfig', {
    EndpointsConfig: map(endpointSettings, 'map[string]*network.EndpointSettings'),
  }),
});

export const containerUpdate = struct<ContainerUpdateBody>('container.UpdateConfig', updateFields);

export const execCreate = struct<ExecCreateBody>('types.ExecConfig', {
  User: string,
  Privileged: bool,
  Tty: bool,
  ConsoleSize: consoleSize,
  AttachStdin: bool,
  AttachStderr: bool,
  AttachStdout: bool,
  Detach: bool,
  DetachKeys: string,
  Env: stringList,
  WorkingDir: string,
  Cmd: stringList,
});

export const execStart = struct<ExecStartBody>('types.ExecStartCheck', {
  Detach: bool,
  Tty: bool,
  ConsoleSize: consoleSize,
});

/** Of versions before 1.24. */
export const containerCopy = struct<{ Resource: string }>('types.CopyConfig', { Resource: string });

export const checkpointCreate = struct<CheckpointCreateBody>('types.CheckpointCreateOptions', {
  CheckpointID: string,
  CheckpointDir: string,
  Exit: bool,
});

export const authConfig = struct<AuthConfig>('types.AuthConfig', {
  username: string,
  password: string,
  auth: string,
  email: string,
  serveraddress: string,
  identitytoken: string,
  registrytoken: string,
});

export const volumeCreate = struct<VolumeCreateBody>('volume.VolumeCreateBody', {
  Name: string,
  Driver: string,
  DriverOpts: stringMap,
  Labels: stringMap,
});

const ipam = struct<NonNullable<NetworkCreateBody['IPAM']>>('network.IPAM', {
  Driver: string,
  Options: stringMap,
  Config: list(
    struct<object>('network.IPAMConfig', {
      Subnet: string,
      IPRange: string,
      Gateway: string,
      AuxiliaryAddresses: stringMap,
    }),
    '[]network.IPAMConfig',
  ),
});

export const networkCreate = struct<NetworkCreateBody>('types.NetworkCreateRequest', {
  Name: string,
  CheckDuplicate: bool,
  Driver: string,
  Scope: string,
  EnableIPv4: bool,
  EnableIPv6: bool,
  IPAM: ipam,
  Internal: bool,
  Attachable: bool,
  Ingress: bool,
  ConfigOnly: bool,
  ConfigFrom: struct<NonNullable<NetworkCreateBody['ConfigFrom']>>('network.ConfigReference', {
    Network: string,
  }),
  Options: stringMap,
  Labels: stringMap,
});

export const networkConnect = struct<NetworkConnectBody>('types.NetworkConnect', {
  Container: string,
  EndpointConfig: endpointSettings,
});

export const networkDisconnect = struct<NetworkDisconnectBody>('types.NetworkDisconnect', {
  Container: string,
  Force: bool,
});
