// Addresses of one subnet, and the choice of a subnet for a network. Pure: what is in use is told by the records, so
// nothing here has to be persisted and a crash cannot make it disagree with them.

import { DaemonError } from '../../errors';
import { addressBits, contains, lastValue, overlaps, parseSubnet } from './addresses';
import type { IpAddress, Subnet } from './addresses';

/** A pool is cut into networks of `size` (a prefix length). */
export interface AddressPoolSpec {
  base: string;
  size: number;
}

/** What dockerd's default local address space is made of. */
const defaultPools: readonly AddressPoolSpec[] = [
  { base: '172.17.0.0/16', size: 16 },
  { base: '172.18.0.0/16', size: 16 },
  { base: '172.19.0.0/16', size: 16 },
  { base: '172.20.0.0/14', size: 16 },
  { base: '172.24.0.0/14', size: 16 },
  { base: '172.28.0.0/14', size: 16 },
  { base: '192.168.0.0/16', size: 20 },
];
/** Of one pool: `10.0.0.0/8` cut into /30 has millions, and nobody has as many networks. */
const mostSubnets = 65_536;

/** Every subnet of the pools, in the order in which dockerd gives them out. */
export function defaultSubnets(pools: readonly AddressPoolSpec[] = defaultPools): Subnet[] {
  return pools.flatMap(({ base, size }) => {
    const whole = mustParse(base);
    const count = Math.min(2 ** (size - whole.prefixLength), mostSubnets);
    const step = 1n << BigInt(addressBits(whole.family) - size);
    return Array.from({ length: count }, (_, index) => ({
      family: whole.family,
      base: whole.base + BigInt(index) * step,
      prefixLength: size,
    }));
  });
}

function mustParse(text: string): Subnet {
  const subnet = parseSubnet(text);
  if (subnet === undefined) throw new Error(`not a subnet: ${text}`);
  return subnet;
}

/**
 * Gives out default subnets. Goes on after the one it gave last, as dockerd does, so that a subnet that was just freed
 * is not used again at once.
 */
export class SubnetChooser {
  readonly #subnets: readonly Subnet[];
  #next = 0;

  /** No pools: dockerd's. */
  constructor(pools: readonly AddressPoolSpec[] = []) {
    this.#subnets = defaultSubnets(pools.length > 0 ? pools : defaultPools);
  }

  /** A subnet that overlaps none of `taken`; undefined if there is none left. */
  choose(taken: readonly Subnet[]): Subnet | undefined {
    for (let tried = 0; tried < this.#subnets.length; tried++) {
      const index = (this.#next + tried) % this.#subnets.length;
      const candidate = this.#subnets[index];
      if (candidate === undefined || taken.some((other) => overlaps(candidate, other))) continue;
      this.#next = index + 1;
      return candidate;
    }
    return undefined;
  }
}

/**
 * What `ipRange` leaves to choose from. Of an `ipRange` elsewhere the part behind the subnet's prefix counts, as dockerd has
 * it: 10.9.0.64/26 is the same in 10.1.0.0/24 as 10.1.0.64/26. Throws Docker's error if it is none.
 */
export function rangeOf(
  subnet: Subnet,
  { subnet: text, ipRange }: { subnet: string; ipRange?: string },
): AddressRange {
  if (ipRange === undefined) return { first: subnet.base, last: lastValue(subnet) };
  const range = parseSubnet(ipRange);
  if (range?.family !== subnet.family) {
    const reason =
      range === undefined
        ? 'Invalid Address SubPool'
        : `failed to compute range's lowest ip address: cannot compute host portion ip address because ip and mask are not compatible`;
    throw new DaemonError(
      'Internal',
      `failed to parse pool request for address space "LocalDefault" pool "${text}" subpool "${ipRange}": ${reason}`,
    );
  }
  const hostPart = (value: bigint): bigint => subnet.base + (value & (lastValue(subnet) - subnet.base));
  return { first: hostPart(range.base), last: hostPart(lastValue(range)) };
}

/** Addresses as numbers, both ends belonging to it. */
export interface AddressRange {
  first: bigint;
  last: bigint;
}

export type AllocationFailure = 'in-use' | 'out-of-range' | 'exhausted';

/** The addresses of one subnet. Gives the lowest free one, as dockerd does. */
export class AddressPool {
  readonly subnet: Subnet;
  readonly #first: bigint;
  readonly #last: bigint;
  readonly #used = new Set<bigint>();
  /** Never given to anyone, as by dockerd: the first address, and the last of IPv4. */
  readonly #edges = new Set<bigint>();
  /** No address of the range below this one is free. */
  #lowest: bigint;

  /** `range`, if given, lies in `subnet` and limits what is chosen; wanted addresses may lie outside of it. */
  constructor(subnet: Subnet, range: AddressRange = { first: subnet.base, last: lastValue(subnet) }) {
    this.subnet = subnet;
    this.#first = range.first;
    this.#last = range.last;
    this.#lowest = this.#first;
    this.#edges.add(subnet.base);
    if (subnet.family === 4) this.#edges.add(lastValue(subnet));
  }

  /** Takes a certain address. */
  take(address: IpAddress): AllocationFailure | undefined {
    if (!contains(this.subnet, address)) return 'out-of-range';
    // As dockerd, which looks for any room before it looks at the address.
    if (this.#isFull()) return 'exhausted';
    if (this.isUsed(address)) return 'in-use';
    this.#used.add(address.value);
    return undefined;
  }

  /** Takes the lowest free address of the range. */
  takeAny(): IpAddress | 'exhausted' {
    let value = this.#lowest;
    while (value <= this.#last && this.isUsed({ family: this.subnet.family, value })) value++;
    this.#lowest = value;
    if (value > this.#last) return 'exhausted';
    this.#used.add(value);
    return { family: this.subnet.family, value };
  }

  /** Idempotent. */
  release(address: IpAddress): void {
    if (!this.#used.delete(address.value)) return;
    if (address.value >= this.#first && address.value < this.#lowest) this.#lowest = address.value;
  }

  #isFull(): boolean {
    const size = 1n << BigInt(addressBits(this.subnet.family) - this.subnet.prefixLength);
    return BigInt(this.#used.size + this.#edges.size) >= size;
  }

  isUsed(address: IpAddress): boolean {
    return this.#used.has(address.value) || this.#edges.has(address.value);
  }
}
