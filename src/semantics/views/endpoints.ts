// A container's networks and ports as inspect and list show them.

import { createHash } from 'node:crypto';
import type { EndpointInspect, NetworkSettings, PortBinding, PortMap, PortSummary } from '../../docker/types';
import type { Endpoint, PublishedPort } from '../../network/network';
import { isActive } from '../containers/container-state';
import type { ContainerNetwork, ContainerRecord } from '../containers/container-record';

/** Docker's name of the network behind the mode `default`; its endpoint is shown once more at the top of inspect. */
const defaultNetwork = 'bridge';
/** On these nobody is found by an alias. */
const networksWithoutAliases: readonly string[] = ['bridge', 'host', 'none'];

type Addresses = Pick<
  EndpointInspect,
  | 'EndpointID'
  | 'Gateway'
  | 'IPAddress'
  | 'IPPrefixLen'
  | 'IPv6Gateway'
  | 'GlobalIPv6Address'
  | 'GlobalIPv6PrefixLen'
  | 'MacAddress'
>;

function addresses(endpoint: Endpoint | undefined): Addresses {
  return {
    EndpointID: endpoint?.id ?? '',
    Gateway: endpoint?.ipv4Gateway ?? '',
    IPAddress: endpoint?.ipv4Address ?? '',
    IPPrefixLen: endpoint?.ipv4PrefixLength ?? 0,
    IPv6Gateway: endpoint?.ipv6Gateway ?? '',
    GlobalIPv6Address: endpoint?.ipv6Address ?? '',
    GlobalIPv6PrefixLen: endpoint?.ipv6PrefixLength ?? 0,
    MacAddress: endpoint?.macAddress ?? '',
  };
}

/** The endpoint in a list: addresses only. */
function summarized(record: ContainerRecord, name: string, network: ContainerNetwork): EndpointInspect {
  const ipam = network.requested.IPAMConfig;
  return {
    IPAMConfig:
      ipam === null || ipam === undefined
        ? null
        : { ...address('IPv4Address', ipam), ...address('IPv6Address', ipam) },
    Links: null,
    Aliases: null,
    NetworkID: network.networkId,
    ...addresses(network.endpoint),
    ...emptyEndpoint(record, name),
    DriverOpts: null,
  };
}

/** On `none` dockerd makes an endpoint for each run, too, which has nothing but its id. */
function emptyEndpoint({ id, state }: ContainerRecord, network: string): { EndpointID?: string } {
  if (network !== 'none' || !isActive(state)) return {};
  return { EndpointID: createHash('sha256').update(`${id} ${state.startedAt}`).digest('hex') };
}

function address<Key extends 'IPv4Address' | 'IPv6Address'>(
  key: Key,
  ipam: Partial<Record<Key, string>>,
): Partial<Record<Key, string>> {
  const value = ipam[key];
  // One computed member: TypeScript widens the key.
  return value === undefined || value === '' ? {} : ({ [key]: value } as Partial<Record<Key, string>>);
}

function inspected(record: ContainerRecord, name: string, network: ContainerNetwork): EndpointInspect {
  const { requested, networkId, endpoint } = network;
  const wanted = requested.Aliases ?? [];
  // From the first start on the short id is an alias too.
  const resolvable = networkId !== '' && !networksWithoutAliases.includes(name);
  const shortId = record.id.slice(0, 12);
  const aliases = resolvable ? [...wanted.filter((alias) => alias !== shortId), shortId] : wanted;
  return {
    IPAMConfig: requested.IPAMConfig ?? null,
    Links: requested.Links ?? null,
    Aliases: aliases.length === 0 ? null : aliases,
    NetworkID: networkId,
    ...addresses(endpoint),
    ...emptyEndpoint(record, name),
    // until the first start what a connect asked for is all there is
    ...(endpoint === undefined && networkId === '' ? { MacAddress: connectedMac(record, requested) } : {}),
    DriverOpts: requested.DriverOpts ?? null,
  };
}

