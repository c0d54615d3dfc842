// What Docker refuses when a container is to join a network, in its order and words.

import type { EndpointSettings } from '../../docker/types';
import { DaemonError } from '../../errors';
import type { NetworkDetails } from '../../network/network';
import type { ContainerRecord } from '../containers/container-record';

const predefined: readonly string[] = ['bridge', 'host', 'none'];

export function isUserDefined(networkName: string): boolean {
  return !predefined.includes(networkName);
}

/** Throws Docker's refusals of the settings, whatever else the container is on. */
export function requireValidEndpoint(network: NetworkDetails, requested: EndpointSettings): void {
  requireWantedOf(network.name, requested);
  const ipv4 = requested.IPAMConfig?.IPv4Address ?? '';
  const ipv6 = requested.IPAMConfig?.IPv6Address ?? '';
  const hasIpv6Subnet = network.ipam.some(({ subnet }) => subnet.includes(':'));
  // Subnets of IPv6 are always the user's: there are no defaults.
  if ((ipv4 !== '' && !network.userSubnet) || (ipv6 !== '' && !hasIpv6Subnet)) {
    throw refusal(
      'user specified IP address is supported only when connecting to networks with user configured subnets',
    );
  }
}

/** Throws Docker's refusals of what only networks of the user have. */
export function requireWantedOf(networkName: string, { IPAMConfig, Aliases }: EndpointSettings): void {
  if (isUserDefined(networkName)) return;
  if ((IPAMConfig?.IPv4Address ?? '') !== '' || (IPAMConfig?.IPv6Address ?? '') !== '')
    throw refusal('user specified IP address is supported on user defined networks only');
  if ((Aliases ?? []).length > 0)
    throw refusal('network-scoped alias is supported only for containers in user defined networks');
}

/** Throws if the container may not be on this network beside those it has. Of those, ones that do not exist don't count. */
export function requireConnectable(
  record: ContainerRecord,
  network: NetworkDetails,
  exists: (name: string) => boolean,
): void {
  const mode = record.hostConfig.NetworkMode;
  if (mode.startsWith('container:')) throw sharedNetwork();
  if (mode !== 'host' && network.driver === 'host') throw hostNetwork();
  for (const name of Object.keys(record.networks)) {
    if (name === network.name) return;
    if (name === 'host' || network.driver === 'host') throw sharedNetwork();
    if (exists(name) && (name === 'none' || network.name === 'none')) {
      throw refusal(
        'container cannot be connected to multiple networks with one of the networks in private (none) mode',
      );
    }
  }
}

export function hostNetwork(): DaemonError {
  return refusal('container cannot be disconnected from host network or connected to host network');
}

export function sharedNetwork(): DaemonError {
  return refusal(
    'container sharing network namespace with another container or host cannot be connected to any other network',
  );
}

function refusal(message: string): DaemonError {
  return new DaemonError('InvalidParameter', message);
}
