// A container on its networks: labels and a name table on its Pod, names in those of the others, and ports of this daemon.

import { createHash } from 'node:crypto';
import { OperationQueue } from '../../async/operation-queue';
import type { PublishWay } from '../../config';
import type { EndpointSettings } from '../../docker/types';
import { errorMessage } from '../../errors';
import { log } from '../../log';
import type { Endpoint, NetworkDetails, PublishedPort } from '../../network/network';
import type { ContainerNetwork } from '../../semantics/containers/container-record';
import { isActive } from '../../semantics/containers/container-state';
import { parseLink } from '../../semantics/containers/links';
import { requireWantedOf } from '../../semantics/networks/connect-validation';
import { predefinedNetworks } from '../../semantics/networks/filter';
import { wantedPorts } from '../../semantics/networks/wanted-ports';
import type { Attachment, ContainerNetworks, JoinedNetwork } from '../contract/areas';
import type { ClusterRecord, PodFacts } from '../contract/cluster-record';
import { supervisorDirectory, type PodParts } from '../contract/pod-parts';
import type { ClusterContainer } from '../records/cluster-container';
import type { ContainerStore } from '../records/container-store';
import { networkLabel } from './labels';
import { nameTable, type NamedMember } from './name-table';
import type { NetworkCatalog } from './network-catalog';
import { namesAnnotation, type PodNetworks } from './pod-networks';
import { hasIpv6 } from './port-listeners';
import type { PortServices } from './port-services';
import { publishWay } from '../contract/publish-way';
import { endpointOf, type PublishedPorts } from './published-ports';

export interface ContainerNetworksContext {
  catalog: NetworkCatalog;
  containers: ContainerStore;
  pods: PodNetworks;
  ports: PublishedPorts;
  services: PortServices;
  /** Of containers that ask for no other way. */
  publishAs: PublishWay;
  /** The table that a Pod had when it was told of last; undefined: none. */
  tableOf: (podName: string) => string | undefined;
  publish: (action: string, id: string, attributes: Record<string, string>) => Promise<void>;
}

const nameServer = '127.0.0.11';
const namesVolume = 'names';
/** Between tries to have ports that another daemon has. */
const portsLookMs = 5_000;

export class ClusterContainerNetworks implements ContainerNetworks {
  readonly #context: ContainerNetworksContext;
  /** Of each Pod what this daemon has written last, and those who write, one behind the other. */
  readonly #tables = new Map<string, { written: string | undefined; writers: OperationQueue }>();

  constructor(context: ContainerNetworksContext) {
    this.#context = context;
  }

  requested(
    mode: string,
    endpoints: Readonly<Record<string, EndpointSettings | null>>,
  ): Promise<Record<string, ContainerNetwork>> {
    const named = (name: string): string => (name === 'default' ? 'bridge' : name);
    const networks: Record<string, ContainerNetwork> = {};
    for (const [name, requested] of Object.entries(endpoints))
      networks[named(name)] = { networkId: '', requested: requested ?? {} };
    if (Object.keys(networks).length === 0) networks[named(mode)] = { networkId: '', requested: {} };
    return Promise.resolve(networks);
  }

