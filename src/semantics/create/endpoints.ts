// What a create may say of a container's networks.

import type { EndpointSettings } from '../../docker/types';
import { DaemonError } from '../../errors';
import { parseAddress } from '../../network/addresses/addresses';

/** Throws InvalidParameter in Docker's words. Before API 1.44 a container is created on one network. */
export function requireValidEndpoints(
  endpoints: Readonly<Record<string, EndpointSettings | null>>,
  version: { major: number; minor: number },
): void {
  const names = Object.keys(endpoints);
  const severalAllowed = version.major > 1 || version.minor >= 44;
  if (names.length > 1 && !severalAllowed) {
    throw new DaemonError(
      'InvalidParameter',
      `Container cannot be connected to network endpoints: ${names.join(', ')}`,
    );
  }
  for (const [name, settings] of Object.entries(endpoints)) {
    if (settings === null) throw new DaemonError('InvalidParameter', `no EndpointSettings for ${name}`);
    for (const [member, family] of [
      ['IPv4Address', 4],
      ['IPv6Address', 6],
    ] as const) {
      const address = settings.IPAMConfig?.[member] ?? '';
      if (address !== '' && parseAddress(address)?.family !== family) {
        throw new DaemonError('InvalidParameter', `invalid IPv${family} address: ${address}`);
      }
    }
  }
}
