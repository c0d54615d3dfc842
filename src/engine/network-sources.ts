// Networks that are configurations for others, and networks that depend on one.

import type { NetworkCreateBody } from '../api/v1.41/types';
import { DaemonError } from '../errors';
import type { NetworkManager } from '../network/network';

/** Throws Docker's refusals, in its order; and one of our own for a network that would depend on a configuration. */
export function requireNoSource(
  body: NetworkCreateBody,
  networks: Pick<NetworkManager, 'list' | 'inspect'>,
): void {
  const source = body.ConfigFrom?.Network ?? '';
  if (body.ConfigOnly === true) {
    if (source !== '')
      throw forbidden('a configuration network cannot depend on another configuration network');
    requireNoOperatorFields(body);
  }
  if (source === '') return;
  if ((body.IPAM?.Config ?? []).length > 0 || body.EnableIPv6 === true || isFilled(body.Labels)) {
    throw forbidden(
      'user specified configurations are not supported if the network depends on a configuration network',
    );
  }
  if (isFilled(body.Options)) {
    throw forbidden(
      'network driver options are not supported if the network depends on a configuration network',
    );
  }
  const exists = networks
    .list()
    .some(({ id, name }) => name === source && networks.inspect(id).configOnly === true);
  if (!exists) throw new DaemonError('NotFound', `configuration network "${source}" does not exist`);
  throw new DaemonError(
    'NotImplemented',
    `network ${body.Name ?? ''} cannot take its configuration from another network: give it the options themselves`,
  );
}

function requireNoOperatorFields({ Internal, Attachable, Ingress, Scope }: NetworkCreateBody): void {
  const isDefault = Internal !== true && Attachable !== true && Ingress !== true && (Scope ?? '') === '';
  if (isDefault) return;
  throw forbidden(
    'configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.',
  );
}

function isFilled(map: object | null | undefined): boolean {
  return Object.keys(map ?? {}).length > 0;
}

function forbidden(message: string): DaemonError {
  return new DaemonError('Forbidden', message);
}
