// addresses/: what daemon and netd both know of addresses, and of each other.
//
// IP addresses and subnets as numbers: parsing, formatting and the arithmetic that IPAM and the rules need.

import { isIPv4, isIPv6 } from 'node:net';

export type IpFamily = 4 | 6;

export interface IpAddress {
  readonly family: IpFamily;
  readonly value: bigint;
}

/** A subnet (`address` masked) with its prefix length. */
export interface Subnet {
  readonly family: IpFamily;
  /** Lowest address of the subnet. */
  readonly base: bigint;
  readonly prefixLength: number;
}

export function addressBits(family: IpFamily): number {
  return family === 4 ? 32 : 128;
}

/** Undefined if `text` is no IPv4 or IPv6 address (zones are none). An IPv4 address in an IPv6 one is of IPv4, as in Go. */
export function parseAddress(text: string): IpAddress | undefined {
  if (isIPv4(text)) return { family: 4, value: parseIpv4(text) };
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const value = parseIpv6(text);
  return value >> 32n === 0xffffn ? { family: 4, value: value & 0xffffffffn } : { family: 6, value };
}

function parseIpv4(text: string): bigint {
  return text.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
}

function parseIpv6(text: string): bigint {
  // an embedded dotted quad stands for two groups
  const plain = text.replace(/(\d+\.){3}\d+$/, (quad) => {
    const value = parseIpv4(quad);
    return `${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`;
  });
  const [head = '', tail] = plain.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const zeros = Array<string>(8 - before.length - after.length).fill('0');
  return [...before, ...zeros, ...after].reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}

/** RFC 5952 for IPv6. */
export function formatAddress(address: IpAddress): string {
  if (address.family === 4) {
    return [24n, 16n, 8n, 0n].map((shift) => ((address.value >> shift) & 0xffn).toString()).join('.');
  }
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((address.value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16),
  );
  const zeroRun = longestZeroRun(groups);
  if (zeroRun.length < 2) return groups.join(':');
  const before = groups.slice(0, zeroRun.start).join(':');
  const after = groups.slice(zeroRun.start + zeroRun.length).join(':');
  return `${before}::${after}`;
}

function longestZeroRun(groups: readonly string[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === '0') length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}

/** Parses `10.1.0.0/16`; host bits are masked away. Undefined if it is malformed. */
export function parseSubnet(text: string): Subnet | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const address = match?.[1] === undefined ? undefined : parseAddress(match[1]);
  const prefixLength = Number(match?.[2]);
  if (address === undefined || prefixLength > addressBits(address.family)) return undefined;
  return subnetOf(address, prefixLength);
}

/** The subnet of this prefix length that contains the address. */
export function subnetOf(address: IpAddress, prefixLength: number): Subnet {
  const hostBits = BigInt(addressBits(address.family) - prefixLength);
  return { family: address.family, base: (address.value >> hostBits) << hostBits, prefixLength };
}

export function formatSubnet(subnet: Subnet): string {
  return `${formatAddress({ family: subnet.family, value: subnet.base })}/${subnet.prefixLength}`;
}

/** Highest address of the subnet. */
export function lastValue(subnet: Subnet): bigint {
  return subnet.base + (1n << BigInt(addressBits(subnet.family) - subnet.prefixLength)) - 1n;
}

export function contains(subnet: Subnet, address: IpAddress): boolean {
  return (
    subnet.family === address.family && address.value >= subnet.base && address.value <= lastValue(subnet)
  );
}

/** True if `inner` lies wholly in `outer`. */
export function containsSubnet(outer: Subnet, inner: Subnet): boolean {
  return outer.family === inner.family && inner.base >= outer.base && lastValue(inner) <= lastValue(outer);
}

/** RFC 3927, RFC 4291. */
const linkLocalSubnets = ['169.254.0.0/16', 'fe80::/10'].flatMap((text) => parseSubnet(text) ?? []);

export function isLinkLocal(address: IpAddress): boolean {
  return linkLocalSubnets.some((subnet) => contains(subnet, address));
}

/** RFC 4291, 2.7; RFC 5771. */
export function isMulticast({ family, value }: IpAddress): boolean {
  return family === 6 ? value >> 120n === 0xffn : value >> 28n === 0xen;
}

export function overlaps(first: Subnet, second: Subnet): boolean {
  return first.family === second.family && first.base <= lastValue(second) && second.base <= lastValue(first);
}

/** Docker's MAC address of an IPv4 address: 02:42 and its four bytes. */
export function macOfIpv4(address: IpAddress): string {
  const bytes = [24n, 16n, 8n, 0n].map((shift) => Number((address.value >> shift) & 0xffn));
  return formatMac([0x02, 0x42, ...bytes]);
}

export function formatMac(bytes: readonly number[]): string {
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** Lower case with colons; undefined for anything but six bytes of a unicast address. */
export function parseMac(text: string): string | undefined {
  if (!/^[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}$/i.test(text)) return undefined;
  const mac = text.toLowerCase().replaceAll('-', ':');
  const multicast = (parseInt(mac.slice(0, 2), 16) & 1) === 1;
  return multicast || mac === '00:00:00:00:00:00' ? undefined : mac;
}

/** The IPv6 link-local address that Linux derives from a MAC address (EUI-64, RFC 4291 appendix A). */
export function linkLocalOfMac(mac: string): IpAddress {
  const bytes = mac.split(':').map((part) => BigInt(`0x${part}`));
  const [first = 0n, ...rest] = bytes;
  const eui = [first ^ 2n, ...rest.slice(0, 2), 0xffn, 0xfen, ...rest.slice(2)];
  const suffix = eui.reduce((sum, byte) => (sum << 8n) | byte, 0n);
  return { family: 6, value: (0xfe80n << 112n) | suffix };
}

/** `4.3.2.1.in-addr.arpa` (lower case, no final dot) to an address; undefined for other names. */
export function addressOfReverseName(name: string): IpAddress | undefined {
  const v4 = /^((?:\d{1,3}\.){4})in-addr\.arpa$/.exec(name)?.[1];
  if (v4 !== undefined) return parseAddress(v4.split('.').slice(0, 4).reverse().join('.'));
  const v6 = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name)?.[1];
  if (v6 === undefined) return undefined;
  return { family: 6, value: BigInt(`0x${v6.replaceAll('.', '').split('').reverse().join('')}`) };
}
