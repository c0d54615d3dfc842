// network/: networks of containers, in a private network namespace.
//
// The networks of a daemon: records (network-table), the private namespace (data-path), and netd's name service and
// published ports, kept in agreement. Every change to the kernel is recorded before it is made, so that the next start
// can finish or undo it.

import type { NetdProbe } from './addresses/netd-protocol';
import { join } from 'node:path';

import { DaemonError, errorMessage } from '../errors';
import { log } from '../log';
import type { DocumentStore } from '../storage/contract/stores';
import { warningOf } from './bridge-options';
import { parseCounters } from './counters';
import { DataPath } from './data-path';
import type { AttachedTap } from './data-path';
import {
  egressHostLoopback,
  egressNameServer,
  hostServiceAddress,
  hostServiceInterface,
  slirpCommand,
} from './egress';
import { helperUid } from './helper-user';
import { containerResolvConf, readHostResolvConf } from './host-resolver';
import type { ResolvConfOptions } from './host-resolver';
import { HostLeg } from './host-leg';
import { hostSubnets } from './host-routes';
import { NetdClient } from './netd-client';
import type { NetdRequester } from './netd-client';
import type { NetdEndpoint, NetdNetwork } from './addresses/netd-protocol';
import type {
  Endpoint,
  EndpointRequest,
  InterfaceCounters,
  NetworkCreateRequest,
  NetworkDetails,
  NetworkManager,
  NetworkSummary,
  HostPart,
  PublishedPort,
  RefusedPort,
} from './network';
import type { AddressPoolSpec } from './addresses/ipam';
import { planNetwork, type BridgeDefaults } from './network-plan';
import { collections } from './network-record';
import type { AttachmentRecord, EndpointRecord, NetworkRecord } from './network-record';
import { NetworkTable } from './network-table';
import { PortPublisher } from './port-publisher';

export interface NetworkManagerOptions {
  /** Sockets and the namespace's mount; gone after a reboot. */
  runDir: string;
  documents: DocumentStore;
  /** Pids of VMs that an earlier daemon has left in the private namespace. */
  namespaceHolders?: () => Promise<number[]>;
  /** Directory of native/'s programs. */
  nativeDir: string;
  slirpBinary?: string;
  /** User of netd. Ignored without root; default `nobody`. */
  helperUid?: number;
  /** netd's entry point; tests compile their own. */
  netdScript?: string;
  /** Of the daemon's options; without them dockerd's. */
  defaults?: BridgeDefaults & {
    addressPools: readonly AddressPoolSpec[];
    hostGatewayAddress?: string | undefined;
    /** Containers on the host's network have part in it; false: they have an address of their own, and that is all. */
    hostNetworking?: boolean;
    /** The host has a way to the containers' addresses. */
    hostRoutes?: boolean;
  };
  /** The host's resolv.conf. */
  resolvConfPath?: string;
}

const egressTimeoutMs = 5000;
const hostAddressIntervalMs = 30_000;
const nobody = 65534;

/** Makes the manager; `start` brings it up. */
export function createNetworkManager(options: NetworkManagerOptions): NetworkManager {
  return new PrivateNetworkManager(options);
}

