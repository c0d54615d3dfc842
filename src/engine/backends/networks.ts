// The API's network operations over the NetworkManager.

import type { Filters, NetworkBackend } from '../../api/v1.41/backend';
import type {
  EndpointSettings,
  NetworkConnectBody,
  NetworkContainer,
  NetworkCreateBody,
  NetworkDisconnectBody,
  NetworkInspect,
} from '../../docker/types';
import { DaemonError, errorMessage, isDaemonError } from '../../errors';
import { log } from '../../log';
import type { NetworkDetails, NetworkManager } from '../../network/network';
import { connectContainer, disconnectContainer, type ConnectNeeds } from '../networks/connect';
import {
  hostNetwork,
  isUserDefined,
  requireConnectable,
  requireValidEndpoint,
} from '../../semantics/networks/connect-validation';
import { createRequest } from '../../semantics/networks/create-request';
import { networkFilter, predefinedNetworks } from '../../semantics/networks/filter';
import { inspectedNetwork } from '../../semantics/networks/inspect';
import type { Container, ContainerRegistry } from '../core/container-registry';
import { isActive } from '../../semantics/containers/container-state';
import type { EventPublisher } from '../../semantics/events/event-publisher';
import { namedPodIdOf, podNameOf } from '../vms/named-pods';
import { pruneFilter } from '../../semantics/filters/prune-filter';
import type { BackgroundWork } from '../../async/background-work';

/** What the network operations work with. */
export type NetworkBackendNeeds = ConnectNeeds & {
  readonly networkReleases: Pick<BackgroundWork, 'current'>;
};

export class EngineNetworkBackend implements NetworkBackend {
  readonly #networks: NetworkManager;
  readonly #registry: ContainerRegistry;
  readonly #events: EventPublisher;

  readonly #engine: NetworkBackendNeeds;

  constructor(context: NetworkBackendNeeds) {
    this.#engine = context;
    this.#networks = context.networks;
    this.#registry = context.registry;
    this.#events = context.events;
  }