/** `NetworkSettings.Networks` of list. */
export function networksSummary(record: ContainerRecord): Record<string, EndpointInspect> {
  return Object.fromEntries(
    Object.entries(record.networks).map(([name, network]) => [name, summarized(record, name, network)]),
  );
}

/** That of the container's own configuration is told there only. */
function connectedMac(
  { config }: ContainerRecord,
  { MacAddress = '' }: ContainerNetwork['requested'],
): string {
  return MacAddress === config.MacAddress ? '' : MacAddress;
}

/** `NetworkSettings` of inspect. `sandboxId` is '' for what never ran or shares another's network. */
export function networkSettings(record: ContainerRecord, sandboxId: string): NetworkSettings {
  const { IPAddress, IPPrefixLen, MacAddress, ...rest } = addresses(
    record.networks[defaultNetwork]?.endpoint,
  );
  return {
    Bridge: '',
    SandboxID: sandboxId,
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    Ports: portMap(record),
    // There is no namespace on the host to enter: the container's network is inside its VM.
    SandboxKey: '',
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    ...rest,
    IPAddress,
    IPPrefixLen,
    MacAddress,
    Networks: Object.fromEntries(
      Object.entries(record.networks).map(([name, network]) => [name, inspected(record, name, network)]),
    ),
  };
}

/** Ports that the running container has: published ones with their bindings, other exposed ones with null. */
function portMap(record: ContainerRecord): PortMap {
  if (!hasPorts(record)) return {};
  const ports: PortMap = {};
  for (const port of Object.keys(record.config.ExposedPorts ?? {})) ports[tablePort(port)] = null;
  for (const published of record.publishedPorts) {
    const key = `${published.containerPort}/${published.protocol}`;
    ports[key] = [...(ports[key] ?? []), binding(published)];
  }
  return ports;
}

/** Docker keeps a table of ports only for a running container with a network of its own. */
function hasPorts(record: ContainerRecord): boolean {
  const mode = record.hostConfig.NetworkMode;
  if (mode === 'host' || mode === 'none' || mode.startsWith('container:')) return false;
  // Nor for one that nothing outside can reach.
  const endpoints = Object.values(record.networks).flatMap(({ endpoint }) => endpoint ?? []);
  if (endpoints.length > 0 && endpoints.every(({ internal }) => internal === true)) return false;
  return isActive(record.state);
}

function binding(port: PublishedPort): PortBinding {
  return { HostIp: port.hostIp === '' ? '0.0.0.0' : port.hostIp, HostPort: String(port.hostPort) };
}

/** `Ports` of list. */
export function portsSummary(record: ContainerRecord): PortSummary[] {
  return Object.entries(portMap(record))
    .flatMap(([port, bindings]): PortSummary[] => {
      const [number, protocol] = port.split('/');
      const exposed: PortSummary = { PrivatePort: Number(number), Type: portType(protocol) };
      if (bindings === null) return [exposed];
      return bindings.map(({ HostIp, HostPort }) => ({
        IP: HostIp ?? '',
        PrivatePort: exposed.PrivatePort,
        PublicPort: Number(HostPort),
        Type: exposed.Type,
      }));
    })
    .sort((a, b) => a.PrivatePort - b.PrivatePort || (a.Type < b.Type ? -1 : a.Type > b.Type ? 1 : 0));
}

/**
 * What Docker's table of ports makes of an exposed port, which create takes in any form: its number
 * and protocol, each 0 when it can't be read as one. A range counts as unreadable.
 */
function tablePort(exposed: string): string {
  const [number = '', protocol = 'tcp'] = exposed.toLowerCase().split('/');
  const value = /^\d+$/.test(number) ? Number(number) : 0;
  return `${value > 0xffff ? 0 : value}/${number === '' ? '0' : portType(protocol)}`;
}

function portType(protocol: string | undefined): PortSummary['Type'] {
  return protocol === 'tcp' || protocol === 'udp' || protocol === 'sctp' ? protocol : '0';
}
