// What a client asks for when it creates a network.

import type { NetworkCreateBody } from '../../docker/types';
import type { NetworkCreateRequest } from '../../network/network';

/** As the client says it, with nothing left open. */
export function createRequest(body: NetworkCreateBody): NetworkCreateRequest {
  const ipam = body.IPAM ?? undefined;
  return {
    name: body.Name ?? '',
    driver: body.Driver ?? '',
    scope: body.Scope ?? '',
    internal: body.Internal ?? false,
    attachable: body.Attachable ?? false,
    ingress: body.Ingress ?? false,
    configOnly: body.ConfigOnly ?? false,
    configFrom: body.ConfigFrom?.Network ?? '',
    enableIpv6: body.EnableIPv6 ?? false,
    checkDuplicate: body.CheckDuplicate ?? false,
    options: body.Options ?? {},
    labels: body.Labels ?? {},
    ...(ipam === undefined
      ? {}
      : {
          ipam: {
            ...(ipam.Driver === undefined ? {} : { driver: ipam.Driver }),
            ...(ipam.Options === undefined ? {} : { options: ipam.Options }),
            config: (ipam.Config ?? []).map((pool) => ({
              ...(pool.Subnet === undefined ? {} : { subnet: pool.Subnet }),
              ...(pool.IPRange === undefined ? {} : { ipRange: pool.IPRange }),
              ...(pool.Gateway === undefined ? {} : { gateway: pool.Gateway }),
              ...(pool.AuxiliaryAddresses === undefined || pool.AuxiliaryAddresses === null
                ? {}
                : { auxiliaryAddresses: pool.AuxiliaryAddresses }),
            })),
          },
        }),
  };
}