  async list(filters: Filters, { detailed }: { detailed: boolean }): Promise<NetworkInspect[]> {
    const matches = networkFilter(filters);
    if (detailed) await this.#engine.networkReleases.current();
    const all = this.#networks.list().map(({ id }) => this.#networks.inspect(id));
    return all
      .filter(matches)
      .map((details) => inspectedNetwork(details, detailed ? this.#containers(details.id) : {}));
  }

  async inspect(ref: string, options: { verbose: boolean; scope: string }): Promise<NetworkInspect> {
    await this.#engine.networkReleases.current();
    const details = this.#inspect(ref);
    if (options.scope !== '' && options.scope !== 'local') {
      throw new DaemonError('NotFound', `network ${ref} not found`);
    }
    return inspectedNetwork(details, this.#containers(details.id));
  }

  async create(body: NetworkCreateBody): Promise<{ Id: string; Warning: string }> {
    const request = createRequest(body);
    const { id, warning } = await this.#networks.create(request);
    this.#publish('create', this.#networks.inspect(id));
    return { Id: id, Warning: warning };
  }

  async remove(ref: string): Promise<void> {
    // To a client a container that has exited is on no network any more.
    await this.#engine.networkReleases.current();
    const details = this.#networks.inspect(ref);
    await this.#networks.remove(details.id);
    // As dockerd, which tells of a configuration only that it was made.
    if (details.configOnly !== true) this.#publish('destroy', details);
  }

  async connect(ref: string, body: NetworkConnectBody): Promise<void> {
    const container = this.#registry.get(body.Container ?? '');
    await container.operations.run(async () => {
      const { record, state } = container;
      requireNotRemoved(container);
      const network = isActive(state) ? this.#networks.inspect(ref) : this.#find(ref);
      const requested = body.EndpointConfig ?? {};
      if (network === undefined) {
        // Docker looks for it only when the container starts.
        await connectContainer(this.#engine, container, { id: '', name: ref }, requested);
        return;
      }
      requireValidEndpoint(network, requested);
      requireConnectable(record, network, (name) => this.#find(name) !== undefined);
      const { id, name } = network;
      if (record.networks[name] !== undefined) {
        // What a container that does not run has asked for stays as it is.
        if (!isActive(state)) return;
        throw new DaemonError(
          'Forbidden',
          `endpoint with name ${container.name} already exists in network ${name}`,
        );
      }
      await connectContainer(
        this.#engine,
        container,
        { id, name },
        withShortId(container.id, name, requested),
      );
    });
  }

  async disconnect(ref: string, body: NetworkDisconnectBody): Promise<void> {
    const force = body.Force ?? false;
    const given = body.Container ?? '';
    const container = force ? this.#registry.find(given) : this.#registry.get(given);
    if (container === undefined) {
      this.#networks.resolve(ref);
      throw new DaemonError('NotFound', `endpoint ${given} not found`);
    }
    await container.operations.run(async () => {
      requireNotRemoved(container);
      const active = isActive(container.state);
      const network = active && !force ? this.#networks.inspect(ref) : this.#find(ref);
      const name = network?.name ?? ref;
      if (active && network?.driver === 'host' && container.record.hostConfig.NetworkMode === 'host') {
        throw hostNetwork();
      }
      if (container.record.networks[name] === undefined) {
        const which = active && network !== undefined ? 'network' : 'the network';
        throw new DaemonError('Internal', `container ${container.id} is not connected to ${which} ${name}`);
      }
      await disconnectContainer(this.#engine, container, name);
      if (active || network === undefined) return;
      this.#events.publish('network', 'disconnect', network.id, {
        container: container.id,
        name,
        type: network.driver,
      });
    });
  }

  async prune(filters: Filters): Promise<{ NetworksDeleted: string[] | null }> {
    const matches = pruneFilter('networks', filters);
    await this.#engine.networkReleases.current();
    const deleted: string[] = [];
    for (const { id } of this.#networks.list()) {
      const details = this.#networks.inspect(id);
      if (predefinedNetworks.includes(details.name) || this.#isUsed(id) || details.configOnly === true)
        continue;
      if (!matches(details.labels, Date.parse(details.created))) continue;
      try {
        await this.#networks.remove(id);
        deleted.push(details.name);
        this.#publish('destroy', details);
      } catch (error) {
        log.warn('network could not be pruned', { networkId: id, error: errorMessage(error) });
      }
    }
    this.#events.publish('network', 'prune', '', { reclaimed: '0' });
    return { NetworksDeleted: deleted.length === 0 ? null : deleted };
  }

  /** As the manager's. That a name has several networks, Docker words otherwise here. */
  #inspect(ref: string): NetworkDetails {
    try {
      return this.#networks.inspect(ref);
    } catch (error) {
      const [, network, matches] =
        /^(network .* is ambiguous) \((.* matches found based on .*)\)$/.exec(errorMessage(error)) ?? [];
      if (network === undefined || matches === undefined) throw error;
      throw new DaemonError('InvalidParameter', `${matches}: ${network}`);
    }
  }

  #find(ref: string): NetworkDetails | undefined {
    try {
      return this.#networks.inspect(ref);
    } catch (error) {
      if (isDaemonError(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  #isUsed(networkId: string): boolean {
    return this.#networks.endpoints(networkId, { attached: true }).length > 0;
  }

  /** Endpoints of a named Pod are its own. */
  #podName(podId: string): string {
    const member = this.#registry.list().find(({ record }) => namedPodIdOf(record) === podId);
    return member === undefined ? '' : (podNameOf(member.record) ?? '');
  }

  #containers(networkId: string): Record<string, NetworkContainer> {
    return Object.fromEntries(
      this.#networks.endpoints(networkId, { attached: true }).map((endpoint) => [
        endpoint.containerId,
        {
          Name: this.#registry.byId(endpoint.containerId)?.name ?? this.#podName(endpoint.containerId),
          EndpointID: endpoint.id,
          MacAddress: endpoint.macAddress,
          IPv4Address: withPrefix(endpoint.ipv4Address, endpoint.ipv4PrefixLength),
          IPv6Address: withPrefix(endpoint.ipv6Address, endpoint.ipv6PrefixLength),
        },
      ]),
    );
  }

  #publish(action: string, { id, name, driver }: NetworkDetails): void {
    this.#events.publish('network', action, id, { name, type: driver });
  }
}

function requireNotRemoved({ id, state }: Container): void {
  if (state.kind !== 'removing' && state.kind !== 'dead') return;
  throw new DaemonError(
    'Internal',
    `Container ${id} is marked for removal and cannot be connected or disconnected to the network`,
  );
}

/** On networks with a name service the short id is an alias from the connect on. */
function withShortId(
  containerId: string,
  networkName: string,
  requested: EndpointSettings,
): EndpointSettings {
  const shortId = containerId.slice(0, 12);
  const aliases = requested.Aliases ?? [];
  if (!isUserDefined(networkName) || aliases.includes(shortId)) return requested;
  return { ...requested, Aliases: [...aliases, shortId] };
}

function withPrefix(address: string, prefixLength: number): string {
  return address === '' ? '' : `${address}/${prefixLength}`;
}
