// What a client asks for when it creates a network, checked, in Docker's order and words. Pure.

import { DaemonError } from '../errors';
import { containsSubnet, formatSubnet, parseSubnet } from './addresses/addresses';
import type { NetworkCreateRequest, NetworkIpamConfig } from './network';
import type { NetworkPlan, NetworkRecord } from './network-record';
import { withSource } from './network-sources';

const predefined = ['bridge', 'host', 'none', 'default'];

/** `known`: the networks that there are. */
function planOf(wanted: NetworkCreateRequest, known: readonly NetworkRecord[] = []): NetworkPlan {
  if (predefined.includes(wanted.name)) {
    throw new DaemonError('Forbidden', `operation is not permitted on predefined ${wanted.name} network `);
  }
  if (wanted.checkDuplicate === true && known.some(({ name }) => name === wanted.name)) {
    throw new DaemonError('Conflict', `network with name ${wanted.name} already exists`);
  }
  const subnets = (wanted.ipam?.config ?? []).map(withValidSubnet);
  if (wanted.name.trim() === '') throw new DaemonError('Internal', `invalid name: ${wanted.name}`);
  const plan: NetworkPlan = {
    name: wanted.name,
    driver: 'null',
    scope: wanted.scope ?? '',
    internal: wanted.internal ?? false,
    attachable: wanted.attachable ?? false,
    ...(wanted.configOnly === true ? { configOnly: true } : {}),
    enableIpv6: wanted.enableIpv6 ?? false,
    labels: wanted.labels ?? {},
    options: wanted.options ?? {},
    ipamDriver:
      wanted.ipam?.driver === undefined || wanted.ipam.driver === '' ? 'default' : wanted.ipam.driver,
    ipamOptions: wanted.ipam?.options ?? null,
    subnets,
    defaultBridge: false,
  };
  return withSource(plan, wanted, known, () => requireDriver(wanted));
}

/** Throws Docker's refusals of driver and scope. */
function requireDriver({ driver = '', scope = '', ingress }: NetworkCreateRequest): NetworkPlan['driver'] {
  const known = driverOf(driver);
  if (ingress === true)
    throw new DaemonError('Forbidden', 'Ingress network can only be global scope network');
  if (scope === 'swarm') {
    throw new DaemonError('Forbidden', 'cannot create a swarm scoped network when swarm is not active');
  }
  if (known === 'host' || known === 'null') {
    throw new DaemonError('Forbidden', `only one instance of "${known}" network is allowed`);
  }
  return known;
}

function driverOf(driver: string): NetworkPlan['driver'] {
  switch (driver) {
    case '':
    case 'bridge':
      return 'bridge';
    case 'host':
    case 'null':
    case 'macvlan':
    case 'ipvlan':
    case 'overlay':
      return driver;
    default:
      throw new DaemonError('NotFound', `plugin "${driver}" not found`);
  }
}

/** Throws Docker's refusals that come after the addresses were found. */
function requireCreatable({ driver, scope }: NetworkPlan): void {
  if (driver === 'macvlan' || driver === 'ipvlan') {
    throw new DaemonError(
      'NotImplemented',
      `${driver} networks are not available: networks are in a namespace of the engine's own, which the host's interfaces are ` +
        'kept out of; a bridge network with published ports is',
    );
  }
  if (driver !== 'overlay' && (scope === '' || scope === 'local')) return;
  throw new DaemonError(
    'Internal',
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
  );
}

type WantedConfig = NonNullable<NonNullable<NetworkCreateRequest['ipam']>['config']>[number];

function withValidSubnet(config: WantedConfig): NetworkIpamConfig {
  const text = config.subnet ?? '';
  if (parseSubnet(text) === undefined)
    throw new DaemonError('Internal', `Invalid subnet ${text} : invalid CIDR address: ${text}`);
  const result: NetworkIpamConfig = { subnet: text };
  if (config.ipRange !== undefined && config.ipRange !== '') result.ipRange = config.ipRange;
  if (config.gateway !== undefined && config.gateway !== '') result.gateway = config.gateway;
  if (config.auxiliaryAddresses !== undefined && Object.keys(config.auxiliaryAddresses).length > 0) {
    result.auxiliaryAddresses = config.auxiliaryAddresses;
  }
  return result;
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
    name,
    driver: name === 'none' ? 'null' : name,
    scope: '',
    internal: false,
    attachable: false,
    enableIpv6: false,
    labels: {},
    options,
    ipamDriver: 'default',
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
    return defaultConfig({ subnet: '172.17.0.0/16', ...(ipRange === undefined ? {} : { ipRange }) });
  }
  const subnet = parseSubnet(maskedSubnet(gateway, Number(prefix)));
  if (subnet === undefined) throw new DaemonError('InvalidParameter', `invalid bip: ${gateway}/${prefix}`);
  return defaultConfig({
    subnet: formatSubnet(subnet),
    gateway,
    ...(ipRange === undefined ? {} : { ipRange }),
  });
}

function defaultConfig(config: WantedConfig): NetworkIpamConfig {
  const checked = withValidSubnet(config);
  const subnet = parseSubnet(checked.subnet);
  const range = checked.ipRange === undefined ? undefined : parseSubnet(checked.ipRange);
  if (
    checked.ipRange !== undefined &&
    (subnet === undefined || range === undefined || !containsSubnet(subnet, range))
  ) {
    throw new DaemonError(
      'InvalidParameter',
      `invalid ip-range ${checked.ipRange}: not in subnet ${checked.subnet}`,
    );
  }
  return checked;
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

export const planNetwork = { fromRequest: planOf, requireCreatable, predefined: predefinedPlan, isAsPlanned };
