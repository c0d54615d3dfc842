// What addresses a new network has: its subnets, gateways and auxiliary addresses, in the order and with the errors of
// dockerd's IPAM.

import { DaemonError } from '../errors';
import {
  contains,
  formatAddress,
  formatSubnet,
  isMulticast,
  overlaps,
  parseAddress,
  parseSubnet,
} from './addresses/addresses';
import type { IpFamily, Subnet } from './addresses/addresses';
import { bridgeNameOption } from './bridge-options';
import { reservedSubnets } from './egress';
import { AddressPool, rangeOf } from './addresses/ipam';
import type { SubnetChooser } from './addresses/ipam';
import type { NetworkIpamConfig } from './network';
import type { NetworkRecord, NetworkPlan } from './network-record';

export interface AddressSpace {
  /** Subnets of the networks that there are. */
  taken: readonly Subnet[];
  /** Not to be chosen, though a user may ask for them. */
  avoided: readonly Subnet[];
  chooser: SubnetChooser;
}

/** Throws Docker's error if one of them overlaps another, or an address in them cannot be had. */
export function poolsFor(plan: NetworkPlan, space: AddressSpace): NetworkIpamConfig[] {
  requireIpamDriver(plan);
  const taken = [...space.taken];
  const families = plan.enableIpv6 ? ([4, 6] as const) : ([4] as const);
  return families.flatMap((family) => {
    const wanted = plan.subnets.filter(({ subnet }) => parseSubnet(subnet)?.family === family);
    if (wanted.length === 0) return [chosenPool(family, taken, space)];
    return wanted.map((config) => wantedPool(plan, config, { taken, reserved: reservedSubnets }));
  });
}

/** Throws Docker's refusals of what is wrong by itself, whatever other networks there are. */
export function requireValidPools(plan: NetworkPlan): void {
  requireIpamDriver(plan);
  const used = plan.subnets.filter((config) => plan.enableIpv6 || parseSubnet(config.subnet)?.family === 4);
  const taken: Subnet[] = [];
  requireOneSubnet(used.map((config) => wantedPool(plan, config, { taken, reserved: [] })));
}

/** Docker's bridges have one subnet of each family. */
export function requireOneSubnet(pools: readonly NetworkIpamConfig[]): void {
  const sixes = pools.filter(({ subnet }) => parseSubnet(subnet)?.family === 6);
  if (sixes.length > 1 || pools.length - sixes.length > 1)
    throw new DaemonError('Forbidden', "bridge driver doesn't support multiple subnets");
  for (const { gateway, subnet } of sixes) {
    const address = gateway === undefined ? undefined : parseAddress(gateway);
    if (address === undefined || !isMulticast(address)) continue;
    throw new DaemonError(
      'Internal',
      `failed to add IPv6 address ${formatAddress(address)}/${subnet.split('/')[1] ?? ''} to bridge: cannot assign requested address`,
    );
  }
}

/** Throws Docker's error if another bridge has the same name or addresses. */
export function requireNoConflict(record: NetworkRecord, others: readonly NetworkRecord[]): void {
  for (const other of others.filter(({ driver }) => driver === 'bridge')) {
    const conflict = conflictOf(record, other);
    if (conflict === undefined) continue;
    throw new DaemonError(
      'Forbidden',
      `cannot create network ${record.id} (${shownBridgeName(record)}): conflicts with network ${other.id} (${shownBridgeName(other)}): ${conflict}`,
    );
  }
}

function conflictOf(record: NetworkRecord, other: NetworkRecord): string | undefined {
  if (shownBridgeName(record) === shownBridgeName(other)) return 'networks have same bridge name';
  const subnets = ({ ipam }: NetworkRecord): Subnet[] =>
    ipam.flatMap(({ subnet }) => parseSubnet(subnet) ?? []);
  const found = subnets(record).find((own) => subnets(other).some((its) => overlaps(own, its)));
  return found === undefined ? undefined : `networks have overlapping IPv${found.family}`;
}

/** What dockerd would call the bridge: here its name is the engine's own affair. */
function shownBridgeName({ options, bridgeName }: NetworkRecord): string {
  const wanted = options[bridgeNameOption] ?? '';
  return wanted === '' ? bridgeName : wanted;
}

