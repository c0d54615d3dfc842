// What a client asks for when it creates a network, checked, in Docker's order and words. Pure.

import { DaemonError } from '../errors';
import { containsSubnet, formatSubnet, overlaps, parseAddress, parseSubnet } from './addresses';
import type { IpFamily, Subnet } from './addresses';
import { reservedSubnets } from './egress';
import type { NetworkCreateRequest, NetworkIpamConfig } from './network';
import type { NetworkRecord } from './network-record';

export interface NetworkPlan {
  name: string;
  driver: 'bridge' | 'host' | 'null';
  internal: boolean;
  attachable: boolean;
  configOnly?: boolean;
  enableIpv6: boolean;
  labels: Record<string, string>;
  options: Record<string, string>;
  ipamOptions: Record<string, string> | null;
  /** As asked for; empty: to be chosen. */
  subnets: NetworkIpamConfig[];
  mtu: number;
  interContainer: boolean;
  masquerade: boolean;
  hostBindingAddress: string;
  defaultBridge: boolean;
}

const predefined = ['bridge', 'host', 'none', 'default'];
/** Drivers that dockerd has built in and that need what a private namespace of bridges cannot give. */
const otherDrivers = ['macvlan', 'ipvlan'];

function planOf(request: NetworkCreateRequest): NetworkPlan {
  if (predefined.includes(request.name)) {
    throw new DaemonError('Forbidden', `operation is not permitted on predefined ${request.name} network `);
  }
  if (request.scope === 'swarm') {
    throw new DaemonError('Forbidden', 'cannot create a swarm scoped network when swarm is not active');
  }
  if (request.name.trim() === '') throw new DaemonError('Internal', `invalid name: ${request.name}`);
  const driver = request.configOnly === true ? 'null' : driverOf(request.driver ?? '');
  if (request.ingress === true)
    throw new DaemonError('Forbidden', 'Ingress network can only be global scope network');
  const ipamDriver = request.ipam?.driver ?? '';
  if (ipamDriver !== '' && ipamDriver !== 'default' && ipamDriver !== 'null') {
    throw new DaemonError('NotFound', `plugin "${ipamDriver}" not found`);
  }
  return {
    ...bridgeOptions(request.options ?? {}),
    name: request.name,
    driver,
    internal: request.internal ?? false,
    attachable: request.attachable ?? false,
    ...(request.configOnly === true ? { configOnly: true } : {}),
    enableIpv6: request.enableIpv6 ?? false,
    labels: request.labels ?? {},
    options: request.options ?? {},
    ipamOptions: request.ipam?.options ?? null,
    subnets: (request.ipam?.config ?? []).map(checkedConfig),
    defaultBridge: false,
  };
}

