// What the engine sees of networking. NetworkManager (network-manager.ts) is the implementation.
// One private network namespace holds every bridge, tap, route and rule; the host's own network is never touched.

import type { NetdProbe } from './addresses/netd-protocol';

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
  /** More names under which the name service answers; the container's name and short id always are. */
  dnsNames?: string[];
  /** Docker's links on user-defined networks: alias → name on that network. Only this container sees them. */
  links?: Record<string, string>;
  /** Servers to which this container's other queries go (`--dns`); empty: the host's. */
  dnsUpstreams?: string[];
  driverOptions?: Record<string, string>;
  /** Of a container on the host's network: it gets `Endpoint.host`, where the daemon's options allow that. */
  hostNetwork?: boolean;
}

/** How a container on the host's network has part in it. */
export interface HostPart {
  /** The name of the host's interface that its own has too; empty: the host has none that others reach. */
  interfaceName: string;
  /** The host's address there, and on which it is. */
  address: string;
  /** Where this endpoint, and no other, reaches the host's 127.0.0.1. */
  loopback: string;
}

export interface Endpoint {
  id: string;
  networkId: string;
  networkName: string;
  /** On an internal network: its gateway answers names and leads nowhere, as with Docker. */
  internal?: boolean;
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
  /** What the user asked for, as Docker's inspect shows it. */
  wanted?: { ipv4Address?: string; ipv6Address?: string; linkLocalIps?: string[] };
  dnsNames?: string[];
  links?: Record<string, string>;
  dnsUpstreams?: string[];
  driverOptions?: Record<string, string>;
  host?: HostPart;
}

/** One subnet of a network. Docker's IPAM.Config entry in camelCase. */
export interface NetworkIpamConfig {
  subnet: string;
  ipRange?: string;
  gateway?: string;
  /** The subnet was given without a gateway: Docker's inspect does not show the one that is in use. */
  hideGateway?: boolean;
  auxiliaryAddresses?: Record<string, string>;
}

export interface NetworkCreateRequest {
  name: string;
  /** Empty: `bridge`. */
  driver?: string;
  scope?: string;
  internal?: boolean;
  attachable?: boolean;
  ingress?: boolean;
  configOnly?: boolean;
  /** Name of the configuration that the network shall be made from. */
  configFrom?: string;
  enableIpv6?: boolean;
  /** Refuse a name that exists. Without it Docker makes a second one and warns. */
  checkDuplicate?: boolean;
  ipam?: {
    driver?: string;
    options?: Record<string, string> | null;
    config?: {
      subnet?: string;
      ipRange?: string;
      gateway?: string;
      auxiliaryAddresses?: Record<string, string>;
    }[];
  };
  options?: Record<string, string>;
  labels?: Record<string, string>;
}

/** Everything that Docker's inspect tells of a network, apart from its containers (`endpoints`). */
export interface NetworkDetails extends NetworkSummary {
  /** RFC 3339 with nanoseconds. */
  created: string;
  enableIpv6: boolean;
  attachable: boolean;
  labels: Record<string, string>;
  options: Record<string, string>;
  ipamDriver: string;
  ipamOptions: Record<string, string> | null;
  ipam: NetworkIpamConfig[];
  /** IPv6 subnets that were named for a network without IPv6: shown, as by dockerd, and of no effect. */
  unusedIpam?: NetworkIpamConfig[];
  /** Only a configuration for other networks: nothing can join it. */
  configOnly?: boolean;
  /** The configuration that it was made from. */
  configFrom?: { id: string; name: string };
  /** The IPv4 subnet was given, not chosen: containers may ask for addresses. */
  userSubnet: boolean;
}

/** Counters of a tap from the container's point of view: `rx` is what it received. */
export interface InterfaceCounters {
  rxBytes: number;
  rxPackets: number;
  rxErrors: number;
  rxDropped: number;
  txBytes: number;
  txPackets: number;
  txErrors: number;
  txDropped: number;
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
  /** Empty: every address of the host, IPv4 and IPv6; `publish` then returns an entry for each. */
  hostIp: string;
  /** 0: any free port. */
  hostPort: number;
  /** With a range (`-p 8000-8010:80`): the first free one from `hostPort` to this one. */
  hostPortEnd?: number;
}

