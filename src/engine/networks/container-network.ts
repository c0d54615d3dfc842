// networks/: a container's endpoints, ports and links, around a run and within it.
//
// A container's endpoints and ports around its run: allocated before, released after.

import { DaemonError, errorMessage } from '../../errors';
import { log } from '../../log';
import type { EndpointRequest, PublishedPort, NetworkManager } from '../../network/network';
import { linkHosts, parseLink } from '../../semantics/containers/links';
import { hostnameFile, hostsFile } from '../../translate/network-files';
import { guestFile } from '../../translate/pod-to-guest';
import type { GuestFile } from '../../vm/contract/protocol';
import type { ContainerNetwork, ContainerRecord } from '../../semantics/containers/container-record';
import { wantedPorts } from '../../semantics/networks/wanted-ports';
import { withRunDefaults } from '../../semantics/create/daemon-defaults';
import type { Announcer } from '../../semantics/events/event-publisher';
import { gatewayEndpoint } from '../vms/gateway-order';
import type { AttachedEndpoint } from '../vms/running-pod';
import type { Config } from '../../config';
import type { ContainerRegistry } from '../core/container-registry';

/** Where endpoints and ports come from. */
export interface NetworkLayer {
  readonly networks: NetworkManager;
}

/** What the engine's files in a container's /etc are made of. */
export interface NetworkFileSources {
  readonly config: Pick<Config, 'containerDefaults'>;
  readonly registry: ContainerRegistry;
  readonly networks: Pick<NetworkManager, 'hostGateway' | 'resolvConf'>;
}

/** The network that a container's entry stands for while the host's is not available. */
const fallbackNetwork = 'bridge';

/** Endpoints for a start; frees those it got when one fails. Throws NotFound `network x not found` and the like. */
export async function allocateEndpoints(
  context: NetworkLayer,
  record: ContainerRecord,
  requestOf: (network: WantedNetwork) => EndpointRequest = ({ networkId, networkName }) =>
    withHostNetwork(
      record,
      endpointRequest(record, networkId, record.networks[networkName]?.requested ?? {}),
    ),
): Promise<AttachedEndpoint[]> {
  const attached: AttachedEndpoint[] = [];
  const networks = wantedNetworks(context, record);
  let owner = record.id;
  try {
    for (const network of networks) {
      const request = requestOf(network);
      owner = request.containerId;
      const endpoint = await context.networks.allocate(request);
      attached.push({ networkName: network.networkName, endpoint, nic: attached.length });
    }
    return attached;
  } catch (error) {
    await releaseEndpoints(context, owner, attached);
    throw error;
  }
}

function withHostNetwork({ hostConfig }: ContainerRecord, request: EndpointRequest): EndpointRequest {
  return hostConfig.NetworkMode === 'host' ? { ...request, hostNetwork: true } : request;
}

/** A network under the name that the container's record has for it. */
export interface WantedNetwork {
  networkName: string;
  networkId: string;
}

/** Networks that a start connects the container to. Throws NotFound `network x not found`. */
export function wantedNetworks(context: NetworkLayer, record: ContainerRecord): WantedNetwork[] {
  if (record.config.NetworkDisabled ?? false) return [];
  if (record.hostConfig.NetworkMode.startsWith('container:')) return [];
  return Object.keys(record.networks).flatMap((networkName) => {
    const { driver, id } = context.networks.resolve(networkName);
    // A configuration is refused by `allocate`.
    if (driver === 'null' && context.networks.inspect(id).configOnly !== true) return [];
    return [
      { networkName, networkId: driver === 'host' ? context.networks.resolve(fallbackNetwork).id : id },
    ];
  });
}

/** What a container asks of the network layer for one of its networks. */
export function endpointRequest(
  record: ContainerRecord,
  networkId: string,
  requested: ContainerNetwork['requested'],
): EndpointRequest {
  const ipam = requested.IPAMConfig;
  const set = (value: string | undefined): value is string => value !== undefined && value !== '';
  const links = (requested.Links ?? []).map(parseLink).map(({ ref, alias }) => [alias, ref]);
  const { Hostname } = record.config;
  return {
    networkId,
    containerId: record.id,
    containerName: record.name,
    aliases: requested.Aliases ?? [],
    // Newer engines answer for a host name that was given; 20.10 does not.
    dnsNames: Hostname === record.id.slice(0, 12) ? [] : [Hostname],
    links: Object.fromEntries(links) as Record<string, string>,
    dnsUpstreams: record.hostConfig.Dns ?? [],
    ...(requested.DriverOpts === null || requested.DriverOpts === undefined
      ? {}
      : { driverOptions: requested.DriverOpts }),
    ...(set(ipam?.IPv4Address) ? { ipv4Address: ipam.IPv4Address } : {}),
    ...(set(ipam?.IPv6Address) ? { ipv6Address: ipam.IPv6Address } : {}),
    ...(set(requested.MacAddress) ? { macAddress: requested.MacAddress } : {}),
    ...((ipam?.LinkLocalIPs ?? []).length > 0 ? { linkLocalIps: ipam?.LinkLocalIPs ?? [] } : {}),
  };
}

/** Frees addresses. Logs what fails: recovery does it again. */
export async function releaseEndpoints(
  context: NetworkLayer,
  containerId: string,
  attached: readonly { endpoint: { networkId: string } }[],
): Promise<void> {
  for (const { endpoint } of attached) {
    try {
      await context.networks.release(endpoint.networkId, containerId);
    } catch (error) {
      log.warn('endpoint could not be released', { containerId, networkId: endpoint.networkId, error });
    }
  }
}

