// networks/: names, boundaries and published ports of containers on a cluster.
//
// What the API's network operations mean there.

import { randomBytes } from 'node:crypto';
import type { Filters, NetworkBackend } from '../../api/v1.41/backend';
import type {
  NetworkConnectBody,
  NetworkContainer,
  NetworkCreateBody,
  NetworkDisconnectBody,
  NetworkInspect,
} from '../../docker/types';
import { DaemonError, errorMessage, isDaemonError } from '../../errors';
import { nowTimestamp } from '../../go/timestamp';
import { log } from '../../log';
import type { NetworkDetails } from '../../network/network';
import { bridgeOptions } from '../../network/bridge-options';
import { planNetwork } from '../../network/network-plan';
import { requireValidPools } from '../../network/network-pools';
import type { NetworkPlan } from '../../network/network-record';
import { isActive } from '../../semantics/containers/container-state';
import { pruneFilter } from '../../semantics/filters/prune-filter';
import { requireConnectable, requireValidEndpoint } from '../../semantics/networks/connect-validation';
import { createRequest } from '../../semantics/networks/create-request';
import { networkFilter, predefinedNetworks } from '../../semantics/networks/filter';
import { inspectedNetwork } from '../../semantics/networks/inspect';
import type { ClusterContainer } from '../records/cluster-container';
import type { ContainerStore } from '../records/container-store';
import { requireTimeToLive } from '../contract/time-to-live';
import type { ClusterContainerNetworks } from './container-networks';
import type { NetworkCatalog } from './network-catalog';
import type { Boundaries } from './boundaries';

export interface ClusterNetworksContext {
  catalog: NetworkCatalog;
  boundaries: Boundaries;
  containers: ContainerStore;
  endpoints: ClusterContainerNetworks;
  /** What the cluster's network doesn't keep. */
  warnings: () => Promise<string[]>;
  publish: (action: string, id: string, attributes: Record<string, string>) => Promise<void>;
}

const interContainerOption = 'com.docker.network.bridge.enable_icc';

export class ClusterNetworkBackend implements NetworkBackend {
  readonly #context: ClusterNetworksContext;

  constructor(context: ClusterNetworksContext) {
    this.#context = context;
  }

