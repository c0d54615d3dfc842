// What the engine sees of networking. NetworkManager (network-manager.ts) is the implementation.
// One private network namespace holds every bridge, tap, route and rule; the host's own network is never touched.

/** One container's (Pod's) place on one network. */
export interface EndpointRequest {
  networkId: string;
  /** The Pod's primary container id; the key of the endpoint together with the network. */
  containerId: string;
  containerName: string;
  aliases: string[];
  /** Wanted addresses; refused if taken or outside the subnet. */
  ipv4Address?: string;
  ipv6Address?: string;
  macAddress?: string;
  linkLocalIps?: string[];
}

export interface Endpoint {
  id: string;
  networkId: string;
  networkName: string;
  containerId: string;
  macAddress: string;
  ipv4Address: string;
  ipv4PrefixLength: number;
  ipv4Gateway: string;
  ipv6Address: string;
  ipv6PrefixLength: number;
  ipv6Gateway: string;
  mtu: number;
  /** What the guest's resolver should ask on this network; empty on `none`. */
  dnsServers: string[];
  aliases: string[];
}

export interface NetworkSummary {
  id: string;
  name: string;
  driver: 'bridge' | 'host' | 'null';
  internal: boolean;
}

export interface PublishedPort {
  protocol: 'tcp' | 'udp' | 'sctp';
  containerPort: number;
  hostIp: string;
  /** 0: any free port. */
  hostPort: number;
}

export interface NetworkManager {
  /** Makes (or finds again) the namespace, bridges and helper, and removes what a crash left. */
  start(): Promise<void>;
  /** Stops the helper. With `removeNamespace` the bridges go too; only when no VM is left. */
  stop(options: { removeNamespace: boolean }): Promise<void>;
  /** For setns by the VM launcher: `/run/…/netns`. */
  readonly namespacePath: string;
  /** By name, id or unique id prefix. Throws NotFound `network X not found`. */
  resolve(ref: string): NetworkSummary;
  list(): NetworkSummary[];
  /** Reserves addresses and records the endpoint. Does not need a VM. */
  allocate(request: EndpointRequest): Promise<Endpoint>;
  /** Frees what `allocate` reserved. Idempotent. */
  release(networkId: string, containerId: string): Promise<void>;
  /** Joins the tap to the network's bridge, with the anti-spoofing rules for this endpoint. Call after the guest has set the MAC. */
  attach(endpoint: Endpoint, tapName: string): Promise<void>;
  /** Takes the tap off every bridge. */
  detach(tapName: string): Promise<void>;
  /** Binds the host's ports before a container's start answers; returns them with the real numbers. Throws Docker's error if taken. */
  publish(containerId: string, endpoint: Endpoint, ports: PublishedPort[]): Promise<PublishedPort[]>;
  unpublish(containerId: string): Promise<void>;
  /** The text of resolv.conf for containers (of the host's resolver, as reached through the namespace). */
  resolvConf(options: { dns: string[]; search: string[]; options: string[]; embedded: boolean }): string;
  /** The address under which containers reach services of the host (`host-gateway`). */
  readonly hostGateway: string;
}