/** `null`, the other driver that dockerd has built in, gives no addresses, and bridges need some. */
function requireIpamDriver({ ipamDriver, subnets, enableIpv6 }: NetworkPlan): void {
  if (ipamDriver === 'default') return;
  if (ipamDriver !== 'null') throw new DaemonError('NotFound', `plugin "${ipamDriver}" not found`);
  const isWanted = subnets.some(({ subnet }) => parseSubnet(subnet)?.family === 4);
  if (isWanted)
    throw new DaemonError('Internal', 'null ipam driver does not handle specific address pool requests');
  if (enableIpv6)
    throw new DaemonError('Internal', 'null ipam driver does not handle IPv6 address pool pool requests');
  throw new DaemonError('Internal', 'ipv4 pool is empty');
}

function chosenPool(
  family: IpFamily,
  taken: Subnet[],
  { avoided, chooser }: AddressSpace,
): NetworkIpamConfig {
  const chosen = family === 4 ? chooser.choose([...taken, ...reservedSubnets, ...avoided]) : undefined;
  if (chosen === undefined) {
    throw new DaemonError(
      'NotFound',
      `could not find an available, non-overlapping IPv${family} address pool among the defaults to assign to the network`,
    );
  }
  taken.push(chosen);
  const gateway = takeGateway(new AddressPool(chosen), undefined);
  return { subnet: formatSubnet(chosen), gateway };
}

/** Adds the subnet to `taken`. */
function wantedPool(
  plan: NetworkPlan,
  config: NetworkIpamConfig,
  { taken, reserved }: { taken: Subnet[]; reserved: readonly Subnet[] },
): NetworkIpamConfig {
  const subnet = parseSubnet(config.subnet);
  if (subnet === undefined) throw new DaemonError('Internal', `Invalid subnet ${config.subnet}`);
  if (config.gateway !== undefined && parseAddress(config.gateway) === undefined)
    throw new DaemonError('Internal', `invalid gateway address ${config.gateway} in Ipam configuration`);
  const pool = new AddressPool(subnet, rangeOf(subnet, config));
  // Of a subnet with a range dockerd's driver finds it out later, by the gateways: `requireNoConflict`.
  const others = config.ipRange === undefined ? [...taken, ...reserved] : reserved;
  if (others.some((other) => overlaps(other, subnet)))
    throw new DaemonError('Forbidden', 'Pool overlaps with other one on this address space');
  taken.push(subnet);
  const gateway = takeGateway(pool, config.gateway);
  for (const [name, text] of Object.entries(config.auxiliaryAddresses ?? {}))
    takeAuxiliary(plan, pool, name, text);
  // Docker's inspect shows no gateway that was not asked for, except of a subnet that it chose itself.
  const isShown = config.gateway !== undefined || plan.defaultBridge;
  return { ...config, gateway, ...(isShown ? {} : { hideGateway: true }) };
}

function takeGateway(pool: AddressPool, wanted: string | undefined): string {
  const address = wanted === undefined ? undefined : parseAddress(wanted);
  const taken = address === undefined ? pool.takeAny() : (pool.take(address) ?? address);
  if (typeof taken !== 'string') return formatAddress(taken);
  throw new DaemonError('Internal', `failed to allocate gateway (${wanted ?? ''}): ${refusals[taken]}`);
}

function takeAuxiliary(plan: NetworkPlan, pool: AddressPool, name: string, text: string): void {
  const address = parseAddress(text);
  if (address === undefined) {
    throw new DaemonError(
      'Internal',
      `non parsable secondary ip address (${name}:${text}) passed for network ${plan.name}`,
    );
  }
  if (!contains(pool.subnet, address)) {
    throw new DaemonError(
      'Forbidden',
      `auxiliary address: (${name}:${text}) must belong to the master pool: ${formatSubnet(pool.subnet)}`,
    );
  }
  const failure = pool.take(address);
  if (failure === undefined) return;
  throw new DaemonError(
    'Internal',
    `failed to allocate secondary ip address (${name}:${text}): ${refusals[failure]}`,
  );
}

export const refusals = {
  'in-use': 'Address already in use',
  'out-of-range': 'Requested address is out of range',
  exhausted: 'No available addresses on this pool',
} as const;