  async podParts(record: ClusterRecord): Promise<PodParts> {
    const networks = await this.#networksOf(record);
    for (const [name, { requested }] of Object.entries(record.networks)) requireWantedOf(name, requested);
    const labels = Object.fromEntries(networks.map(({ id }) => [networkLabel(id), 'true']));
    const dns = record.hostConfig.Dns ?? [];
    if (!hasNameServer(record)) {
      return {
        labels,
        ...(dns.length === 0
          ? moreDnsWords(record)
          : { dnsPolicy: 'None', dnsConfig: { nameservers: [...dns], ...dnsWords(record) } }),
      };
    }
    return {
      labels,
      annotations: { [namesAnnotation]: await this.#table(record, []) },
      volumes: [
        {
          name: namesVolume,
          downwardAPI: {
            items: [{ path: 'table', fieldRef: { fieldPath: `metadata.annotations['${namesAnnotation}']` } }],
          },
        },
      ],
      mounts: [{ name: namesVolume, mountPath: `${supervisorDirectory}/names`, readOnly: true }],
      dnsPolicy: 'None',
      dnsConfig: { nameservers: [nameServer], ...dnsWords(record) },
    };
  }

  async attach(
    record: ClusterRecord,
    pod: PodFacts,
  ): Promise<{ attachment: Attachment; joined: readonly JoinedNetwork[] }> {
    const networks = await this.#networksOf(record);
    const attached = withEndpoints(record, networks, pod.address);
    const joining = { ...record, networks: attached, pod };
    const ports = await this.#publish(joining, pod, isReachable(networks) ? wantedPorts(record) : []);
    await this.#renewNames(namesOf(networks), joining);
    return { attachment: { networks: attached, ...ports }, joined: networks };
  }

  async #publish(
    record: ClusterRecord,
    pod: PodFacts,
    wanted: readonly PublishedPort[],
  ): Promise<Pick<Attachment, 'publishedPorts' | 'portService'>> {
    const type = publishWay(record.config.Labels, this.#context.publishAs);
    if (type === 'listener' || wanted.length === 0)
      return { publishedPorts: await this.#context.ports.open(record, pod, wanted), portService: '' };
    const endpoint = endpointOf(record);
    const { service, published } = await this.#context.services.open(
      record.id,
      { type, endpoint, pod },
      wanted,
    );
    return { publishedPorts: published, portService: service };
  }

  async detach(record: ClusterRecord): Promise<{ attachment: Attachment; left: readonly JoinedNetwork[] }> {
    this.#context.ports.close(record.id);
    await this.#context.services.close(record.id, record.portService ?? '');
    const networks = await this.#known(record);
    await this.#renewNames(namesOf(networks), gone(record));
    return {
      attachment: { networks: withoutEndpoints(record), publishedPorts: [], portService: '' },
      left: networks,
    };
  }

  async renamed(record: ClusterRecord): Promise<void> {
    if (record.pod !== undefined) await this.#renewNames(namesOf(await this.#known(record)), record);
  }

  removed(record: ClusterRecord): Promise<void> {
    this.#context.ports.close(record.id);
    this.#context.services.forget(record.id);
    if (record.pod !== undefined) this.#tables.delete(record.pod.name);
    return Promise.resolve();
  }

  /**
   * Ports of containers that run, whoever starts them: by a daemon before this one, or beside it. Those that another daemon of this
   * machine has are tried again now and then, since it may end. Returns what ends that.
   */
  followPorts(): () => void {
    const { containers } = this.#context;
    const undo = containers.onChange((container, before, after) => {
      const ran = before !== undefined && isActive(before.state);
      if (after === undefined || (ran && !isActive(after.state))) this.#context.ports.close(container.id);
      else if (!isActive(after.state)) return;
      else if (ran && before.pod?.uid !== after.pod?.uid) this.#context.ports.close(container.id);
      void this.#openPorts(container, log.info);
    });
    const openAll = (tell: typeof log.info): void => {
      for (const container of containers.list()) void this.#openPorts(container, tell);
    };
    openAll(log.warn);
    const timer = setInterval(() => openAll(log.debug), portsLookMs).unref();
    return () => {
      undo();
      clearInterval(timer);
    };
  }

  /**
   * Tables come to what the records say, whichever daemon has written those: two containers that start at once know of each other only by
   * then. Returns what ends that.
   */
  followNames(): () => void {
    const { containers } = this.#context;
    const renew = (record: ClusterRecord, names: readonly string[]): void => {
      this.#renewNames(names, record, false).catch((error: unknown) => {
        log.warn('names of containers are not renewed', { error: errorMessage(error) });
      });
    };
    for (const { record, state } of containers.list())
      if (isActive(state)) renew(record, Object.keys(record.networks));
    return containers.onChange(({ record }, before, after) => {
      const facts = [before, after].map((each) => (each === undefined ? '' : namedFacts(each)));
      if (facts[0] === facts[1]) return;
      const networks = [before, after].flatMap((each) => Object.keys(each?.networks ?? {}));
      renew(after ?? before ?? record, [...new Set(networks)]);
    });
  }

  async #openPorts(
    { record, state }: ClusterContainer,
    tell: (event: string, fields: Record<string, string>) => void,
  ): Promise<void> {
    if (!isActive(state) || record.pod === undefined || record.publishedPorts.length === 0) return;
    if (this.#context.ports.has(record.id) || (record.portService ?? '') !== '') return;
    try {
      const here = record.publishedPorts.filter(({ hostIp }) => hostIp !== '::' || hasIpv6());
      await this.#context.ports.open(record, record.pod, here);
    } catch (error) {
      tell('published ports are not available here', {
        containerId: record.id,
        error: errorMessage(error),
      });
    }
  }

  /** A connect: at once where it runs, else at its next start. */
  async join(
    container: ClusterContainer,
    network: NetworkDetails,
    requested: EndpointSettings,
  ): Promise<void> {
    const pod = isActive(container.state) ? container.record.pod : undefined;
    const record = await this.#context.containers.update(container, (now) => {
      const networks = { ...now.networks, [network.name]: { networkId: '', requested } };
      const joined = { ...now, networks };
      return pod === undefined
        ? joined
        : { ...joined, networks: withEndpoints(joined, [network], pod.address) };
    });
    if (pod === undefined) return;
    await this.#context.pods.patch(pod.name, { labels: { [networkLabel(network.id)]: 'true' } });
    await this.#renewNames([network.name], record);
    const attributes = { container: record.id, name: network.name, type: network.driver };
    await this.#context.publish('connect', network.id, attributes);
  }

  async leave(container: ClusterContainer, network: NetworkDetails): Promise<void> {
    const pod = isActive(container.state) ? container.record.pod : undefined;
    const record = await this.#context.containers.update(container, (now) => ({
      ...now,
      networks: Object.fromEntries(Object.entries(now.networks).filter(([name]) => name !== network.name)),
    }));
    const attributes = { container: record.id, name: network.name, type: network.driver };
    if (pod !== undefined) {
      await this.#context.pods.patch(pod.name, { labels: { [networkLabel(network.id)]: null } });
      await this.#renewNames([network.name], record);
      // of one that runs twice, as dockerd does
      await this.#context.publish('disconnect', network.id, attributes);
    }
    await this.#context.publish('disconnect', network.id, attributes);
  }

  /** Throws NotFound for one that isn't there. */
  async #networksOf(record: ClusterRecord): Promise<NetworkDetails[]> {
    return Promise.all(Object.keys(record.networks).map((name) => this.#context.catalog.resolve(name)));
  }

  /** Those that are still there. */
  async #known(record: ClusterRecord): Promise<NetworkDetails[]> {
    const all = await this.#context.catalog.list();
    return all.filter(({ name }) => record.networks[name] !== undefined);
  }

  /**
   * Tables of all who are on these networks, with `changed` as it is about to be. Others may be about to change at the same time: it is
   * done again, without it, when its change is in the records (`followNames`).
   */
  async #renewNames(names: readonly string[], changed: ClusterRecord, isAhead = true): Promise<void> {
    const ahead = isAhead ? changed : undefined;
    const peers = this.#running(ahead).filter(
      (record) =>
        record.id === changed.id ||
        names.some((name) => record.networks[name] !== undefined) ||
        Object.values(record.links ?? {}).some(({ containerId }) => containerId === changed.id),
    );
    await Promise.all(
      peers.map(async (record) => {
        if (record.pod !== undefined && hasNameServer(record))
          await this.#writeTable(record, record.pod.name, ahead);
      }),
    );
  }

  async #writeTable(record: ClusterRecord, podName: string, ahead: ClusterRecord | undefined): Promise<void> {
    const own = this.#tables.get(podName) ?? { written: undefined, writers: new OperationQueue() };
    this.#tables.set(podName, own);
    await own.writers.run(async () => {
      // at its turn: whoever is the last to write has seen what all have changed
      const table = await this.#table(record, ahead === undefined ? [] : [ahead]);
      const seen = this.#context.tableOf(podName);
      if ((own.written ?? seen) === table && (seen ?? table) === table) return;
      await this.#context.pods.patch(podName, { annotations: { [namesAnnotation]: table } });
      own.written = table;
    });
  }

  async #table(record: ClusterRecord, changed: readonly ClusterRecord[]): Promise<string> {
    const dns = record.hostConfig.Dns ?? [];
    const upstreams = dns.length > 0 ? dns : await this.#context.pods.upstreams();
    const members = changed.reduce<readonly ClusterRecord[]>(
      (records, each) => this.#running(each, records),
      this.#running(),
    );
    return nameTable(memberOf(record), members.map(memberOf), upstreams);
  }

  /** Those that have a Pod and run; `changed` in its place, if it has one. */
  #running(
    changed?: ClusterRecord,
    records: readonly ClusterRecord[] = this.#context.containers
      .list()
      .filter(({ state }) => isActive(state))
      .map(({ record }) => record),
  ): readonly ClusterRecord[] {
    if (changed === undefined) return records;
    const others = records.filter(({ id }) => id !== changed.id);
    return changed.pod === undefined ? others : [...others, changed];
  }
}

