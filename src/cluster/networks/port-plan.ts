// Published ports as a Service: what is asked for, what the API's refusals come to, and what Docker tells of it. Pure.

import type { V1NetworkPolicy, V1OwnerReference, V1Service, V1ServicePort } from '@kubernetes/client-node';
import { DaemonError } from '../../errors';
import type { PublishedPort } from '../../network/network';

export type ServiceType = 'NodePort' | 'LoadBalancer';

/** Of one Service; `hostPort` is what its port becomes: 0 is the cluster's choice. */
export type ServicePorts = readonly PublishedPort[];

/** Whose they are. */
export interface PortOwner {
  containerId: string;
  pod: { name: string; uid: string };
  labels: Readonly<Record<string, string>>;
  /** Of its Pod alone. */
  selector: Readonly<Record<string, string>>;
}

/** Each port once, though it is asked for on IPv4 and IPv6. Throws for an address, which no Service has of ours. */
export function servicePorts(wanted: readonly PublishedPort[], type: ServiceType): ServicePorts {
  const isSame = (one: PublishedPort, other: PublishedPort): boolean =>
    one.protocol === other.protocol &&
    one.containerPort === other.containerPort &&
    one.hostPort === other.hostPort;
  for (const { hostIp } of wanted) {
    if (!['', '0.0.0.0', '::'].includes(hostIp))
      throw new DaemonError(
        'InvalidParameter',
        `a ${type} can not be bound to ${hostIp}: leave the address out, or ask for the label caisson.publish=listener`,
      );
  }
  const others = wanted.filter(({ hostIp }) => hostIp !== '::');
  return wanted.filter((port) => port.hostIp !== '::' || !others.some((other) => isSame(port, other)));
}

export function portService(
  name: string,
  type: ServiceType,
  { labels, selector, pod }: PortOwner,
  ports: ServicePorts,
): V1Service {
  const taken = new Set(ports.map(({ hostPort, protocol }) => `${hostPort} ${protocol}`));
  const free = (from: number, protocol: string): number => {
    let port = from;
    while (taken.has(`${port} ${protocol}`)) port = (port % 65_535) + 1;
    taken.add(`${port} ${protocol}`);
    return port;
  };
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, labels: { ...labels }, ownerReferences: [ownedBy(pod)] },
    spec: {
      type,
      selector: { ...selector },
      ipFamilyPolicy: 'PreferDualStack',
      // as a listener is there before who is behind it
      publishNotReadyAddresses: true,
      ports: ports.map(({ protocol, containerPort, hostPort }, index): V1ServicePort => {
        const port = hostPort === 0 ? free(containerPort, protocol) : hostPort;
        return {
          name: `p${index}`,
          protocol: protocol.toUpperCase(),
          port,
          targetPort: containerPort,
          ...(type === 'NodePort' && hostPort !== 0 ? { nodePort: hostPort } : {}),
        };
      }),
    },
  };
}

/** Lets everybody reach these ports, whose other boundaries are those of its networks. */
export function portPolicy(
  name: string,
  { labels, selector, pod }: PortOwner,
  ports: ServicePorts,
): V1NetworkPolicy {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, labels: { ...labels }, ownerReferences: [ownedBy(pod)] },
    spec: {
      podSelector: { matchLabels: { ...selector } },
      policyTypes: ['Ingress'],
      ingress: [
        {
          ports: ports.map(({ protocol, containerPort }) => ({
            protocol: protocol.toUpperCase(),
            port: containerPort,
          })),
        },
      ],
    },
  };
}

/** With the number that came of each port, in their order. */
export function publishedBy(
  { spec }: V1Service,
  type: ServiceType,
  ports: ServicePorts,
  address: string,
): PublishedPort[] {
  return ports.map(({ protocol, containerPort }, index) => {
    const { port = 0, nodePort = 0 } = spec?.ports?.[index] ?? {};
    return { protocol, containerPort, hostIp: address, hostPort: type === 'NodePort' ? nodePort : port };
  });
}

/** What is to be tried next where a number of a range is taken; undefined: nothing. */
export function nextPorts(ports: ServicePorts, message: string): ServicePorts | undefined {
  const index = refusedPort(message, 'already allocated');
  const port = index === undefined ? undefined : ports[index];
  if (port?.hostPortEnd === undefined || port.hostPort >= port.hostPortEnd) return undefined;
  return ports.with(index ?? 0, { ...port, hostPort: port.hostPort + 1 });
}

/** In Docker's words, where it has any. */
export function refusalOf(ports: ServicePorts, message: string): string {
  const taken = ports[refusedPort(message, 'already allocated') ?? -1];
  if (taken?.hostPortEnd !== undefined) return 'all ports are allocated';
  if (taken !== undefined) return `Bind for 0.0.0.0:${taken.hostPort} failed: port is already allocated`;
  const outside = ports[refusedPort(message, 'not in the valid range') ?? -1];
  if (outside === undefined) return message;
  const range = /valid ports is (\d+-\d+)/.exec(message)?.[1] ?? 'another range';
  return (
    `Bind for 0.0.0.0:${outside.hostPort} failed: node ports of the cluster are ${range}; take one of these, ` +
    'no number at all, or the label caisson.publish=LoadBalancer or caisson.publish=listener'
  );
}

function refusedPort(message: string, reason: string): number | undefined {
  const found = /spec\.ports\[(\d{1,3})\]\.nodePort: Invalid value: \d+: ([^\n]*)/.exec(message);
  return found?.[2]?.includes(reason) === true ? Number(found[1]) : undefined;
}

function ownedBy({ name, uid }: { name: string; uid: string }): V1OwnerReference {
  return { apiVersion: 'v1', kind: 'Pod', name, uid };
}
