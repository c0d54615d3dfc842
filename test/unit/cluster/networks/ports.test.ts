// Published ports that are Services.

import type { V1NetworkPolicy, V1Service } from '@kubernetes/client-node';
import { publishWay } from '../../../../src/cluster/contract/publish-way';
import { servicePorts } from '../../../../src/cluster/networks/port-plan';
import { PortServices } from '../../../../src/cluster/networks/port-services';
import { DaemonError } from '../../../../src/errors';
import type { PublishedPort } from '../../../../src/network/network';

const id = 'c'.repeat(64);
const pod = { name: 'container-c', uid: 'u1', node: 'node1', address: '10.244.16.2' };

function port(containerPort: number, given: Partial<PublishedPort> = {}): PublishedPort {
  return { protocol: 'tcp', containerPort, hostIp: '', hostPort: 0, ...given };
}

/** An API server that gives node ports from 31000 on, refuses those of `taken`, and tells of a load balancer when it is asked again. */
function fake({ taken = [], ingress }: { taken?: number[]; ingress?: object } = {}): {
  services: PortServices;
  made: Map<string, V1Service>;
  policies: Map<string, V1NetworkPolicy>;
} {
  const made = new Map<string, V1Service>();
  const policies = new Map<string, V1NetworkPolicy>();
  let next = 31_000;
  const refuse = (index: number, number: number, why: string): never => {
    throw new DaemonError(
      'InvalidParameter',
      `Service "x" is invalid: spec.ports[${index}].nodePort: Invalid value: ${number}: ${why}`,
    );
  };
  const services = new PortServices({
    objects: {
      create: (service) => {
        const ports = (service.spec?.ports ?? []).map((each, index) => {
          const { nodePort } = each;
          if (nodePort !== undefined && taken.includes(nodePort))
            refuse(index, nodePort, 'provided port is already allocated');
          if (nodePort !== undefined && (nodePort < 30_000 || nodePort > 32_767))
            refuse(
              index,
              nodePort,
              'provided port is not in the valid range. The range of valid ports is 30000-32767',
            );
          return { ...each, nodePort: nodePort ?? next++ };
        });
        const kept = { ...service, spec: { ...service.spec, ports } };
        made.set(service.metadata?.name ?? '', kept);
        return Promise.resolve(kept);
      },
      list: () =>
        Promise.resolve(
          [...made.values()].map((each) => ({ ...each, status: { loadBalancer: ingress ?? {} } })),
        ),
      remove: (name) => Promise.resolve(void made.delete(name)),
      putPolicy: (policy) => Promise.resolve(void policies.set(policy.metadata?.name ?? '', policy)),
      removePolicy: (name) => Promise.resolve(void policies.delete(name)),
    },
    labels: { 'app.kubernetes.io/managed-by': 'caisson' },
    idLabel: (containerId) => ({ key: 'caisson.io/id', value: containerId.slice(0, 63) }),
    nodeAddress: () => '10.89.0.1',
  });
  return { services, made, policies };
}

const asNode = { type: 'NodePort', endpoint: 'web (e1)', pod } as const;

it('a label of the container goes before what the operator chose, and one that names no way is refused', () => {
  expect(publishWay({}, 'NodePort')).toBe('NodePort');
  expect(publishWay({ 'caisson.publish': 'loadbalancer' }, 'listener')).toBe('LoadBalancer');
  expect(() => publishWay({ 'caisson.publish': 'ingress' }, 'listener')).toThrow(
    'invalid label caisson.publish=ingress: it is one of listener, NodePort, LoadBalancer',
  );
});

it('a port of IPv4 and IPv6 is one of the Service, and an address of its own is refused', () => {
  const both = [
    port(80, { hostIp: '0.0.0.0', hostPort: 30_080 }),
    port(80, { hostIp: '::', hostPort: 30_080 }),
  ];
  expect(servicePorts(both, 'NodePort')).toEqual([both[0]]);
  expect(servicePorts([port(80, { hostIp: '::' })], 'NodePort')).toHaveLength(1);
  expect(() => servicePorts([port(80, { hostIp: '127.0.0.1' })], 'NodePort')).toThrow(
    'a NodePort can not be bound to 127.0.0.1',
  );
});