class PrivateNetworkManager implements NetworkManager {
  readonly namespacePath: string;
  readonly #options: NetworkManagerOptions;
  readonly #documents: DocumentStore;
  readonly #table: NetworkTable;
  readonly #netd: NetdClient;
  readonly #ports: PortPublisher;
  #path: DataPath | undefined;
  #leg: HostLeg | undefined;
  #hostAddressTimer: NodeJS.Timeout | undefined;
  /** Changes to the namespace are made one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: NetworkManagerOptions) {
    const script = options.netdScript ?? join(__dirname, 'netd', 'main.js');
    this.#options = options;
    this.#documents = options.documents;
    this.namespacePath = join(options.runDir, 'netns');
    this.#table = new NetworkTable(options.documents, options.defaults?.addressPools);
    this.#netd = new NetdClient(
      {
        hostBinary: join(options.nativeDir, 'netd-host'),
        portsBinary: join(options.nativeDir, 'netd-ports'),
        script,
        namespace: this.namespacePath,
        socket: join(options.runDir, 'netd.sock'),
        pidFile: join(options.runDir, 'netd.pid'),
        logFile: join(options.runDir, 'netd.log'),
        uid: helperUid(script, options.helperUid ?? nobody),
        slirp: slirpCommand(options.slirpBinary ?? 'slirp4netns', this.#hostNetworking()),
      },
      (request) => this.#synchronize(request),
      () => this.ensureNamespace(),
    );
    this.#ports = new PortPublisher(options.documents, this.#netd);
  }

  async start(): Promise<void> {
    const outdated = this.#definePredefined();
    this.#path = await DataPath.open(this.namespacePath, (await this.#options.namespaceHolders?.()) ?? []);
    if (outdated !== undefined) await this.#path.discardBridge(outdated);
    const attached = this.#attachments();
    const alive = await this.#path.reconcile(this.#table.records(), attached, hostServiceAddress());
    for (const { tapName } of attached)
      if (!alive.has(tapName)) this.#documents.delete(collections.attachments, tapName);
    const containers = new Set(this.#attachments().map(({ endpoint }) => endpoint.containerId));
    this.#ports.forget((containerId) => containers.has(containerId));
    await this.#openLeg(this.#path);
    await this.#netd.start();
    if (!(await this.#netd.waitForEgress(egressTimeoutMs))) {
      log.error('no egress: slirp4netns does not start', { log: join(this.#options.runDir, 'netd.log') });
    }
    this.#hostAddressTimer = setInterval(() => void this.#followHostAddress(), hostAddressIntervalMs).unref();
    log.info('networks ready', { networks: this.#table.records().length, taps: alive.size });
  }

  async stop(options: { removeNamespace: boolean }): Promise<void> {
    clearInterval(this.#hostAddressTimer);
    await this.#last.catch(() => undefined);
    await this.#leg?.close();
    this.#leg = undefined;
    await this.#netd.close({ end: options.removeNamespace });
    this.#path?.close();
    if (options.removeNamespace) await this.#path?.namespace.remove();
    this.#path = undefined;
  }

  async ensureNamespace(): Promise<boolean> {
    return (await this.#path?.namespace.ensure()) ?? false;
  }

  resolve(ref: string): NetworkSummary {
    const { id, name, driver, internal } = this.#table.resolve(ref);
    return { id, name, driver, internal };
  }

  list(): NetworkSummary[] {
    return this.#table.records().map(({ id, name, driver, internal }) => ({ id, name, driver, internal }));
  }

  inspect(ref: string): NetworkDetails {
    return structuredClone(this.#table.resolve(ref));
  }

  endpoints(networkId: string, options: { attached?: boolean } = {}): Endpoint[] {
    const all = this.#table.endpoints(networkId);
    if (options.attached !== true) return all;
    const attached = new Set(this.#attachments().map(({ endpoint }) => endpoint));
    return all.filter((endpoint) => attached.has(endpoint));
  }

  endpointsOf(containerId: string): Endpoint[] {
    return this.#table.endpointsOf(containerId);
  }

  create(request: NetworkCreateRequest): Promise<{ id: string; warning: string }> {
    return this.#queue(async () => {
      const plan = planNetwork.fromRequest(request, this.#table.records());
      const same = this.#table.byName(plan.name);
      const record = this.#table.create(plan, hostSubnets());
      try {
        await this.#dataPath().addNetwork(record);
        if (record.driver === 'bridge') await this.#netd.request('network.put', netdNetwork(record));
        await this.#leg?.add(record);
      } catch (error) {
        this.#table.remove(record.id);
        await this.#netd.request('network.remove', { id: record.id }).catch(() => undefined);
        await this.#dataPath()
          .removeNetwork(record)
          .catch(() => undefined);
        throw error;
      }
      const warnings = [
        same === undefined ? '' : `Network with name ${same.name} (id : ${same.id}) already exists`,
        warningOf(record.options),
      ];
      return { id: record.id, warning: warnings.filter((text) => text !== '').join('\n') };
    });
  }

  remove(ref: string): Promise<void> {
    return this.#queue(async () => {
      const record = this.#table.resolve(ref);
      if (isPredefined(record)) {
        throw new DaemonError('Forbidden', `${record.name} is a pre-defined network and cannot be removed`);
      }
      if (this.#table.records().some(({ configFrom }) => configFrom?.id === record.id))
        throw new DaemonError(
          'Forbidden',
          `error while removing network: configuration network "${record.name}" is in use`,
        );
      if (this.endpoints(record.id, { attached: true }).length > 0) {
        throw new DaemonError(
          'Forbidden',
          `error while removing network: network ${record.name} id ${record.id} has active endpoints`,
        );
      }
      this.#table.remove(record.id);
      await this.#netd.request('network.remove', { id: record.id });
      await this.#leg?.remove(record);
      await this.#dataPath().removeNetwork(record);
    });
  }

  allocate(request: EndpointRequest): Promise<Endpoint> {
    // through the queue, so that a name change reaches netd in order
    return this.#queue(async () => {
      const host = request.hostNetwork === true ? this.#hostPart() : undefined;
      const endpoint = this.#table.allocate(request, host);
      if (this.#isAttached(endpoint)) await this.#netd.request('endpoint.put', netdEndpoint(endpoint));
      return endpoint;
    });
  }

  inherit(from: string, to: string): void {
    this.#table.inherit(from, to);
  }

  release(networkId: string, containerId: string): Promise<void> {
    return this.#queue(async () => {
      for (const { tapName, endpoint } of this.#attachments()) {
        if (endpoint.networkId === networkId && endpoint.containerId === containerId)
          await this.#detach(tapName);
      }
      this.#table.release(networkId, containerId);
    });
  }

  attach({ networkId, containerId }: Endpoint, tapName: string): Promise<void> {
    return this.#queue(async () => {
      if (!/^[a-z0-9]{1,15}$/.test(tapName))
        throw new DaemonError('Internal', `not a tap's name: ${tapName}`);
      const endpoint = this.#table.endpoint(networkId, containerId);
      const network = this.#table.resolve(networkId);
      if (endpoint === undefined)
        throw new DaemonError('NotFound', `container ${containerId} is not on network ${network.name}`);
      if (network.driver !== 'bridge') return;
      const record: AttachmentRecord = { tapName, networkId, containerId };
      this.#documents.put(collections.attachments, tapName, record);
      try {
        await this.#dataPath().attach({ tapName, network, endpoint });
        await this.#netd.request('endpoint.put', netdEndpoint(endpoint));
      } catch (error) {
        await this.#detach(tapName);
        throw error;
      }
    });
  }

  detach(tapName: string): Promise<void> {
    return this.#queue(() => this.#detach(tapName));
  }

  publish(containerId: string, endpoint: Endpoint, ports: PublishedPort[]): Promise<PublishedPort[]> {
    return this.#queue(() => {
      const record = this.#table.endpoint(endpoint.networkId, endpoint.containerId);
      if (record === undefined)
        throw new DaemonError(
          'NotFound',
          `container ${endpoint.containerId} is not on network ${endpoint.networkName}`,
        );
      const { hostBindingAddress } = this.#table.resolve(endpoint.networkId);
      return this.#ports.publish(record, hostBindingAddress, ports, containerId);
    });
  }

  follow(containerId: string, endpoint: Endpoint, ports: readonly PublishedPort[]): Promise<RefusedPort[]> {
    return this.#queue(() => {
      const record = this.#table.endpoint(endpoint.networkId, endpoint.containerId);
      // it was released meanwhile, and its ports with it
      return record === undefined ? Promise.resolve([]) : this.#ports.follow(record, containerId, ports);
    });
  }

  unpublish(containerId: string): Promise<void> {
    return this.#queue(() => this.#ports.unpublish(containerId));
  }

  publishedPorts(containerId: string): PublishedPort[] {
    return this.#ports.published(containerId);
  }

  async probe(probe: NetdProbe): Promise<string> {
    return (await this.#netd.request('probe', probe)).failure;
  }

  async counters(tapName: string): Promise<InterfaceCounters | undefined> {
    const { text } = await this.#netd.request('counters', {});
    return parseCounters(text, tapName);
  }

  resolvConf(options: ResolvConfOptions): string {
    return containerResolvConf(readHostResolvConf(this.#resolvConfPath()), options);
  }

  /** The default bridge's gateway, as with Docker, unless the daemon's options say otherwise. The rules of every network lead its own gateway there too. */
  get hostGateway(): string {
    return this.#options.defaults?.hostGatewayAddress ?? this.#table.byName('bridge')?.ipam[0]?.gateway ?? '';
  }

