// The way out of the private namespace: slirp4netns, and what it calls the outside.

import { networkInterfaces } from 'node:os';

import { parseSubnet } from './addresses';

/** The device that slirp4netns makes. */
export const egressDevice = 'egress0';
/** Of the block for benchmarks (RFC 2544): no container network and no network of the host should ever overlap it. */
export const egressSubnet = '198.19.255.0/24';
/** Cannot be chosen. */
export const egressSubnet6 = 'fd00::/64';
/** slirp's name server: the first of the host's resolv.conf, also one on the host's loopback. */
export const egressNameServer = '198.19.255.3';
/** slirp's own address of the host's 127.0.0.1. */
const slirpHostAddress = '198.19.255.2';

/** No container network may overlap these: the namespace itself uses them. */
export const reservedSubnets = [egressSubnet, egressSubnet6, '127.0.0.0/8'].flatMap(
  (text) => parseSubnet(text) ?? [],
);

export interface EgressOptions {
  slirpBinary: string;
  /** True: the gateway address leads to the host's loopback. False, as with Docker: to what listens on all addresses. */
  hostLoopback: boolean;
}

/** The command line, without what netd-host adds. */
export function slirpCommand({ slirpBinary, hostLoopback }: EgressOptions): string[] {
  return [
    slirpBinary,
    '--configure',
    '--mtu=65520',
    `--cidr=${egressSubnet}`,
    '--enable-sandbox',
    '--enable-seccomp',
    ...(hostHasIpv6() ? ['--enable-ipv6'] : []),
    ...(hostLoopback ? [] : ['--disable-host-loopback']),
  ];
}

/** Where the egress reaches services of the host; empty if the host has no address but its loopback's. */
export function hostServiceAddress({ hostLoopback }: EgressOptions): string {
  if (hostLoopback) return slirpHostAddress;
  for (const addresses of Object.values(networkInterfaces())) {
    const found = addresses?.find((entry) => entry.family === 'IPv4' && !entry.internal);
    if (found !== undefined) return found.address;
  }
  return '';
}

function hostHasIpv6(): boolean {
  return Object.values(networkInterfaces()).some((addresses) =>
    addresses?.some(
      (entry) => entry.family === 'IPv6' && !entry.internal && !entry.address.startsWith('fe80'),
    ),
  );
}
