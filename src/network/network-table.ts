// The networks and endpoints of this daemon: records, their addresses, and how they are found. No kernel here: the
// network manager brings the private namespace to what this table says.

import { randomBytes } from 'node:crypto';

import { DaemonError } from '../errors';
import type { DocumentStore } from '../storage/stores';
import {
  addressBits,
  contains,
  formatAddress,
  formatMac,
  macOfIpv4,
  parseAddress,
  parseMac,
  parseSubnet,
} from './addresses';
import type { IpAddress, IpFamily, Subnet } from './addresses';
import { AddressPool, SubnetChooser } from './ipam';
import type { EndpointRequest, NetworkIpamConfig } from './network';
import { planNetwork } from './network-plan';
import type { NetworkPlan } from './network-plan';
import { collections, endpointKey } from './network-record';
import type { EndpointRecord, NetworkRecord } from './network-record';

interface Entry {
  record: NetworkRecord;
  pools: AddressPool[];
  /** By container id, in order of allocation. */
  endpoints: Map<string, EndpointRecord>;
}

export class NetworkTable {
  readonly #documents: DocumentStore;
  readonly #entries = new Map<string, Entry>();
  readonly #chooser = new SubnetChooser();

  constructor(documents: DocumentStore) {
    this.#documents = documents;
    for (const record of documents.all<NetworkRecord>(collections.networks))
      this.#entries.set(record.id, makeEntry(record));
    for (const endpoint of documents.all<EndpointRecord>(collections.endpoints)) {
      const entry = this.#entries.get(endpoint.networkId);
      if (entry === undefined)
        documents.delete(collections.endpoints, endpointKey(endpoint.networkId, endpoint.containerId));
      else takeBack(entry, endpoint);
    }
  }

  records(): NetworkRecord[] {
    return [...this.#entries.values()].map(({ record }) => record);
  }

  byName(name: string): NetworkRecord | undefined {
    return this.records().find((record) => record.name === name);
  }

  /** By id, then name, then unique id prefix, as dockerd. */
  resolve(ref: string): NetworkRecord {
    const exact = this.#entries.get(ref);
    if (exact !== undefined) return exact.record;
    const named = this.records().filter((record) => record.name === ref);
    const found =
      named.length > 0 ? named : this.records().filter((record) => ref !== '' && record.id.startsWith(ref));
    if (found.length > 1) {
      const how = named.length > 0 ? 'name' : 'ID prefix';
      throw new DaemonError(
        'InvalidParameter',
        `network ${ref} is ambiguous (${found.length} matches found based on ${how})`,
      );
    }
    const [only] = found;
    if (only === undefined) throw new DaemonError('NotFound', `network ${ref} not found`);
    return only;
  }

  /** Chooses subnets and gateways and writes the record. `hostSubnets`: not to be chosen for the user. */
  create(plan: NetworkPlan, hostSubnets: readonly Subnet[]): NetworkRecord {
    const id = randomBytes(32).toString('hex');
    const ipam: NetworkIpamConfig[] = [];
    if (plan.driver === 'bridge') {
      const taken = this.#subnets();
      for (const family of plan.enableIpv6 ? ([4, 6] as const) : ([4] as const)) {
        for (const config of this.#choose(plan, family, taken, hostSubnets)) {
          ipam.push(withGateway(config));
          const subnet = parseSubnet(config.subnet);
          if (subnet !== undefined) taken.push(subnet);
        }
      }
    }
    const record: NetworkRecord = {
      id,
      name: plan.name,
      driver: plan.driver,
      internal: plan.internal,
      created: `${new Date().toISOString().slice(0, -1)}000000Z`,
      enableIpv6: plan.enableIpv6,
      attachable: plan.attachable,
      labels: plan.labels,
      options: plan.options,
      ipamDriver: 'default',
      ipamOptions: plan.ipamOptions,
      ipam,
      userSubnet: plan.subnets.length > 0,
      mtu: plan.mtu,
      interContainer: plan.interContainer,
      masquerade: plan.masquerade,
      hostBindingAddress: plan.hostBindingAddress,
      bridgeName: plan.driver !== 'bridge' ? '' : plan.defaultBridge ? 'docker0' : `br-${id.slice(0, 12)}`,
    };
    const entry = makeEntry(record);
    this.#documents.put(collections.networks, id, record);
    this.#entries.set(id, entry);
    return record;
  }

  /** Deletes the record. The caller has made sure that nobody uses it. */
  remove(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#documents.transaction(() => {
      for (const endpoint of entry.endpoints.values())
        this.#documents.delete(collections.endpoints, endpointKey(id, endpoint.containerId));
      this.#documents.delete(collections.networks, id);
    });
    this.#entries.delete(id);
  }

  endpoints(networkId: string): EndpointRecord[] {
    return [...(this.#entries.get(networkId)?.endpoints.values() ?? [])];
  }

  endpoint(networkId: string, containerId: string): EndpointRecord | undefined {
    return this.#entries.get(networkId)?.endpoints.get(containerId);
  }

  endpointsOf(containerId: string): EndpointRecord[] {
    return [...this.#entries.values()].flatMap(({ endpoints }) => endpoints.get(containerId) ?? []);
  }

  /** See NetworkManager.allocate. */
  allocate(request: EndpointRequest): EndpointRecord {
    const entry = this.#entry(request.networkId);
    const existing = entry.endpoints.get(request.containerId);
    if (existing !== undefined && keepsAddresses(existing, request)) {
      const updated = { ...existing, ...namesOf(request) };
      this.#put(entry, updated);
      return updated;
    }
    if (existing !== undefined) giveBack(entry, existing);
    try {
      const endpoint = makeEndpoint(entry, request);
      this.#put(entry, endpoint);
      return endpoint;
    } catch (error) {
      if (existing !== undefined) takeBack(entry, existing);
      throw error;
    }
  }

  release(networkId: string, containerId: string): void {
    const entry = this.#entries.get(networkId);
    const endpoint = entry?.endpoints.get(containerId);
    if (entry === undefined || endpoint === undefined) return;
    this.#documents.delete(collections.endpoints, endpointKey(networkId, containerId));
    giveBack(entry, endpoint);
  }

  #put(entry: Entry, endpoint: EndpointRecord): void {
    this.#documents.put(collections.endpoints, endpointKey(entry.record.id, endpoint.containerId), endpoint);
    entry.endpoints.set(endpoint.containerId, endpoint);
  }

  #entry(networkId: string): Entry {
    const entry = this.#entries.get(networkId);
    if (entry === undefined) throw new DaemonError('NotFound', `network ${networkId} not found`);
    return entry;
  }

  #subnets(): Subnet[] {
    return this.records().flatMap(({ ipam }) => ipam.flatMap(({ subnet }) => parseSubnet(subnet) ?? []));
  }

  #choose(
    plan: NetworkPlan,
    family: IpFamily,
    taken: readonly Subnet[],
    hostSubnets: readonly Subnet[],
  ): NetworkIpamConfig[] {
    const wanted = planNetwork.subnetsOf(plan, family, taken);
    if (wanted.length > 0) return wanted;
    const chosen = family === 4 ? this.#chooser.choose([...taken, ...hostSubnets]) : undefined;
    if (chosen !== undefined)
      return [{ subnet: `${formatAddress({ family, value: chosen.base })}/${chosen.prefixLength}` }];
    throw new DaemonError(
      'NotFound',
      `could not find an available, non-overlapping IPv${family} address pool among the defaults to assign to the network`,
    );
  }
}