/** All that this container, Pod or step has, recorded or not. Logs what fails. */
export async function releaseAllEndpoints(context: NetworkLayer, owner: string): Promise<void> {
  const endpoints = context.networks.endpointsOf(owner);
  await releaseEndpoints(
    context,
    owner,
    endpoints.map((endpoint) => ({ endpoint })),
  );
}

/** Endpoints that the record says it has. */
export function recordedEndpoints(record: ContainerRecord): AttachedEndpoint[] {
  return Object.entries(record.networks).flatMap(([networkName, { endpoint, nic }]) =>
    endpoint === undefined ? [] : [{ networkName, endpoint, nic: nic ?? 0 }],
  );
}

/** The record's networks with these endpoints; none means that all are gone. */
export function networksWith(
  record: ContainerRecord,
  attached: readonly AttachedEndpoint[],
): Record<string, ContainerNetwork> {
  const networks: Record<string, ContainerNetwork> = {};
  for (const [name, { networkId, requested }] of Object.entries(record.networks)) {
    networks[name] = { networkId, requested };
  }
  for (const { networkName, endpoint, nic } of attached) {
    const requested = record.networks[networkName]?.requested ?? {};
    networks[networkName] = { networkId: endpoint.networkId, requested, endpoint, nic };
  }
  return networks;
}

/** DNS servers for the forwarder on 127.0.0.11: only on networks where Docker has its own resolver. */
export function dnsForwarders(attached: readonly AttachedEndpoint[]): string[] {
  return [
    ...new Set(
      attached
        .filter(({ networkName }) => hasEmbeddedDns(networkName))
        .flatMap(({ endpoint }) => endpoint.dnsServers),
    ),
  ];
}

function hasEmbeddedDns(networkName: string): boolean {
  return !['bridge', 'host', 'none'].includes(networkName);
}

/** The three files that Docker mounts over the image's. */
export function networkFiles(
  context: NetworkFileSources,
  record: ContainerRecord,
  attached: readonly AttachedEndpoint[],
): GuestFile[] {
  const { config } = record;
  const hostConfig = withRunDefaults(record.hostConfig, context.config.containerDefaults);
  const readonly = hostConfig.ReadonlyRootfs;
  const hosts = hostsFile({
    hostname: config.Hostname,
    domainname: config.Domainname,
    extraHosts: hostConfig.ExtraHosts ?? [],
    hostGateway: context.networks.hostGateway,
    links: linkHosts(context.registry, record),
    addresses: attached.flatMap(({ endpoint }) =>
      [endpoint.ipv4Address, endpoint.ipv6Address].filter((address) => address !== ''),
    ),
  });
  const resolvConf = context.networks.resolvConf({
    dns: hostConfig.Dns ?? [],
    search: hostConfig.DnsSearch ?? [],
    options: hostConfig.DnsOptions ?? [],
    embedded: attached.some(({ networkName }) => hasEmbeddedDns(networkName)),
  });
  return [
    guestFile('/etc/resolv.conf', resolvConf, readonly),
    guestFile('/etc/hostname', hostnameFile(config.Hostname), readonly),
    guestFile('/etc/hosts', hosts, readonly),
  ].filter(({ path }) => !mountsOver(record, path));
}

/** Whether a bind or volume of its own lies there, which the engine's file must not cover. */
function mountsOver(record: ContainerRecord, path: string): boolean {
  return record.mounts.some(({ Destination }) => Destination === path);
}

/** The same paths with what another container of the VM has there, unless that one mounts something of its own. */
export function filesOf(files: readonly GuestFile[], owner: ContainerRecord): GuestFile[] {
  return files.map((file) => (mountsOver(owner, file.path) ? file : { ...file, of: owner.id }));
}

/** Binds the container's ports on its gateway network. */
export async function publishPorts(
  context: NetworkLayer,
  record: ContainerRecord,
  attached: readonly AttachedEndpoint[],
  ports = wantedPorts(record),
): Promise<PublishedPort[]> {
  const target = gatewayEndpoint(attached);
  if (ports.length === 0 || target === undefined) return [];
  try {
    return await context.networks.publish(record.id, target.endpoint, ports);
  } catch (error) {
    throw new DaemonError(
      'Internal',
      `driver failed programming external connectivity on endpoint ${record.name} (${target.endpoint.id}): ${errorMessage(error)}`,
      { cause: error },
    );
  }
}

/** Docker's events about a container and its networks; `attached` is what it has endpoints in. */
export function publishNetworkEvents(
  context: Announcer & NetworkLayer,
  record: ContainerRecord,
  attached: readonly AttachedEndpoint[],
  action: 'connect' | 'disconnect',
): void {
  for (const { id, name, type } of announcedNetworks(context, record, attached)) {
    context.events.publish('network', action, id, { container: record.id, name, type });
  }
}

/** As dockerd names them: `none` has no endpoint here, and `host` one in the default bridge. */
function announcedNetworks(
  { networks }: NetworkLayer,
  record: ContainerRecord,
  attached: readonly AttachedEndpoint[],
): { id: string; name: string; type: string }[] {
  const isolated = attached.length === 0 && !(record.config.NetworkDisabled ?? false);
  if (isolated && record.networks['none'] !== undefined)
    return [{ id: networks.resolve('none').id, name: 'none', type: 'null' }];
  return attached.map(({ networkName, endpoint }) =>
    networkName === 'host'
      ? { id: networks.resolve('host').id, name: 'host', type: 'host' }
      : { id: endpoint.networkId, name: endpoint.networkName, type: 'bridge' },
  );
}
