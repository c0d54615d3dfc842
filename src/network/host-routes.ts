// Subnets that the host itself reaches: not to be chosen for a container network, since containers would then not reach
// them. Read only; the host's network is never changed.

import { readFileSync } from 'node:fs';

import type { Subnet } from './addresses/addresses';

/** IPv4 routes of /proc/net/route except the default route, and those by one interface. Empty if there is no such file. */
export function hostSubnets(exceptBy?: string): Subnet[] {
  try {
    return parseRoutes(readFileSync('/proc/net/route', 'utf8'), exceptBy);
  } catch {
    return [];
  }
}

/** `text` is /proc/net/route: hexadecimal numbers in the byte order of the host (little-endian here). */
export function parseRoutes(text: string, exceptBy?: string): Subnet[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line): Subnet[] => {
      const fields = line.trim().split(/\s+/);
      const [by, destination, , , , , , mask] = fields;
      if (destination === undefined || mask === undefined || by === exceptBy) return [];
      const prefixLength = ones(littleEndian(mask));
      return prefixLength === 0 ? [] : [{ family: 4, base: littleEndian(destination), prefixLength }];
    });
}

function littleEndian(hex: string): bigint {
  return BigInt(`0x${(hex.match(/../g) ?? ['0']).reverse().join('')}`);
}

function ones(value: bigint): number {
  return value.toString(2).replaceAll('0', '').length;
}