function makeEntry(record: NetworkRecord): Entry {
  const pools = record.ipam.map((config) => {
    const subnet = parseSubnet(config.subnet);
    if (subnet === undefined)
      throw new DaemonError('Internal', `network ${record.name}: bad subnet ${config.subnet}`);
    const pool = new AddressPool(subnet, config.ipRange === undefined ? subnet : parseSubnet(config.ipRange));
    for (const text of [config.gateway, ...Object.values(config.auxiliaryAddresses ?? {})]) {
      const address = text === undefined ? undefined : parseAddress(text);
      if (address !== undefined) pool.take(address);
    }
    return pool;
  });
  return { record, pools, endpoints: new Map() };
}

/** Takes the addresses of gateway and auxiliaries in a pool of their own, to find Docker's errors. */
function withGateway(config: NetworkIpamConfig): NetworkIpamConfig {
  const subnet = parseSubnet(config.subnet);
  if (subnet === undefined) throw new DaemonError('Internal', `Invalid subnet ${config.subnet}`);
  const pool = new AddressPool(subnet, config.ipRange === undefined ? subnet : parseSubnet(config.ipRange));
  const take = (what: string, text: string): string => {
    const address = parseAddress(text);
    const failure = address === undefined ? 'out-of-range' : pool.take(address);
    if (failure === undefined) return text;
    const reason = failure === 'in-use' ? 'Address already in use' : 'Requested address is out of range';
    throw new DaemonError('Internal', `failed to allocate ${what}: ${reason}`);
  };
  let gateway = config.gateway;
  if (gateway !== undefined) take(`gateway (${gateway})`, gateway);
  else {
    const any = pool.takeAny();
    if (any === 'exhausted')
      throw new DaemonError('Internal', 'failed to allocate gateway (): No available addresses on this pool');
    gateway = formatAddress(any);
  }
  for (const [name, address] of Object.entries(config.auxiliaryAddresses ?? {})) {
    take(`secondary ip address (${name}:${address})`, address);
  }
  return { ...config, gateway };
}

function keepsAddresses(existing: EndpointRecord, request: EndpointRequest): boolean {
  const same = (wanted: string | undefined, have: string): boolean =>
    wanted === undefined || wanted === '' || wanted === have;
  return (
    same(request.ipv4Address, existing.ipv4Address) &&
    same(request.ipv6Address, existing.ipv6Address) &&
    same(request.macAddress?.toLowerCase(), existing.macAddress)
  );
}