function driverOf(driver: string): 'bridge' | 'null' {
  if (driver === '' || driver === 'default' || driver === 'bridge') return 'bridge';
  if (driver === 'host' || driver === 'null') {
    throw new DaemonError('Forbidden', `only one instance of "${driver}" network is allowed`);
  }
  if (driver === 'overlay') {
    throw new DaemonError(
      'Internal',
      'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    );
  }
  if (otherDrivers.includes(driver)) throw new DaemonError('Internal', 'operation not supported');
  throw new DaemonError('NotFound', `plugin "${driver}" not found`);
}

function bridgeOptions(
  options: Record<string, string>,
): Pick<NetworkPlan, 'mtu' | 'interContainer' | 'masquerade' | 'hostBindingAddress'> {
  const hostBindingAddress = options['com.docker.network.bridge.host_binding_ipv4'] ?? '0.0.0.0';
  if (parseAddress(hostBindingAddress)?.family !== 4) {
    throw new DaemonError(
      'Internal',
      `failed to parse com.docker.network.bridge.host_binding_ipv4 value: ${hostBindingAddress} (invalid ip)`,
    );
  }
  return {
    mtu: mtuOf(options['com.docker.network.driver.mtu']),
    interContainer: flag(options, 'com.docker.network.bridge.enable_icc'),
    masquerade: flag(options, 'com.docker.network.bridge.enable_ip_masquerade'),
    hostBindingAddress,
  };
}

function mtuOf(text: string | undefined): number {
  if (text === undefined || text === '' || text === '0') return 1500;
  const mtu = Number(text);
  if (!/^\d+$/.test(text)) {
    throw new DaemonError(
      'Internal',
      `failed to parse com.docker.network.driver.mtu value: ${text} (strconv.Atoi: parsing "${text}": invalid syntax)`,
    );
  }
  // below 1280 there is no IPv6; above, virtio-net and the bridge have no more
  if (mtu < 68 || mtu > 65535) throw new DaemonError('Internal', `invalid MTU: ${text}`);
  return mtu;
}

function flag(options: Record<string, string>, name: string): boolean {
  const text = options[name];
  if (text === undefined || ['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false;
  throw new DaemonError(
    'Internal',
    `failed to parse ${name} value: ${text} (strconv.ParseBool: parsing "${text}": invalid syntax)`,
  );
}

type WantedConfig = NonNullable<NonNullable<NetworkCreateRequest['ipam']>['config']>[number];

function checkedConfig(config: WantedConfig): NetworkIpamConfig {
  const text = config.subnet ?? '';
  const subnet = parseSubnet(text);
  if (subnet === undefined)
    throw new DaemonError('Internal', `Invalid subnet ${text} : invalid CIDR address: ${text}`);
  const result: NetworkIpamConfig = { subnet: text };
  if (config.ipRange !== undefined && config.ipRange !== '') {
    const range = parseSubnet(config.ipRange);
    if (range === undefined || !containsSubnet(subnet, range)) {
      throw new DaemonError(
        'InvalidParameter',
        `invalid ip-range ${config.ipRange}: not in subnet ${formatSubnet(subnet)}`,
      );
    }
    result.ipRange = config.ipRange;
  }
  if (config.gateway !== undefined && config.gateway !== '') result.gateway = config.gateway;
  if (config.auxiliaryAddresses !== undefined && Object.keys(config.auxiliaryAddresses).length > 0) {
    result.auxiliaryAddresses = config.auxiliaryAddresses;
  }
  return result;
}

/** The subnets of a family that the plan names. Throws Docker's error if one overlaps `taken` or another of them. */
function subnetsOf(plan: NetworkPlan, family: IpFamily, taken: readonly Subnet[]): NetworkIpamConfig[] {
  const inUse = [...taken, ...reservedSubnets];
  const found = plan.subnets.filter((config) => {
    const subnet = parseSubnet(config.subnet);
    if (subnet?.family !== family) return false;
    if (inUse.some((other) => overlaps(other, subnet))) {
      throw new DaemonError('Forbidden', 'Pool overlaps with other one on this address space');
    }
    inUse.push(subnet);
    return true;
  });
  if (found.length > 1) throw new DaemonError('Forbidden', "bridge driver doesn't support multiple subnets");
  return found;
}

/** `bridge`, `host` and `none`, which exist from the first start on. */
function predefinedPlan(name: 'bridge' | 'host' | 'none', defaults?: BridgeDefaults): NetworkPlan {
  const defaultBridge = name === 'bridge';
  const options: Record<string, string> = defaultBridge
    ? {
        'com.docker.network.bridge.default_bridge': 'true',
        'com.docker.network.bridge.enable_icc': String(defaults?.interContainer ?? true),
        'com.docker.network.bridge.enable_ip_masquerade': 'true',
        'com.docker.network.bridge.host_binding_ipv4': defaults?.hostBindingAddress ?? '0.0.0.0',
        'com.docker.network.bridge.name': 'docker0',
        'com.docker.network.driver.mtu': String(defaults?.mtu ?? 1500),
      }
    : {};
  return {
    ...bridgeOptions(options),
    name,
    driver: name === 'none' ? 'null' : name,
    internal: false,
    attachable: false,
    enableIpv6: false,
    labels: {},
    options,
    ipamOptions: null,
    // fixed, so that containers find the host at an address one can know
    subnets: defaultBridge ? [defaultBridgeConfig(defaults)] : [],
    defaultBridge,
  };
}

/** Of the daemon's options. */
export interface BridgeDefaults {
  /** `10.1.0.1/24`: the gateway's address and the subnet's prefix length. */
  bridgeAddress?: string | undefined;
  /** Where addresses are chosen from. */
  fixedCidr?: string | undefined;
  mtu: number;
  interContainer: boolean;
  hostBindingAddress: string;
}

function defaultBridgeConfig(defaults: BridgeDefaults | undefined): NetworkIpamConfig {
  const [gateway, prefix] = defaults?.bridgeAddress?.split('/') ?? [];
  const ipRange = defaults?.fixedCidr;
  if (gateway === undefined || prefix === undefined) {
    return checkedConfig({ subnet: '172.17.0.0/16', ...(ipRange === undefined ? {} : { ipRange }) });
  }
  const subnet = parseSubnet(maskedSubnet(gateway, Number(prefix)));
  if (subnet === undefined) throw new DaemonError('InvalidParameter', `invalid bip: ${gateway}/${prefix}`);
  return checkedConfig({
    subnet: formatSubnet(subnet),
    gateway,
    ...(ipRange === undefined ? {} : { ipRange }),
  });
}

/** The IPv4 subnet that an address lies in. */
function maskedSubnet(address: string, prefixLength: number): string {
  const value = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - prefixLength);
  const base = Math.floor(value / size) * size;
  return `${[24, 16, 8, 0].map((shift) => Math.floor(base / 2 ** shift) % 256).join('.')}/${prefixLength}`;
}

/** Whether the network is what the plan would make of it. */
function isAsPlanned(record: NetworkRecord, plan: NetworkPlan): boolean {
  const [wanted] = plan.subnets;
  const [known] = record.ipam;
  if (wanted === undefined || known === undefined) return true;
  return (
    JSON.stringify(record.options) === JSON.stringify(plan.options) &&
    known.subnet === wanted.subnet &&
    known.ipRange === wanted.ipRange &&
    (wanted.gateway === undefined || known.gateway === wanted.gateway)
  );
}

export const planNetwork = { fromRequest: planOf, subnetsOf, predefined: predefinedPlan, isAsPlanned };
