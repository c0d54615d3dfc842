// The way out of the private namespace: slirp4netns, and what it calls the outside.

import { networkInterfaces } from 'node:os';

import { parseSubnet } from './addresses/addresses';

/** The device that slirp4netns makes. */
export const egressDevice = 'egress0';
/** Of the block for benchmarks (RFC 2544): no container network and no network of the host should ever overlap it. */
export const egressSubnet = '198.19.255.0/24';
/** Cannot be chosen. */
export const egressSubnet6 = 'fd00::/64';
/** slirp's name server: the first of the host's resolv.conf, also one on the host's loopback. */
export const egressNameServer = '198.19.255.3';

/** No container network may overlap these: the namespace itself uses them. */
export const reservedSubnets = [egressSubnet, egressSubnet6, '127.0.0.0/8'].flatMap(
  (text) => parseSubnet(text) ?? [],
);

/** The command line, without what netd-host adds. */
export function slirpCommand(slirpBinary: string): string[] {
  return [
    slirpBinary,
    '--configure',
    '--mtu=65520',
    `--cidr=${egressSubnet}`,
    '--enable-sandbox',
    '--enable-seccomp',
    '--disable-host-loopback',
    ...(hostHasIpv6() ? ['--enable-ipv6'] : []),
  ];
}

/**
 * Where the egress reaches what listens on all of the host's addresses; empty if there is none but the loopback's, which
 * guests do not reach.
 */
export function hostServiceAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const usable = all.filter(({ family, address }) => family === 'IPv4' && !address.startsWith('127.'));
  // a host may have an address of its own on the loopback device as well
  return (usable.find(({ internal }) => !internal) ?? usable[0])?.address ?? '';
}

function hostHasIpv6(): boolean {
  return Object.values(networkInterfaces()).some((addresses) =>
    addresses?.some(
      (entry) => entry.family === 'IPv6' && !entry.internal && !entry.address.startsWith('fe80'),
    ),
  );
}