function makeEndpoint(entry: Entry, request: EndpointRequest): EndpointRecord {
  const { record, pools } = entry;
  const four = takeAddress(
    entry,
    pools.filter(({ subnet }) => subnet.family === 4),
    request.ipv4Address,
    4,
  );
  try {
    const six = takeAddress(
      entry,
      pools.filter(({ subnet }) => subnet.family === 6),
      request.ipv6Address,
      6,
    );
    const macAddress = macFor(request, four?.address);
    return {
      id: randomBytes(32).toString('hex'),
      networkId: record.id,
      networkName: record.name,
      containerId: request.containerId,
      macAddress: record.driver === 'bridge' ? macAddress : '',
      ipv4Address: four === undefined ? '' : formatAddress(four.address),
      ipv4PrefixLength: four?.pool.subnet.prefixLength ?? 0,
      ipv4Gateway: record.internal ? '' : gatewayOf(record, four?.pool.subnet),
      ipv6Address: six === undefined ? '' : formatAddress(six.address),
      ipv6PrefixLength: six?.pool.subnet.prefixLength ?? 0,
      ipv6Gateway: record.internal ? '' : gatewayOf(record, six?.pool.subnet),
      mtu: record.mtu,
      dnsServers: four === undefined ? [] : [gatewayOf(record, four.pool.subnet)],
      wanted: {
        ...(request.ipv4Address === undefined ? {} : { ipv4Address: request.ipv4Address }),
        ...(request.ipv6Address === undefined ? {} : { ipv6Address: request.ipv6Address }),
        ...(request.linkLocalIps === undefined ? {} : { linkLocalIps: request.linkLocalIps }),
      },
      ...namesOf(request),
    };
  } catch (error) {
    if (four !== undefined) four.pool.release(four.address);
    throw error;
  }
}

function namesOf(
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

function gatewayOf(record: NetworkRecord, subnet: Subnet | undefined): string {
  if (subnet === undefined) return '';
  return (
    record.ipam.find((config) => {
      const gateway = config.gateway === undefined ? undefined : parseAddress(config.gateway);
      return gateway !== undefined && contains(subnet, gateway);
    })?.gateway ?? ''
  );
}

function takeAddress(
  { record }: Entry,
  pools: readonly AddressPool[],
  wanted: string | undefined,
  family: IpFamily,
): { pool: AddressPool; address: IpAddress } | undefined {
  if (wanted !== undefined && wanted !== '') return takeWanted(record, pools, wanted);
  for (const pool of pools) {
    const address = pool.takeAny();
    if (address !== 'exhausted') return { pool, address };
  }
  if (pools.length === 0) return undefined;
  throw new DaemonError(
    'Internal',
    `no available IPv${family} addresses on this network's address pools: ${record.name} (${record.id})`,
  );
}

function takeWanted(
  record: NetworkRecord,
  pools: readonly AddressPool[],
  wanted: string,
): { pool: AddressPool; address: IpAddress } {
  if (record.options['com.docker.network.bridge.default_bridge'] === 'true' || record.driver !== 'bridge') {
    throw new DaemonError(
      'InvalidParameter',
      'user specified IP address is supported on user defined networks only',
    );
  }
  if (!record.userSubnet) {
    throw new DaemonError(
      'InvalidParameter',
      'user specified IP address is supported only when connecting to networks with user configured subnets',
    );
  }
  const address = parseAddress(wanted);
  const pool = address === undefined ? undefined : pools.find(({ subnet }) => contains(subnet, address));
  if (address === undefined || pool === undefined) {
    throw new DaemonError(
      'InvalidParameter',
      `Invalid address ${wanted}: It does not belong to any of this network's subnets`,
    );
  }
  if (pool.take(address) !== undefined) throw new DaemonError('Forbidden', 'Address already in use');
  return { pool, address };
}

function macFor(request: EndpointRequest, ipv4: IpAddress | undefined): string {
  if (request.macAddress !== undefined && request.macAddress !== '') {
    const mac = parseMac(request.macAddress);
    if (mac === undefined)
      throw new DaemonError('InvalidParameter', `invalid MAC address: ${request.macAddress}`);
    return mac;
  }
  return ipv4 === undefined ? formatMac([0x02, 0x42, ...randomBytes(4)]) : macOfIpv4(ipv4);
}

function takeBack(entry: Entry, endpoint: EndpointRecord): void {
  for (const address of addressesOf(endpoint)) poolFor(entry, address)?.take(address);
  entry.endpoints.set(endpoint.containerId, endpoint);
}

function giveBack(entry: Entry, endpoint: EndpointRecord): void {
  for (const address of addressesOf(endpoint)) poolFor(entry, address)?.release(address);
  entry.endpoints.delete(endpoint.containerId);
}

function poolFor(entry: Entry, address: IpAddress): AddressPool | undefined {
  return entry.pools.find(
    ({ subnet }) => addressBits(subnet.family) === addressBits(address.family) && contains(subnet, address),
  );
}

function addressesOf(endpoint: EndpointRecord): IpAddress[] {
  return [endpoint.ipv4Address, endpoint.ipv6Address].flatMap((text) => parseAddress(text) ?? []);
}
