// The way out of the private namespace: slirp4netns, and what it calls the outside.

import { networkInterfaces } from 'node:os';

import { parseSubnet } from './addresses/addresses';
import { isHostLeg } from './host-leg';

/** The device that slirp4netns makes. */
export const egressDevice = 'egress0';
/** Of the block for benchmarks (RFC 2544): no container network and no network of the host should ever overlap it. */
export const egressSubnet = '198.19.255.0/24';
/** Cannot be chosen. */
export const egressSubnet6 = 'fd00::/64';
/** slirp's name server: the first of the host's resolv.conf, also one on the host's loopback. */
export const egressNameServer = '198.19.255.3';

/** Where slirp leads to the host's 127.0.0.1. The rules let nobody there but endpoints of containers on the host's network. */
export const egressHostLoopback = '198.19.255.2';
/** The same of ::1, where nobody is let. */
export const egressHostLoopback6 = 'fd00::2';

/** No container network may overlap these: the namespace itself uses them. */
export const reservedSubnets = [egressSubnet, egressSubnet6, '127.0.0.0/8'].flatMap(
  (text) => parseSubnet(text) ?? [],
);

/** Of slirp4netns: it does not lead to the host's loopback at all. */
export const withoutHostLoopback = '--disable-host-loopback';

/** The command line, without what netd-host adds. `hostLoopback`: whether anybody at all may reach the host's loopback. */
export function slirpCommand(slirpBinary: string, hostLoopback: boolean): string[] {
  return [
    slirpBinary,
    '--configure',
    '--mtu=65520',
    `--cidr=${egressSubnet}`,
    '--enable-sandbox',
    '--enable-seccomp',
    ...(hostLoopback ? [] : [withoutHostLoopback]),
    ...(hostHasIpv6() ? ['--enable-ipv6'] : []),
  ];
}

/**
 * Where the egress reaches what listens on all of the host's addresses; empty if there is none but the loopback's, which
 * guests do not reach.
 */
export function hostServiceAddress(): string {
  return hostServiceInterface().address;
}

/** The same with the interface that has it; no name where that is the loopback device. */
export function hostServiceInterface(): { name: string; address: string } {
  const usable = Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    (isHostLeg(name) ? [] : addresses)
      .filter(({ family, address }) => family === 'IPv4' && !address.startsWith('127.'))
      .map(({ address, internal }) => ({ name, address, internal })),
  );
  // a host may have an address of its own on the loopback device as well
  const found = usable.find(({ internal }) => !internal) ?? usable[0];
  if (found === undefined) return { name: '', address: '' };
  return { name: found.internal ? '' : found.name, address: found.address };
}

function hostHasIpv6(): boolean {
  return Object.values(networkInterfaces()).some((addresses) =>
    addresses?.some(
      (entry) => entry.family === 'IPv6' && !entry.internal && !entry.address.startsWith('fe80'),
    ),
  );
}