/** A port of `NetworkManager.follow` that somebody else has, or that cannot be had. */
export interface RefusedPort {
  port: PublishedPort;
  reason: string;
}

export interface NetworkManager {
  /** Makes (or finds again) the namespace, bridges and helper, and removes what a crash left. */
  start(): Promise<void>;
  /** Stops the helper. With `removeNamespace` the bridges go too; only when no VM is left. */
  stop(options: { removeNamespace: boolean }): Promise<void>;
  /** For setns by the VM launcher: `/run/…/netns`. */
  readonly namespacePath: string;
  /** By name, id or unique id prefix. Throws NotFound `network X not found`. */
  /** Brings the name of the private namespace back, should somebody have removed it. Resolves with whether that was so. */
  ensureNamespace(): Promise<boolean>;
  resolve(ref: string): NetworkSummary;
  list(): NetworkSummary[];
  /** As `resolve`, with all that is known. */
  inspect(ref: string): NetworkDetails;
  /** Makes a network. Throws Docker's errors for overlapping pools, bad options and names. */
  create(request: NetworkCreateRequest): Promise<{ id: string; warning: string }>;
  /** Throws Forbidden for a predefined network and for one with active (attached) endpoints. */
  remove(ref: string): Promise<void>;
  /** Endpoints of a network; `attached` ones only: those whose VM is joined to it now. */
  endpoints(networkId: string, options?: { attached?: boolean }): Endpoint[];
  /** All endpoints of a container, in the order in which they were allocated. */
  endpointsOf(containerId: string): Endpoint[];
  /**
   * Reserves addresses and records the endpoint. Does not need a VM. A second call for the same network and container
   * keeps the addresses unless others are asked for, and takes over the new names.
   */
  allocate(request: EndpointRequest): Promise<Endpoint>;
  /** From now on `allocate` for `to` prefers the addresses that `from` has, or had last, on each network, once they are free. */
  inherit(from: string, to: string): void;
  /** Frees what `allocate` reserved. Idempotent. */
  release(networkId: string, containerId: string): Promise<void>;
  /** Joins the tap to the network's bridge, with the anti-spoofing rules for this endpoint; frames with another MAC don't pass. */
  attach(endpoint: Endpoint, tapName: string): Promise<void>;
  /** Takes the tap off every bridge. */
  detach(tapName: string): Promise<void>;
  /**
   * Binds the host's ports before a container's start answers; returns them with the real numbers. All or nothing: if
   * one is taken, throws Docker's words without `driver failed programming external connectivity on endpoint …: `.
   */
  publish(containerId: string, endpoint: Endpoint, ports: PublishedPort[]): Promise<PublishedPort[]>;
  unpublish(containerId: string): Promise<void>;
  /**
   * Brings the host's listeners for a container on the host's network to this list: those that are there already stay untouched,
   * and connections of those that go stay as well. Returns which could not be opened, and why. `unpublish` ends them all.
   */
  follow(containerId: string, endpoint: Endpoint, ports: readonly PublishedPort[]): Promise<RefusedPort[]>;
  /** Ports published for a container, also after a restart of the daemon. */
  publishedPorts(containerId: string): PublishedPort[];
  /** Counters of an attached tap; undefined if there is no such tap. */
  counters(tapName: string): Promise<InterfaceCounters | undefined>;
  /** Whether a container's address answers: '' if so, else why not. */
  probe(probe: NetdProbe): Promise<string>;
  /** The text of resolv.conf for containers (of the host's resolver, as reached through the namespace). */
  resolvConf(options: { dns: string[]; search: string[]; options: string[]; embedded: boolean }): string;
  /** The address under which containers reach services of the host (`host-gateway`). */
  readonly hostGateway: string;
}
