// What the daemon and netd say to each other: lines of JSON over a unix socket, requests with ids and answers to them.

/** Raised when a daemon could no longer use an older netd that still runs: it is then replaced. */
export const netdProtocolVersion = 3;

export interface NetdNetwork {
  id: string;
  name: string;
  /** Addresses on which the name service listens. */
  gateways: string[];
  /** False: queries for other names are refused (internal networks). */
  egress: boolean;
  /** False (the default bridge): no container names, other names are forwarded. */
  embedded: boolean;
}

export interface NetdEndpoint {
  networkId: string;
  containerId: string;
  ipv4Address: string;
  ipv6Address: string;
  /** The name that PTR answers, without the network's. */
  containerName: string;
  /** Lower case, with `containerName`. */
  names: string[];
  /** Alias → name on the same network, both in lower case. */
  links: Record<string, string>;
  upstreams: string[];
}

export interface NetdPort {
  containerId: string;
  protocol: 'tcp' | 'udp';
  hostIp: string;
  hostPort: number;
  targetAddress: string;
  targetPort: number;
}

/** One attempt to reach a container's address from within the private namespace. */
export interface NetdProbe {
  address: string;
  port: number;
  timeoutMs: number;
  /** Absent: a TCP connection will do. */
  http?: { scheme: 'http' | 'https'; path: string; headers: Record<string, string> };
}

export interface NetdOperations {
  hello: { params: object; result: NetdStatus };
  /** Replaces everything known of networks and endpoints. */
  state: {
    params: { networks: NetdNetwork[]; endpoints: NetdEndpoint[]; resolver: ResolverSource };
    result: object;
  };
  'network.put': { params: NetdNetwork; result: object };
  'network.remove': { params: { id: string }; result: object };
  'endpoint.put': { params: NetdEndpoint; result: object };
  'endpoint.remove': { params: { networkId: string; containerId: string }; result: object };
  /** Binds on the host. Fails with a system error's code. */
  'port.open': { params: NetdPort; result: { hostPort: number } };
  /** All ports of a container, or one of them. Their connections are reset. */
  'port.close': {
    params: {
      containerId: string;
      only?: Pick<NetdPort, 'protocol' | 'hostIp' | 'hostPort'>;
      /** TCP connections of that one go on: they end with the container's other ports. */
      keepConnections?: boolean;
    };
    result: object;
  };
  /** '' when it is reached, else why not. Other operations do not wait for it. */
  probe: { params: NetdProbe; result: { failure: string } };
  /** /proc/net/dev of the private namespace. */
  counters: { params: object; result: { text: string } };
}
export type NetdOperation = keyof NetdOperations;

export interface ResolverSource {
  /** The host's resolv.conf, read anew when it changes. */
  path: string;
  /** Where a resolver on the host's loopback is asked instead: the egress's name server. */
  loopbackAddress: string;
}

export interface NetdStatus {
  version: number;
  pid: number;
  /** True while the egress is connected. */
  egress: boolean;
  ports: NetdPort[];
}

export interface NetdRequest {
  id: number;
  op: NetdOperation;
  params: unknown;
}

export type NetdReply =
  | { id: number; result: unknown }
  | { id: number; error: { message: string; code?: string } }
  /** Unasked: the egress came or went. */
  | { event: 'egress'; egress: boolean };