/** Of internal networks alone nothing outside reaches a container. */
function isReachable(networks: readonly NetworkDetails[]): boolean {
  return networks.length === 0 || networks.some(({ internal }) => !internal);
}

function namesOf(networks: readonly NetworkDetails[]): string[] {
  return networks.map(({ name }) => name);
}

/** All of a container that tables are made of; empty where it has no part in them. */
function namedFacts(record: ClusterRecord): string {
  return isActive(record.state) ? JSON.stringify(memberOf(record)) : '';
}

/** On the default bridge nobody has names but those that are linked. */
function hasNameServer({ networks, links }: ClusterRecord): boolean {
  const isNamed = Object.keys(networks).some((name) => !predefinedNetworks.includes(name));
  return isNamed || Object.keys(links ?? {}).length > 0;
}

function dnsWords({ hostConfig }: ClusterRecord): {
  searches: string[];
  options: { name: string; value?: string }[];
} {
  return {
    searches: [...(hostConfig.DnsSearch ?? [])],
    options: ['ndots:0', ...(hostConfig.DnsOptions ?? [])].map((option) => {
      const [name = '', value] = option.split(':');
      return value === undefined ? { name } : { name, value };
    }),
  };
}

/** With the cluster's own name server: beside what goes with it. */
function moreDnsWords(record: ClusterRecord): Pick<PodParts, 'dnsConfig'> {
  const { searches, options } = dnsWords(record);
  const more = { searches, options: options.slice(1) };
  return more.searches.length + more.options.length > 0 ? { dnsConfig: more } : {};
}