  async #openLeg({ namespace }: DataPath): Promise<void> {
    if (this.#options.defaults?.hostRoutes !== true) return;
    this.#leg = await HostLeg.open(namespace, this.#options.runDir);
    for (const record of this.#table.records()) await this.#leg.add(record);
  }

  #hostNetworking(): boolean {
    return this.#options.defaults?.hostNetworking ?? false;
  }

  #hostPart(): HostPart | undefined {
    if (!this.#hostNetworking()) return undefined;
    const { name, address } = hostServiceInterface();
    return { interfaceName: name, address, loopback: egressHostLoopback };
  }

  async #detach(tapName: string): Promise<void> {
    const record = this.#documents.get<AttachmentRecord>(collections.attachments, tapName);
    // Recorded before it joins a bridge: it is on none.
    if (record === undefined) return;
    const { networkId, containerId } = record;
    await this.#netd.request('endpoint.remove', { networkId, containerId }).catch((error: unknown) => {
      log.debug('netd is told when it is back', { error: errorMessage(error) });
    });
    await this.#dataPath().detach(tapName);
    this.#documents.delete(collections.attachments, tapName);
  }

  /** Tells netd, which has just been connected to, everything. */
  async #synchronize(request: NetdRequester): Promise<void> {
    const { ports } = await request('hello', {});
    const endpoints = this.#attachments().map(({ endpoint }) => netdEndpoint(endpoint));
    const networks = this.#table
      .records()
      .filter(({ driver }) => driver === 'bridge')
      .map(netdNetwork);
    const resolver = { path: this.#resolvConfPath(), loopbackAddress: egressNameServer };
    await request('state', { networks, endpoints, resolver });
    await this.#ports.synchronize(request, ports);
  }

  #attachments(): AttachedTap[] {
    return this.#documents
      .all<AttachmentRecord>(collections.attachments)
      .flatMap(({ tapName, networkId, containerId }) => {
        const network = this.#table.records().find(({ id }) => id === networkId);
        const endpoint = this.#table.endpoint(networkId, containerId);
        return network === undefined || endpoint === undefined ? [] : [{ tapName, network, endpoint }];
      });
  }

  #isAttached(endpoint: EndpointRecord): boolean {
    return this.#attachments().some((tap) => tap.endpoint === endpoint);
  }

  /** A host's address may change under running containers, whose gateway leads to it. */
  async #followHostAddress(): Promise<void> {
    try {
      await this.#queue(() => this.#dataPath().useHostAddress(hostServiceAddress()));
    } catch (error) {
      log.warn("the host's new address is not used", { error: errorMessage(error) });
    }
  }

  /** Returns the default bridge that there was, if the daemon's options say something else now. */
  #definePredefined(): string | undefined {
    let outdated: string | undefined;
    for (const name of ['bridge', 'host', 'none'] as const) {
      const plan = planNetwork.predefined(name, this.#options.defaults);
      const known = this.#table.byName(name);
      if (known !== undefined && planNetwork.isAsPlanned(known, plan)) continue;
      if (known !== undefined) {
        if (this.#table.endpoints(known.id).length > 0) {
          throw new DaemonError(
            'Conflict',
            `the options of network ${name} have changed, and containers run on it: stop them under the old options first`,
          );
        }
        this.#table.remove(known.id);
        outdated = known.bridgeName;
      }
      this.#table.create(plan, []);
    }
    return outdated;
  }

  #dataPath(): DataPath {
    if (this.#path === undefined) throw new DaemonError('Unavailable', 'the networks are not started');
    return this.#path;
  }

  #queue<T>(work: () => Promise<T>): Promise<T> {
    const ready = async (): Promise<T> => {
      await this.ensureNamespace();
      return work();
    };
    const result = this.#last.then(ready, ready);
    this.#last = result.catch(() => undefined);
    return result;
  }

  #resolvConfPath(): string {
    return this.#options.resolvConfPath ?? '/etc/resolv.conf';
  }
}

function isPredefined(record: NetworkRecord): boolean {
  return ['bridge', 'host', 'none'].includes(record.name);
}

function netdNetwork(record: NetworkRecord): NetdNetwork {
  return {
    id: record.id,
    name: record.name,
    gateways: record.ipam.flatMap(({ gateway }) => gateway ?? []),
    egress: !record.internal,
    embedded: !isPredefined(record),
  };
}

function netdEndpoint(endpoint: EndpointRecord): NetdEndpoint {
  const names = [
    endpoint.containerName,
    endpoint.containerId.slice(0, 12),
    ...endpoint.aliases,
    ...(endpoint.dnsNames ?? []),
  ];
  return {
    networkId: endpoint.networkId,
    containerId: endpoint.containerId,
    ipv4Address: endpoint.ipv4Address,
    ipv6Address: endpoint.ipv6Address,
    containerName: endpoint.containerName,
    names: [...new Set(names.map((name) => name.toLowerCase()))],
    links: Object.fromEntries(
      Object.entries(endpoint.links ?? {}).map(([alias, name]) => [alias.toLowerCase(), name.toLowerCase()]),
    ),
    upstreams: endpoint.dnsUpstreams ?? [],
  };
}