it('node ports are told with the address of the node, belong to the Pod, and are let in', async () => {
  const { services, made, policies } = fake();
  const { service, published } = await services.open(id, asNode, [
    port(80, { hostPort: 30_080 }),
    port(53, { protocol: 'udp' }),
  ]);
  expect(published).toEqual([
    { protocol: 'tcp', containerPort: 80, hostIp: '10.89.0.1', hostPort: 30_080 },
    { protocol: 'udp', containerPort: 53, hostIp: '10.89.0.1', hostPort: 31_000 },
  ]);
  const selector = { 'caisson.io/id': id.slice(0, 63) };
  const owner = [expect.objectContaining({ kind: 'Pod', uid: 'u1' })];
  expect(made.get(service)).toMatchObject({
    metadata: { ownerReferences: owner },
    spec: { type: 'NodePort', selector },
  });
  const [policy] = policies.values();
  expect(policy).toMatchObject({
    metadata: { ownerReferences: owner },
    spec: { podSelector: { matchLabels: selector }, policyTypes: ['Ingress'] },
  });
  expect(policy?.spec?.ingress).toEqual([
    {
      ports: [
        { protocol: 'TCP', port: 80 },
        { protocol: 'UDP', port: 53 },
      ],
    },
  ]);
  await services.close(id, service);
  expect([made.size, policies.size]).toEqual([0, 0]);
});

it('a port that is taken is refused in Docker’s words, one of a range gives way to the next', async () => {
  const { services, made } = fake({ taken: [30_080] });
  await expect(services.open(id, asNode, [port(80, { hostPort: 30_080 })])).rejects.toMatchObject({
    code: 'Internal',
    message:
      'driver failed programming external connectivity on endpoint web (e1): Bind for 0.0.0.0:30080 failed: port is already allocated',
  });
  const range = port(80, { hostPort: 30_080, hostPortEnd: 30_081 });
  const { published } = await services.open(id, asNode, [range]);
  expect(published).toMatchObject([{ hostPort: 30_081 }]);
  const all = fake({ taken: [30_080, 30_081] });
  await expect(all.services.open(id, asNode, [range])).rejects.toThrow('all ports are allocated');
  expect([made.size, all.made.size]).toEqual([1, 0]);
});

it('a port that no node has is refused, with what to do', async () => {
  const { services, made, policies } = fake();
  await expect(services.open(id, asNode, [port(80, { hostPort: 8080 })])).rejects.toThrow(
    'Bind for 0.0.0.0:8080 failed: node ports of the cluster are 30000-32767; take one of these, no number at all, or the label caisson.publish=LoadBalancer or caisson.publish=listener',
  );
  expect([made.size, policies.size]).toEqual([0, 0]);
});

it('a load balancer has its own address, any number, and the container’s where none is asked for', async () => {
  const { services, made } = fake({ ingress: { ingress: [{ ip: '192.0.2.7' }] } });
  const { service, published } = await services.open(id, { ...asNode, type: 'LoadBalancer' }, [
    port(80, { hostPort: 8080 }),
    port(8080),
  ]);
  expect(published).toEqual([
    { protocol: 'tcp', containerPort: 80, hostIp: '192.0.2.7', hostPort: 8080 },
    { protocol: 'tcp', containerPort: 8080, hostIp: '192.0.2.7', hostPort: 8081 },
  ]);
  expect(made.get(service)?.spec?.ports?.map(({ nodePort }) => nodePort)).toEqual([31_000, 31_001]);
});

it('what a daemon that was killed has left makes way', async () => {
  const { services, made } = fake();
  const first = await services.open(id, asNode, [port(80)]);
  const second = await services.open(id, asNode, [port(80)]);
  expect(second.service).not.toBe(first.service);
  expect([...made.keys()]).toEqual([second.service]);
});
