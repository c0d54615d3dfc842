// Which names a container may resolve, and to what. A container sees the endpoints of every network it is on itself.

import { addressOfReverseName, formatAddress } from '../addresses/addresses';
import type { NetdEndpoint, NetdNetwork } from '../addresses/netd-protocol';

export interface NameAnswer {
  ipv4: string[];
  ipv6: string[];
}

/** Who asks: told by the source address, which the anti-spoofing rules vouch for, and the network it came from. */
export interface Asker {
  containerId: string;
  /** Some network it is on has a way out. */
  mayForward: boolean;
  upstreams: string[];
}

export class NameTable {
  readonly #networks = new Map<string, NetdNetwork>();
  /** By container id, then network id. */
  readonly #endpoints = new Map<string, Map<string, NetdEndpoint>>();
  /** By network id, then name: the containers that have it. */
  readonly #names = new Map<string, Map<string, Set<NetdEndpoint>>>();
  /** By network id, then address. */
  readonly #addresses = new Map<string, Map<string, NetdEndpoint>>();

  networks(): NetdNetwork[] {
    return [...this.#networks.values()];
  }

  putNetwork(network: NetdNetwork): void {
    this.#networks.set(network.id, network);
  }

  removeNetwork(id: string): void {
    this.#networks.delete(id);
    for (const endpoint of [...(this.#addresses.get(id)?.values() ?? [])]) {
      this.removeEndpoint(id, endpoint.containerId);
    }
  }

  putEndpoint(endpoint: NetdEndpoint): void {
    this.removeEndpoint(endpoint.networkId, endpoint.containerId);
    getOrMake(this.#endpoints, endpoint.containerId, () => new Map<string, NetdEndpoint>()).set(
      endpoint.networkId,
      endpoint,
    );
    const names = getOrMake(this.#names, endpoint.networkId, () => new Map<string, Set<NetdEndpoint>>());
    for (const name of endpoint.names) getOrMake(names, name, () => new Set()).add(endpoint);
    const addresses = getOrMake(this.#addresses, endpoint.networkId, () => new Map<string, NetdEndpoint>());
    for (const address of addressesOf(endpoint)) addresses.set(address, endpoint);
  }

  removeEndpoint(networkId: string, containerId: string): void {
    const ofContainer = this.#endpoints.get(containerId);
    const endpoint = ofContainer?.get(networkId);
    if (endpoint === undefined) return;
    ofContainer?.delete(networkId);
    if (ofContainer?.size === 0) this.#endpoints.delete(containerId);
    const names = this.#names.get(networkId);
    for (const name of endpoint.names) {
      const set = names?.get(name);
      set?.delete(endpoint);
      if (set?.size === 0) names?.delete(name);
    }
    const addresses = this.#addresses.get(networkId);
    for (const address of addressesOf(endpoint)) {
      if (addresses?.get(address) === endpoint) addresses.delete(address);
    }
  }

  clear(): void {
    for (const map of [this.#networks, this.#endpoints, this.#names, this.#addresses]) map.clear();
  }

  /** Undefined if nobody on that network has the address. */
  asker(networkId: string, address: string): Asker | undefined {
    const endpoint = this.#addresses.get(networkId)?.get(address);
    if (endpoint === undefined) return undefined;
    const all = [...(this.#endpoints.get(endpoint.containerId)?.values() ?? [])];
    return {
      containerId: endpoint.containerId,
      mayForward: all.some((other) => this.#networks.get(other.networkId)?.egress === true),
      upstreams: all.find((other) => other.upstreams.length > 0)?.upstreams ?? [],
    };
  }

  /** `name` in lower case without a final dot; also `name.network`. Undefined: not one of ours. */
  lookup(containerId: string, name: string): NameAnswer | undefined {
    for (const [network, own] of this.#embeddedNetworks(containerId)) {
      const names = this.#names.get(network.id);
      const suffix = `.${network.name.toLowerCase()}`;
      for (const candidate of name.endsWith(suffix) ? [name, name.slice(0, -suffix.length)] : [name]) {
        // A link stands for another name, also for one that appears later.
        const linked = Object.hasOwn(own.links, candidate) ? own.links[candidate] : undefined;
        const found = names?.get(linked ?? candidate);
        if (found !== undefined) return addressesByFamily([...found]);
      }
    }
    return undefined;
  }

  /** The name of a reverse query's address, as `container.network`; undefined if it is not one of ours. */
  reverse(containerId: string, name: string): string | undefined {
    const address = addressOfReverseName(name);
    if (address === undefined) return undefined;
    const text = formatAddress(address);
    for (const [network] of this.#embeddedNetworks(containerId)) {
      const endpoint = this.#addresses.get(network.id)?.get(text);
      if (endpoint !== undefined) return `${endpoint.containerName}.${network.name}`;
    }
    return undefined;
  }

  #embeddedNetworks(containerId: string): [NetdNetwork, NetdEndpoint][] {
    const own = [...(this.#endpoints.get(containerId)?.values() ?? [])];
    const networks = own.flatMap((endpoint): [NetdNetwork, NetdEndpoint][] => {
      const network = this.#networks.get(endpoint.networkId);
      return network?.embedded === true ? [[network, endpoint]] : [];
    });
    // Docker's order: those with a way out first, then by name. The first that knows a name answers.
    return networks.sort(
      ([a], [b]) => Number(b.egress) - Number(a.egress) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
    );
  }
}

function addressesByFamily(endpoints: readonly NetdEndpoint[]): NameAnswer {
  return {
    ipv4: endpoints.map((endpoint) => endpoint.ipv4Address).filter((address) => address !== ''),
    ipv6: endpoints.map((endpoint) => endpoint.ipv6Address).filter((address) => address !== ''),
  };
}

function addressesOf(endpoint: NetdEndpoint): string[] {
  return [endpoint.ipv4Address, endpoint.ipv6Address].filter((address) => address !== '');
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
