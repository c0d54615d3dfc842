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
import type { NetworkCreateRequest, NetworkDetails, NetworkManager } from '../../network/network';
import { connectContainer, disconnectContainer, type ConnectNeeds } from '../networks/connect';
import {
  hostNetwork,
  isUserDefined,
  requireConnectable,
  requireValidEndpoint,
} from '../networks/connect-validation';
import type { Container, ContainerRegistry } from '../core/container-registry';
import { isActive } from '../../semantics/containers/container-state';
import type { EventPublisher } from '../../semantics/events/event-publisher';
import { matchLabels, matchPattern, matchValue, validateFilters } from '../../semantics/filters/filters';
import { namedPodIdOf, podNameOf } from '../vms/named-pods';
import { pruneFilter } from '../../semantics/filters/prune-filter';
import type { BackgroundWork } from '../../async/background-work';

/** What the network operations work with. */
export type NetworkBackendNeeds = ConnectNeeds & {
  readonly networkReleases: Pick<BackgroundWork, 'current'>;
};

const acceptedFilters = ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type'];
const predefinedNetworks: readonly string[] = ['bridge', 'host', 'none'];
const noIpam = { Driver: 'default', Options: null, Config: [] };

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
      .map((details) => inspected(details, detailed ? this.#containers(details.id) : {}));
  }

  async inspect(ref: string, options: { verbose: boolean; scope: string }): Promise<NetworkInspect> {
    await this.#engine.networkReleases.current();
    const details = this.#inspect(ref);
    if (options.scope !== '' && options.scope !== 'local') {
      throw new DaemonError('NotFound', `network ${ref} not found`);
    }
    return inspected(details, this.#containers(details.id));
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

function inspected(details: NetworkDetails, containers: Record<string, NetworkContainer>): NetworkInspect {
  return {
    Name: details.name,
    Id: details.id,
    Created: details.created,
    Scope: 'local',
    Driver: details.driver,
    EnableIPv6: details.enableIpv6,
    IPAM:
      details.driver === 'bridge' || details.configOnly === true
        ? {
            Driver: details.ipamDriver,
            Options: details.ipamOptions,
            Config: [...details.ipam, ...(details.unusedIpam ?? [])].map(
              ({ subnet, ipRange, gateway, hideGateway, auxiliaryAddresses }) => ({
                Subnet: subnet,
                ...(ipRange === undefined ? {} : { IPRange: ipRange }),
                ...(gateway === undefined || hideGateway === true ? {} : { Gateway: gateway }),
                ...(auxiliaryAddresses === undefined ? {} : { AuxiliaryAddresses: auxiliaryAddresses }),
              }),
            ),
          }
        : noIpam,
    Internal: details.internal,
    Attachable: details.attachable,
    Ingress: false,
    ConfigFrom: { Network: details.configFrom?.name ?? '' },
    ConfigOnly: details.configOnly ?? false,
    Containers: containers,
    Options: details.options,
    Labels: details.labels,
  };
}

/** Docker's `dangling` is true of every network that a user made: it does not look for containers here. */
function networkFilter(filters: Filters): (details: NetworkDetails) => boolean {
  validateFilters(filters, acceptedFilters);
  const dangling = danglingFilter(filters.get('dangling'));
  const types = filters.get('type');
  const unknown = types?.find((type) => type !== 'builtin' && type !== 'custom');
  if (unknown !== undefined) throw new DaemonError('Internal', `invalid filter: 'type'='${unknown}'`);
  return ({ id, name, driver, labels }) => {
    const builtin = predefinedNetworks.includes(name);
    if (dangling !== undefined && dangling === builtin) return false;
    if (types !== undefined && !types.includes(builtin ? 'builtin' : 'custom')) return false;
    return (
      matchValue(filters, 'driver', driver) &&
      matchPattern(filters, 'name', name) &&
      matchPattern(filters, 'id', id) &&
      matchValue(filters, 'scope', 'local') &&
      matchLabels(filters.get('label'), labels)
    );
  };
}

function danglingFilter(values: readonly string[] | undefined): boolean | undefined {
  if (values === undefined || values.length === 0) return undefined;
  if (values.length > 1) {
    throw new DaemonError('InvalidParameter', 'got more than one value for filter key "dangling"');
  }
  if (values.includes('true') || values.includes('1')) return true;
  if (values.includes('false') || values.includes('0')) return false;
  throw new DaemonError(
    'InvalidParameter',
    'invalid value for filter \'dangling\', must be "true" (or "1"), or "false" (or "0")',
  );
}

function createRequest(body: NetworkCreateBody): NetworkCreateRequest {
  const ipam = body.IPAM ?? undefined;
  return {
    name: body.Name ?? '',
    driver: body.Driver ?? '',
    scope: body.Scope ?? '',
    internal: body.Internal ?? false,
    attachable: body.Attachable ?? false,
    ingress: body.Ingress ?? false,
    configOnly: body.ConfigOnly ?? false,
    configFrom: body.ConfigFrom?.Network ?? '',
    enableIpv6: body.EnableIPv6 ?? false,
    checkDuplicate: body.CheckDuplicate ?? false,
    options: body.Options ?? {},
    labels: body.Labels ?? {},
    ...(ipam === undefined
      ? {}
      : {
          ipam: {
            ...(ipam.Driver === undefined ? {} : { driver: ipam.Driver }),
            ...(ipam.Options === undefined ? {} : { options: ipam.Options }),
            config: (ipam.Config ?? []).map((pool) => ({
              ...(pool.Subnet === undefined ? {} : { subnet: pool.Subnet }),
              ...(pool.IPRange === undefined ? {} : { ipRange: pool.IPRange }),
              ...(pool.Gateway === undefined ? {} : { gateway: pool.Gateway }),
              ...(pool.AuxiliaryAddresses === undefined || pool.AuxiliaryAddresses === null
                ? {}
                : { auxiliaryAddresses: pool.AuxiliaryAddresses }),
            })),
          },
        }),
  };
}
