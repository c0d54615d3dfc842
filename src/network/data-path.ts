// The kernel's side of the networks: bridges, taps and rules in the private namespace. Everything here can be done
// again, and `reconcile` makes the namespace agree with the records, whatever a crash left.

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';

import { DaemonError, errorMessage } from '../errors';
import { log } from '../log';
import { formatMac } from './addresses/addresses';
import {
  egressDevice,
  egressHostLoopback,
  egressHostLoopback6,
  egressNameServer,
  egressSubnet,
  egressSubnet6,
} from './egress';
import { hostLegDevice, hostLegPool } from './host-leg';
import { IpBatch } from './ip-batch';
import { PrivateNamespace } from './namespace';
import type { EndpointRecord, NetworkRecord } from './network-record';
import { bridgeChange, fullRuleset, hostAddressChange, tapChange } from './ruleset';
import type { BridgeRules, TapRules } from './ruleset';

interface Link {
  ifname: string;
  /** Name of the bridge that it is a port of. */
  master?: string;
  linkinfo?: { info_kind?: string };
}

export interface AttachedTap {
  tapName: string;
  network: NetworkRecord;
  endpoint: EndpointRecord;
}

export class DataPath {
  readonly namespace: PrivateNamespace;
  readonly #ip: IpBatch;
  /** Whether the kernel has it at all. */
  readonly #ipv6 = existsSync('/proc/net/if_inet6');
  /** What the rules say of each attached tap. */
  readonly #taps = new Map<string, TapRules>();
  /** By name of the bridge. */
  readonly #bridges = new Map<string, BridgeRules>();
  #hostAddress = '';

  private constructor(namespace: PrivateNamespace) {
    this.namespace = namespace;
    this.#ip = new IpBatch(namespace);
  }

  /** `holders`: processes in the namespace. */
  static async open(namespacePath: string, holders: readonly number[] = []): Promise<DataPath> {
    return new DataPath(await PrivateNamespace.open(namespacePath, holders));
  }

  close(): void {
    this.#ip.close();
    this.namespace.close();
  }

  /**
   * Makes missing bridges, removes those of no network, takes unknown taps off their bridges and loads all rules.
   * Returns the names of those of `taps` that exist; the others went with their VM.
   */
  async reconcile(
    networks: readonly NetworkRecord[],
    taps: readonly AttachedTap[],
    hostAddress: string,
  ): Promise<Set<string>> {
    this.#hostAddress = hostAddress;
    const links = await this.#links();
    const present = new Map(links.map((link) => [link.ifname, link]));
    const alive = taps.filter(({ tapName }) => present.has(tapName));
    this.#taps.clear();
    for (const tap of alive) this.#taps.set(tap.tapName, tapRules(tap.tapName, tap.endpoint));
    // rules first: a port of a bridge that no rule names can send nothing
    this.#bridges.clear();
    for (const network of networks.filter(isBridge))
      this.#bridges.set(network.bridgeName, bridgeRules(network));
    await this.#load();
    await this.#ip.run('link set dev lo up');
    const wanted = new Set(networks.map(({ bridgeName }) => bridgeName));
    for (const { ifname, linkinfo } of links) {
      if (linkinfo?.info_kind === 'bridge' && !wanted.has(ifname))
        await this.#ip.run(`link del dev ${ifname}`);
    }
    for (const network of networks.filter(isBridge))
      await this.#makeBridge(network, present.has(network.bridgeName));
    for (const { ifname, master } of links) {
      if (master !== undefined && !this.#taps.has(ifname))
        await this.#ip.run(`link set dev ${ifname} nomaster down`);
    }
    // All at once: each process is dear while the VMs have the CPUs.
    const joins = alive.flatMap(({ tapName, network }) => this.#joinCommands(tapName, network));
    await this.#ip.run(...joins);
    await this.#knowMacs([...this.#taps.values()]);
    return new Set(alive.map(({ tapName }) => tapName));
  }

  /** Removes a bridge that the next `reconcile` shall make anew. Nothing happens if it is not there. */
  async discardBridge(name: string): Promise<void> {
    const links = await this.#links();
    if (links.some(({ ifname }) => ifname === name)) await this.#ip.run(`link del dev ${name}`);
  }

  /** For a host that got another address. */
  async useHostAddress(hostAddress: string): Promise<void> {
    if (hostAddress === this.#hostAddress) return;
    await this.#nft(hostAddressChange(hostAddress));
    this.#hostAddress = hostAddress;
  }

  async addNetwork(network: NetworkRecord): Promise<void> {
    if (!isBridge(network)) return;
    const rules = bridgeRules(network);
    this.#bridges.set(rules.name, rules);
    await this.#nft(bridgeChange('add', rules));
    await this.#makeBridge(network, false);
  }

  async removeNetwork(network: NetworkRecord): Promise<void> {
    if (!isBridge(network)) return;
    const rules = bridgeRules(network);
    await this.#ip.run(`link del dev ${rules.name}`);
    this.#bridges.delete(rules.name);
    await this.#drop(bridgeChange('delete', rules));
  }

  async attach({ tapName, network, endpoint }: AttachedTap): Promise<void> {
    const before = this.#taps.get(tapName);
    if (before !== undefined) {
      this.#taps.delete(tapName);
      await this.#drop(tapChange('delete', before));
    }
    // until its rules are there, nothing that it sends passes
    await this.#ip.run(...this.#joinCommands(tapName, network));
    const rules = tapRules(tapName, endpoint);
    this.#taps.set(tapName, rules);
    await Promise.all([this.#nft(tapChange('add', rules)), this.#knowMacs([rules])]);
  }

  /** Takes the tap off its bridge, if it exists, and deletes its rules. */
  async detach(tapName: string): Promise<void> {
    await this.#ip.run(`link set dev ${tapName} nomaster down`).catch((error: unknown) => {
      log.debug('tap is gone already', { tapName, error });
    });
    const rules = this.#taps.get(tapName);
    if (rules === undefined) return;
    this.#taps.delete(tapName);
    await this.#drop(tapChange('delete', rules));
  }

  /** Deletes rules. Should some of them not be there, all are loaded anew: none may stay. */
  async #drop(change: string): Promise<void> {
    try {
      await this.#nft(change);
    } catch (error) {
      log.warn('rules were not as expected; loading all', { error: errorMessage(error) });
      await this.#load();
    }
  }

  async #makeBridge(network: NetworkRecord, exists: boolean): Promise<void> {
    const name = network.bridgeName;
    const gateways = bridgeRules(network).gateways;
    const six = gateways.some((address) => address.includes(':'));
    if (!exists) await this.#ip.run(`link add name ${name} address ${bridgeMac(network.id)} type bridge`);
    await this.#ip.run(...(six ? [] : this.#noIpv6(name)));
    await this.#ip.run(`link set dev ${name} mtu ${network.mtu} up`);
    for (const address of gateways) {
      const prefixLength =
        network.ipam.find(({ gateway }) => gateway === address)?.subnet.split('/')[1] ?? '32';
      await this.#ip.run(
        `addr replace ${address}/${prefixLength} dev ${name}${address.includes(':') ? ' nodad' : ''}`,
      );
    }
  }