  async list(filters: Filters, { detailed }: { detailed: boolean }): Promise<NetworkInspect[]> {
    const matches = networkFilter(filters);
    const all = await this.#context.catalog.list();
    return all
      .filter(matches)
      .map((network) => inspectedNetwork(network, detailed ? this.#members(network) : {}));
  }

  async inspect(ref: string, { scope }: { verbose: boolean; scope: string }): Promise<NetworkInspect> {
    const network = await this.#context.catalog.resolve(ref);
    if (scope !== '' && scope !== 'local') throw new DaemonError('NotFound', `network ${ref} not found`);
    return inspectedNetwork(network, this.#members(network));
  }

  async create(body: NetworkCreateBody): Promise<{ Id: string; Warning: string }> {
    const { catalog, boundaries } = this.#context;
    const request = createRequest(body);
    const taken = (await catalog.list()).some(({ name }) => name === request.name);
    const plan = planNetwork.fromRequest(request);
    requireTimeToLive(plan.labels);
    if (taken) throw new DaemonError('Conflict', `network with name ${request.name} already exists`);
    requireValidPools(plan);
    planNetwork.requireCreatable(plan);
    bridgeOptions(plan.options); // throws for what can't be read
    if (plan.configOnly === true || plan.configFrom !== undefined)
      throw new DaemonError('NotImplemented', 'configuration networks are not supported on a cluster');
    const network = detailsOf(plan);
    try {
      await catalog.add(network);
    } catch (error) {
      if (!isDaemonError(error, 'Conflict')) throw error;
      throw new DaemonError('Conflict', `network with name ${network.name} already exists`);
    }
    try {
      await boundaries.draw({
        ...network,
        interContainer: network.options[interContainerOption] !== 'false',
      });
    } catch (error) {
      await catalog.remove(network);
      throw error;
    }
    await this.#context.publish('create', network.id, { name: network.name, type: network.driver });
    const warnings = [...warningsOf(plan), ...(await this.#context.warnings())];
    return { Id: network.id, Warning: warnings.join('; ') };
  }

  async remove(ref: string): Promise<void> {
    const network = await this.#context.catalog.resolve(ref);
    if (predefinedNetworks.includes(network.name)) {
      throw new DaemonError('Forbidden', `${network.name} is a pre-defined network and cannot be removed`);
    }
    if (Object.keys(this.#members(network)).length > 0) {
      throw new DaemonError(
        'Forbidden',
        `error while removing network: network ${network.name} id ${network.id} has active endpoints`,
      );
    }
    await this.#destroy(network);
  }

  async connect(ref: string, body: NetworkConnectBody): Promise<void> {
    const { containers, catalog, endpoints } = this.#context;
    const container = await containers.resolve(body.Container ?? '');
    const network = await catalog.resolve(ref);
    const requested = body.EndpointConfig ?? {};
    requireValidEndpoint(network, requested);
    const names = new Set((await catalog.list()).map(({ name }) => name));
    requireConnectable(container.record, network, (name) => names.has(name));
    if (container.record.networks[network.name] !== undefined) {
      if (!isActive(container.state)) return;
      throw new DaemonError(
        'Forbidden',
        `endpoint with name ${container.name} already exists in network ${network.name}`,
      );
    }
    await endpoints.join(container, network, requested);
  }

  async disconnect(ref: string, body: NetworkDisconnectBody): Promise<void> {
    const { containers, catalog, endpoints } = this.#context;
    const given = body.Container ?? '';
    const container = await containers.resolve(given).catch((error: unknown) => {
      if (body.Force !== true) throw error;
      return undefined;
    });
    const network = await catalog.resolve(ref);
    if (container === undefined) throw new DaemonError('NotFound', `endpoint ${given} not found`);
    if (container.record.networks[network.name] === undefined) {
      const which = isActive(container.state) ? 'network' : 'the network';
      throw new DaemonError(
        'Internal',
        `container ${container.id} is not connected to ${which} ${network.name}`,
      );
    }
    await endpoints.leave(container, network);
  }

  async prune(filters: Filters): Promise<{ NetworksDeleted: string[] | null }> {
    const matches = pruneFilter('networks', filters);
    const deleted: string[] = [];
    for (const network of await this.#context.catalog.list()) {
      const isUsed = Object.keys(this.#members(network)).length > 0;
      if (predefinedNetworks.includes(network.name) || isUsed) continue;
      if (!matches(network.labels, Date.parse(network.created))) continue;
      try {
        await this.#destroy(network);
        deleted.push(network.name);
      } catch (error) {
        log.warn('network could not be pruned', { networkId: network.id, error: errorMessage(error) });
      }
    }
    await this.#context.publish('prune', '', { reclaimed: '0' });
    return { NetworksDeleted: deleted.length === 0 ? null : deleted };
  }

  async #destroy(network: NetworkDetails): Promise<void> {
    await this.#context.catalog.remove(network);
    await this.#context.boundaries.erase(network.id);
    await this.#context.publish('destroy', network.id, { name: network.name, type: network.driver });
  }

  #members({ name }: NetworkDetails): Record<string, NetworkContainer> {
    const members = this.#context.containers.list().flatMap((container) => memberOf(container, name));
    return Object.fromEntries(members);
  }
}

function memberOf(container: ClusterContainer, networkName: string): [string, NetworkContainer][] {
  const endpoint = container.record.networks[networkName]?.endpoint;
  if (endpoint === undefined || !isActive(container.state)) return [];
  const IPv4Address =
    endpoint.ipv4Address === '' ? '' : `${endpoint.ipv4Address}/${endpoint.ipv4PrefixLength}`;
  return [
    [
      container.id,
      { Name: container.name, EndpointID: endpoint.id, MacAddress: '', IPv4Address, IPv6Address: '' },
    ],
  ];
}

function detailsOf(plan: NetworkPlan): NetworkDetails {
  return {
    id: randomBytes(32).toString('hex'),
    name: plan.name,
    driver: 'bridge',
    internal: plan.internal,
    created: nowTimestamp(),
    enableIpv6: plan.enableIpv6,
    attachable: plan.attachable,
    labels: plan.labels,
    options: plan.options,
    ipamDriver: plan.ipamDriver,
    ipamOptions: plan.ipamOptions,
    ipam: plan.subnets,
    userSubnet: false,
  };
}

function warningsOf(plan: NetworkPlan): string[] {
  const warnings: string[] = [];
  if (plan.subnets.length > 0)
    warnings.push("the subnet is shown and not used: a container's address is the one of its Pod");
  const options = Object.keys(plan.options).filter(
    (name) => name.startsWith('com.docker.network.') && name !== interContainerOption,
  );
  if (options.length > 0) warnings.push(`without effect on a cluster: ${options.join(', ')}`);
  if (plan.enableIpv6) warnings.push('IPv6 is as the cluster has it');
  return warnings;
}
