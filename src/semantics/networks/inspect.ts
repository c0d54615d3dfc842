// A network as inspect and list show it.

import type { NetworkContainer, NetworkInspect } from '../../docker/types';
import type { NetworkDetails } from '../../network/network';

const noIpam = { Driver: 'default', Options: null, Config: [] };

/** `containers`: by their ids. */
export function inspectedNetwork(
  details: NetworkDetails,
  containers: Record<string, NetworkContainer>,
): NetworkInspect {
  return {
    Name: details.name,
    Id: details.id,
    Created: details.created,
    Scope: 'local',
    Driver: details.driver,
    EnableIPv6: details.enableIpv6,
    IPAM:
      details.driver === 'bridge' || details.configOnly === true
        ? {
            Driver: details.ipamDriver,
            Options: details.ipamOptions,
            Config: [...details.ipam, ...(details.unusedIpam ?? [])].map(
              ({ subnet, ipRange, gateway, hideGateway, auxiliaryAddresses }) => ({
                Subnet: subnet,
                ...(ipRange === undefined ? {} : { IPRange: ipRange }),
                ...(gateway === undefined || hideGateway === true ? {} : { Gateway: gateway }),
                ...(auxiliaryAddresses === undefined ? {} : { AuxiliaryAddresses: auxiliaryAddresses }),
              }),
            ),
          }
        : noIpam,
    Internal: details.internal,
    Attachable: details.attachable,
    Ingress: false,
    ConfigFrom: { Network: details.configFrom?.name ?? '' },
    ConfigOnly: details.configOnly ?? false,
    Containers: containers,
    Options: details.options,
    Labels: details.labels,
  };
}