  /**
   * Bridges learn from frames to reserved destinations without asking any rule, so taps are not learnt from at all:
   * `#knowMacs` says where a MAC address is.
   */
  #joinCommands(tapName: string, { mtu, bridgeName, interContainer }: NetworkRecord): string[] {
    return [
      ...this.#noIpv6(tapName),
      `link set dev ${tapName} mtu ${mtu} master ${bridgeName}`,
      `link set dev ${tapName} type bridge_slave learning off isolated ${interContainer ? 'off' : 'on'}`,
      `link set dev ${tapName} up`,
    ];
  }

  /** Without an address of its own a device says nothing on IPv6. */
  #noIpv6(device: string): string[] {
    return this.#ipv6 ? [`link set dev ${device} addrgenmode none`] : [];
  }

  async #knowMacs(taps: readonly TapRules[]): Promise<void> {
    if (taps.length === 0) return;
    const lines = taps.map(({ name, mac }) => `fdb replace ${mac} dev ${name} master static\n`);
    await this.namespace.run('bridge', ['-batch', '-'], lines.join(''));
  }

  async #links(): Promise<Link[]> {
    // iproute2's JSON; only names and kinds are read from it
    return JSON.parse(await this.namespace.run('ip', ['-j', '-d', 'link', 'show'])) as Link[];
  }

  async #load(): Promise<void> {
    const rules = fullRuleset({
      egressDevice,
      egressSubnet,
      egressSubnet6,
      egressNameServer,
      egressHostLoopback,
      egressHostLoopback6,
      hostLegDevice,
      hostLegPool,
      bridges: [...this.#bridges.values()],
      taps: [...this.#taps.values()],
      hostAddress: this.#hostAddress,
    });
    try {
      await this.#nft(rules);
    } catch (error) {
      const text = `this kernel cannot keep containers apart, so no network is started: ${errorMessage(error)}`;
      throw new DaemonError('Unavailable', text, { cause: error });
    }
  }

  async #nft(text: string): Promise<void> {
    if (text !== '') await this.namespace.run('nft', ['-f', '-'], text);
  }
}

function isBridge(network: NetworkRecord): boolean {
  return network.driver === 'bridge';
}

function bridgeRules(network: NetworkRecord): BridgeRules {
  return {
    name: network.bridgeName,
    gateways: network.ipam.flatMap(({ gateway }) => gateway ?? []),
    egress: !network.internal && network.masquerade,
  };
}

function tapRules(tapName: string, endpoint: EndpointRecord): TapRules {
  const linkLocal = endpoint.wanted?.linkLocalIps ?? [];
  const all = [endpoint.ipv4Address, endpoint.ipv6Address, ...linkLocal].filter((address) => address !== '');
  return {
    name: tapName,
    mac: endpoint.macAddress,
    ipv4: all.filter((address) => !address.includes(':')),
    ipv6: all.filter((address) => address.includes(':')),
    onHost: endpoint.host !== undefined,
  };
}

/** Fixed: without one a bridge takes its smallest port's, and guests would see their gateway's change. */
function bridgeMac(networkId: string): string {
  return formatMac([0x02, 0x42, ...createHash('sha256').update(networkId).digest().subarray(0, 4)]);
}