function memberOf(record: ClusterRecord): NamedMember {
  return {
    containerId: record.id,
    name: record.name,
    address: record.pod?.address === '' ? undefined : record.pod?.address,
    networks: Object.entries(record.networks).map(([name, { requested }]) => ({
      // of a network its name is enough here: it is unique, and known before the network is looked up
      id: name,
      name,
      hasNames: !predefinedNetworks.includes(name),
      aliases: requested.Aliases ?? [],
      links: Object.fromEntries((requested.Links ?? []).map(parseLink).map(({ ref, alias }) => [alias, ref])),
    })),
    links: Object.fromEntries(
      Object.entries(record.links ?? {}).map(([alias, { containerId }]) => [alias, containerId]),
    ),
  };
}

function withEndpoints(
  record: ClusterRecord,
  networks: readonly NetworkDetails[],
  address: string,
): Record<string, ContainerNetwork> {
  const attached = networks.map(({ id, name, internal, driver }): [string, ContainerNetwork] => {
    const requested = record.networks[name]?.requested ?? {};
    // `none`: the Pod's address is not the container's
    if (driver === 'null') return [name, { networkId: id, requested }];
    const endpoint: Endpoint = {
      id: createHash('sha256').update(`${record.id} ${id} ${address}`).digest('hex'),
      networkId: id,
      networkName: name,
      ...(internal ? { internal } : {}),
      containerId: record.id,
      macAddress: '',
      ipv4Address: address,
      ipv4PrefixLength: 32,
      ipv4Gateway: '',
      ipv6Address: '',
      ipv6PrefixLength: 0,
      ipv6Gateway: '',
      mtu: 0,
      dnsServers: [],
      aliases: requested.Aliases ?? [],
    };
    return [name, { networkId: id, requested, endpoint }];
  });
  return { ...record.networks, ...Object.fromEntries(attached) };
}

/** As others find it from now on. */
function gone(record: ClusterRecord): ClusterRecord {
  const left = { ...record };
  delete left.pod;
  return left;
}

function withoutEndpoints({ networks }: ClusterRecord): Record<string, ContainerNetwork> {
  return Object.fromEntries(
    Object.entries(networks).map(([name, { networkId, requested }]) => [name, { networkId, requested }]),
  );
}
