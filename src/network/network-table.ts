// The networks and endpoints of this daemon: records, and how they are found. No kernel here: the network manager brings
// the private namespace to what this table says.

import { randomBytes } from 'node:crypto';

import { DaemonError } from '../errors';
import type { DocumentStore } from '../storage/contract/stores';
import { parseSubnet } from './addresses/addresses';
import type { Subnet } from './addresses/addresses';
import { bridgeOptions } from './bridge-options';
import { SubnetChooser, type AddressPoolSpec } from './addresses/ipam';
import type { EndpointRequest, HostPart, NetworkIpamConfig } from './network';
import {
  addressesOf,
  allocateEndpoint,
  giveBack,
  keepsAddresses,
  makeEntry,
  namesOf,
  takeBack,
} from './network-entry';
import type { NetworkEntry } from './network-entry';
import { planNetwork } from './network-plan';
import { poolsFor, requireNoConflict, requireOneSubnet } from './network-pools';
import { collections, endpointKey } from './network-record';
import type { EndpointRecord, NetworkPlan, NetworkRecord } from './network-record';

export class NetworkTable {
  readonly #documents: DocumentStore;
  readonly #entries = new Map<string, NetworkEntry>();
  readonly #chooser: SubnetChooser;

  /** `pools`: what subnets are chosen from; none: dockerd's. */
  constructor(documents: DocumentStore, pools: readonly AddressPoolSpec[] = []) {
    this.#chooser = new SubnetChooser(pools);
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
    const ipam = plan.configOnly === true ? byFamily(plan.subnets) : this.#pools(plan, hostSubnets);
    planNetwork.requireCreatable(plan);
    const settings = bridgeOptions(plan.configOnly === true ? {} : plan.options);
    if (plan.driver === 'bridge') requireOneSubnet(ipam);
    const unused = plan.enableIpv6 || plan.configOnly === true ? [] : plan.subnets.filter(isIpv6);
    const record: NetworkRecord = {
      id,
      name: plan.name,
      driver: plan.driver === 'bridge' || plan.driver === 'host' ? plan.driver : 'null',
      internal: plan.internal,
      created: `${new Date().toISOString().slice(0, -1)}000000Z`,
      enableIpv6: plan.enableIpv6,
      attachable: plan.attachable,
      ...(plan.configOnly === true ? { configOnly: true } : {}),
      ...(plan.configFrom === undefined ? {} : { configFrom: plan.configFrom }),
      labels: plan.labels,
      options: plan.options,
      ipamDriver: plan.ipamDriver,
      ipamOptions: plan.ipamOptions,
      ipam,
      ...(unused.length === 0 ? {} : { unusedIpam: unused }),
      userSubnet: plan.subnets.some((config) => !isIpv6(config)),
      ...settings,
      bridgeName: plan.driver !== 'bridge' ? '' : plan.defaultBridge ? 'docker0' : `br-${id.slice(0, 12)}`,
    };
    if (record.driver === 'bridge') requireNoConflict(record, this.records());
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

  /** See NetworkManager.allocate. `host`: its part in the host's network. */
  allocate(request: EndpointRequest, host?: HostPart): EndpointRecord {
    const entry = this.#entry(request.networkId);
    const existing = entry.endpoints.get(request.containerId);
    if (existing !== undefined && keepsAddresses(existing, request)) {
      const updated = { ...existing, ...namesOf(request) };
      this.#put(entry, updated);
      return updated;
    }
    if (existing !== undefined) giveBack(entry, existing);
    try {
      const endpoint = allocateEndpoint(entry, request, host);
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

  /** See NetworkManager.inherit. */
  inherit(from: string, to: string): void {
    for (const entry of this.#entries.values()) {
      const endpoint = entry.endpoints.get(from);
      const addresses = endpoint === undefined ? entry.former.get(from) : addressesOf(endpoint);
      if (addresses !== undefined) entry.former.set(to, addresses);
    }
  }

  #put(entry: NetworkEntry, endpoint: EndpointRecord): void {
    this.#documents.put(collections.endpoints, endpointKey(entry.record.id, endpoint.containerId), endpoint);
    entry.endpoints.set(endpoint.containerId, endpoint);
  }

  #entry(networkId: string): NetworkEntry {
    const entry = this.#entries.get(networkId);
    if (entry === undefined) throw new DaemonError('NotFound', `network ${networkId} not found`);
    return entry;
  }

  #subnets(): Subnet[] {
    return this.records()
      .filter(({ configOnly }) => configOnly !== true)
      .flatMap(({ ipam }) => ipam.flatMap(({ subnet }) => parseSubnet(subnet) ?? []));
  }

  #pools(plan: NetworkPlan, avoided: readonly Subnet[]): NetworkIpamConfig[] {
    if (plan.driver === 'host' || plan.driver === 'null') return [];
    return poolsFor(plan, { taken: this.#subnets(), avoided, chooser: this.#chooser });
  }
}

/** As dockerd keeps them: those of IPv4 first. The CLI sends them in an order of chance. */
function byFamily(subnets: readonly NetworkIpamConfig[]): NetworkIpamConfig[] {
  return [...subnets.filter((config) => !isIpv6(config)), ...subnets.filter(isIpv6)];
}

function isIpv6({ subnet }: NetworkIpamConfig): boolean {
  return parseSubnet(subnet)?.family === 6;
}
