// What is kept of networks, endpoints and published ports, and in which collections. All of IPAM follows from these.

import type { Endpoint, NetworkIpamConfig, NetworkSummary, PublishedPort } from './network';

export interface NetworkRecord extends NetworkSummary {
  /** RFC 3339 with nanoseconds, as Docker's `Created`. */
  created: string;
  enableIpv6: boolean;
  attachable: boolean;
  labels: Record<string, string>;
  options: Record<string, string>;
  ipamDriver: string;
  ipamOptions: Record<string, string> | null;
  /** One for each subnet, each with the gateway that is in use. */
  ipam: NetworkIpamConfig[];
  unusedIpam?: NetworkIpamConfig[];
  configOnly?: boolean;
  configFrom?: { id: string; name: string };
  /** True if the user named the subnet: only then may containers ask for an address. */
  userSubnet: boolean;
  mtu: number;
  /** `com.docker.network.bridge.enable_icc`: whether containers on it reach each other. */
  interContainer: boolean;
  /** `com.docker.network.bridge.enable_ip_masquerade`. */
  masquerade: boolean;
  /** `com.docker.network.bridge.host_binding_ipv4`: where ports are published that name no address. */
  hostBindingAddress: string;
  /** Name of the Linux bridge in the private namespace; empty for `host` and `none`. */
  bridgeName: string;
}

/** An endpoint, and what the name service needs to know. */
export interface EndpointRecord extends Endpoint {
  containerName: string;
}

/** A tap that was joined to a network. A record of this boot only: it is dropped when its tap is gone. */
export interface AttachmentRecord {
  tapName: string;
  networkId: string;
  containerId: string;
}

export interface PublicationRecord {
  containerId: string;
  /** Whose endpoint the ports lead to, if it is another's. */
  endpointOf?: string;
  networkId: string;
  targetAddress: string;
  ports: PublishedPort[];
}

export const collections = {
  networks: 'networks',
  endpoints: 'network-endpoints',
  attachments: 'network-attachments',
  publications: 'network-publications',
} as const;

export function endpointKey(networkId: string, containerId: string): string {
  return `${networkId}/${containerId}`;
}

/** Drivers that dockerd has built in and that need what a private namespace of bridges cannot give. */
export type OtherDriver = 'macvlan' | 'ipvlan' | 'overlay';

export interface NetworkPlan {
  name: string;
  driver: 'bridge' | 'host' | 'null' | OtherDriver;
  /** As asked for: `''` or `local`, else it is refused once the addresses are found. */
  scope: string;
  internal: boolean;
  attachable: boolean;
  configOnly?: boolean;
  /** The configuration that it was made from. */
  configFrom?: { id: string; name: string };
  enableIpv6: boolean;
  labels: Record<string, string>;
  options: Record<string, string>;
  ipamDriver: string;
  ipamOptions: Record<string, string> | null;
  /** As asked for, of both families; empty: to be chosen. */
  subnets: NetworkIpamConfig[];
  defaultBridge: boolean;
}
