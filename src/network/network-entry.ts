// One network's records in memory, and the addresses of its endpoints.

import { randomBytes } from 'node:crypto';

import { DaemonError } from '../errors';
import {
  contains,
  formatAddress,
  formatMac,
  macOfIpv4,
  parseAddress,
  parseMac,
  parseSubnet,
  isLinkLocal,
} from './addresses/addresses';
import type { IpAddress, IpFamily, Subnet } from './addresses/addresses';
import { AddressPool, rangeOf } from './addresses/ipam';
import type { EndpointRequest, HostPart } from './network';
import { refusals } from './network-pools';
import type { EndpointRecord, NetworkRecord } from './network-record';

export interface NetworkEntry {
  record: NetworkRecord;
  pools: AddressPool[];
  /** By container id, in order of allocation. */
  endpoints: Map<string, EndpointRecord>;
  /** Addresses that containers gave back, by container id: each gets its own again if it is still free. */
  former: Map<string, IpAddress[]>;
}

/** Containers whose former addresses are remembered, for each network. */
const maxFormer = 4096;

/** The network with its gateway's and auxiliary addresses taken, and no endpoints. */
export function makeEntry(record: NetworkRecord): NetworkEntry {
  // A configuration's subnets are for others.
  const pools = (record.configOnly === true ? [] : record.ipam).map((config) => {
    const subnet = parseSubnet(config.subnet);
    if (subnet === undefined)
      throw new DaemonError('Internal', `network ${record.name}: bad subnet ${config.subnet}`);
    const pool = new AddressPool(subnet, rangeOf(subnet, config));
    for (const text of [config.gateway, ...Object.values(config.auxiliaryAddresses ?? {})]) {
      const address = text === undefined ? undefined : parseAddress(text);
      if (address !== undefined) pool.take(address);
    }
    return pool;
  });
  return { record, pools, endpoints: new Map(), former: new Map() };
}

/** True if the endpoint has what the request asks for. */
export function keepsAddresses(existing: EndpointRecord, request: EndpointRequest): boolean {
  const same = (wanted: string | undefined, have: string): boolean =>
    wanted === undefined || wanted === '' || wanted === have;
  return (
    same(request.ipv4Address, existing.ipv4Address) &&
    same(request.ipv6Address, existing.ipv6Address) &&
    same(request.macAddress?.toLowerCase(), existing.macAddress)
  );
}

/** A new endpoint; its addresses are taken, and it is not in the network yet. */
export function allocateEndpoint(
  entry: NetworkEntry,
  request: EndpointRequest,
  host?: HostPart,
): EndpointRecord {
  const { record, pools } = entry;
  requireLinkLocal(request.linkLocalIps ?? []);
  if (record.configOnly === true)
    throw new DaemonError('Forbidden', 'cannot create endpoint on configuration-only network');
  const former = entry.former.get(request.containerId) ?? [];
  const taken: TakenAddress[] = [];
  const take = (family: IpFamily, wanted: string | undefined): TakenAddress | undefined => {
    const found = takeAddress(record, family, poolsOf(pools, family), wanted, former);
    if (found !== undefined) taken.push(found);
    return found;
  };
  try {
    const four = take(4, request.ipv4Address);
    const six = take(6, request.ipv6Address);
    const macAddress = macFor(request, four?.address);
    return {
      id: randomBytes(32).toString('hex'),
      networkId: record.id,
      networkName: record.name,
      ...(record.internal ? { internal: true } : {}),
      containerId: request.containerId,
      macAddress: record.driver === 'bridge' ? macAddress : '',
      ipv4Address: four === undefined ? '' : formatAddress(four.address),
      ipv4PrefixLength: four?.pool.subnet.prefixLength ?? 0,
      ipv4Gateway: defaultGatewayOf(record, four?.pool.subnet),
      ipv6Address: six === undefined ? '' : formatAddress(six.address),
      ipv6PrefixLength: six?.pool.subnet.prefixLength ?? 0,
      ipv6Gateway: defaultGatewayOf(record, six?.pool.subnet),
      mtu: record.mtu,
      dnsServers: four === undefined ? [] : [gatewayOf(record, four.pool.subnet)],
      wanted: {
        ...(request.ipv4Address === undefined ? {} : { ipv4Address: request.ipv4Address }),
        ...(request.ipv6Address === undefined ? {} : { ipv6Address: request.ipv6Address }),
        ...(request.linkLocalIps === undefined ? {} : { linkLocalIps: request.linkLocalIps }),
      },
      ...namesOf(request),
      ...(host === undefined ? {} : { host }),
    };
  } catch (error) {
    for (const { pool, address } of taken) pool.release(address);
    throw error;
  }
}

interface TakenAddress {
  pool: AddressPool;
  address: IpAddress;
}

function requireLinkLocal(addresses: readonly string[]): void {
  const unreadable = addresses.filter((text) => parseAddress(text) === undefined);
  if (unreadable.length > 0)
    throw new DaemonError('Internal', `Invalid link-local IP address: [${addresses.join(' ')}]`);
  for (const text of addresses) {
    const address = parseAddress(text);
    if (address === undefined || isLinkLocal(address)) continue;
    throw new DaemonError('Internal', `invalid link local IP address: ${text}`);
  }
}

/** What can change while the addresses stay. */
export function namesOf(
  request: EndpointRequest,
): Pick<
  EndpointRecord,
  'containerName' | 'aliases' | 'dnsNames' | 'links' | 'dnsUpstreams' | 'driverOptions'
> {
  return {
    containerName: request.containerName.replace(/^\//, ''),
    aliases: request.aliases,
    dnsNames: request.dnsNames ?? [],
    links: request.links ?? {},
    dnsUpstreams: request.dnsUpstreams ?? [],
    driverOptions: request.driverOptions ?? {},
  };
}

/** Where a container's default route leads: the gateway, or the auxiliary address of this name, as with Docker's bridges. */
function defaultGatewayOf(record: NetworkRecord, subnet: Subnet | undefined): string {
  if (subnet === undefined) return '';
  const named = record.ipam.find((config) => parseSubnet(config.subnet)?.base === subnet.base);
  return named?.auxiliaryAddresses?.[`DefaultGatewayIPv${subnet.family}`] ?? gatewayOf(record, subnet);
}

function gatewayOf(record: NetworkRecord, subnet: Subnet | undefined): string {
  if (subnet === undefined) return '';
  return (
    record.ipam.find((config) => {
      const gateway = config.gateway === undefined ? undefined : parseAddress(config.gateway);
      return gateway !== undefined && contains(subnet, gateway);
    })?.gateway ?? ''
  );
}

function poolsOf(pools: readonly AddressPool[], family: IpFamily): AddressPool[] {
  return pools.filter(({ subnet }) => subnet.family === family);
}

function takeAddress(
  record: NetworkRecord,
  family: IpFamily,
  pools: readonly AddressPool[],
  wanted: string | undefined,
  former: readonly IpAddress[],
): TakenAddress | undefined {
  if (wanted !== undefined && wanted !== '') return takeWanted(record, family, pools, wanted);
  const [first] = pools;
  if (first === undefined) return undefined;
  for (const pool of pools) {
    const own = former.find((address) => contains(pool.subnet, address));
    if (own !== undefined && pool.take(own) === undefined) return { pool, address: own };
  }
  for (const pool of pools) {
    const address = pool.takeAny();
    if (address !== 'exhausted') return { pool, address };
  }
  throw new DaemonError(
    'Internal',
    `no available IPv${first.subnet.family} addresses on this network's address pools: ${record.name} (${record.id})`,
  );
}

function takeWanted(
  record: NetworkRecord,
  family: IpFamily,
  pools: readonly AddressPool[],
  wanted: string,
): TakenAddress {
  if (record.options['com.docker.network.bridge.default_bridge'] === 'true' || record.driver !== 'bridge') {
    throw new DaemonError(
      'InvalidParameter',
      'user specified IP address is supported on user defined networks only',
    );
  }
  if (!record.userSubnet && !wanted.includes(':')) {
    throw new DaemonError(
      'InvalidParameter',
      'user specified IP address is supported only when connecting to networks with user configured subnets',
    );
  }
  const address = parseAddress(wanted);
  if (address === undefined) throw new DaemonError('Internal', `Invalid IPv${family} address: ${wanted})`);
  const pool = pools.find(({ subnet }) => contains(subnet, address));
  if (pool === undefined) {
    throw new DaemonError(
      'Internal',
      `Invalid address ${wanted}: It does not belong to any of this network's subnets`,
    );
  }
  const failure = pool.take(address);
  if (failure === 'exhausted') throw new DaemonError('Internal', refusals[failure]);
  if (failure !== undefined) throw new DaemonError('Forbidden', refusals['in-use']);
  return { pool, address };
}

function macFor(request: EndpointRequest, ipv4: IpAddress | undefined): string {
  if (request.macAddress !== undefined && request.macAddress !== '') {
    const mac = parseMac(request.macAddress);
    if (mac === undefined)
      throw new DaemonError('Internal', `address ${request.macAddress}: invalid MAC address`);
    return mac;
  }
  return ipv4 === undefined ? formatMac([0x02, 0x42, ...randomBytes(4)]) : macOfIpv4(ipv4);
}

/** Puts an endpoint that has its addresses (already) into the network. */
export function takeBack(entry: NetworkEntry, endpoint: EndpointRecord): void {
  for (const address of addressesOf(endpoint)) poolFor(entry, address)?.take(address);
  entry.endpoints.set(endpoint.containerId, endpoint);
}

/** Frees an endpoint's addresses and remembers them. */
export function giveBack(entry: NetworkEntry, endpoint: EndpointRecord): void {
  for (const address of addressesOf(endpoint)) poolFor(entry, address)?.release(address);
  entry.endpoints.delete(endpoint.containerId);
  const [oldest] = entry.former.keys();
  if (entry.former.size >= maxFormer && oldest !== undefined) entry.former.delete(oldest);
  entry.former.set(endpoint.containerId, addressesOf(endpoint));
}

function poolFor(entry: NetworkEntry, address: IpAddress): AddressPool | undefined {
  return entry.pools.find(({ subnet }) => contains(subnet, address));
}

export function addressesOf(endpoint: EndpointRecord): IpAddress[] {
  return [endpoint.ipv4Address, endpoint.ipv6Address].flatMap((text) => parseAddress(text) ?? []);
}
