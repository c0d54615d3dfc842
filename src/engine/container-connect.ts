// NetworkConnect and NetworkDisconnect: of containers that run, on a NIC their VM has ready; of others, for the next start.

import type { EndpointSettings } from '../api/v1.41/types';
import { DaemonError } from '../errors';
import { log } from '../log';
import { donorOf } from '../translate/container-to-pod';
import { defaultRoutes, guestInterface } from '../translate/pod-to-guest';
import { linkingContainers } from './container-links';
import {
  dnsForwarders,
  endpointRequest,
  networkFiles,
  networksWith,
  publishNetworkEvents,
  publishPorts,
  recordedEndpoints,
} from './container-network';
import type { Container } from './container-registry';
import type { Engine } from './engine';
import { gatewayEndpoint, gatewayOrder } from './gateway-order';
import { attachNic, podInterface, type AttachedEndpoint, type RunningPod } from './pods';

/** In the container's queue. Throws Docker's refusals; nothing is changed then. */
export async function connectContainer(
  engine: Engine,
  container: Container,
  network: { id: string; name: string },
  requested: EndpointSettings,
): Promise<void> {
  const { record } = container;
  if (donorOf(record.hostConfig.NetworkMode) !== undefined) {
    throw new DaemonError(
      'InvalidParameter',
      'container sharing network namespace with another container or host cannot be connected to any other network',
    );
  }
  const pod = engine.pods.of(container);
  if (pod === undefined || network.name === 'none') {
    // Docker fills the id in at the next start.
    const networks = { ...record.networks, [network.name]: { networkId: '', requested } };
    engine.registry.update(container, { networks });
    return;
  }
  const networks = { ...record.networks, [network.name]: { networkId: network.id, requested } };
  const before = recordedEndpoints(record);
  const nic = freeNic(engine, pod);
  const endpoint = await engine.networks.allocate(endpointRequest(record, network.id, requested));
  const added: AttachedEndpoint = { networkName: network.name, endpoint, nic };
  const after = [...before, added];
  try {
    await pod.vm.agent.request('pod.interface.add', {
      interface: guestInterface(podInterface(added)),
      routes: changedRoutes(before, after),
    });
    await attachNic(engine.networks, pod.vm, added);
  } catch (error) {
    await takeOff(engine, pod, added, container.id);
    throw error;
  }
  engine.registry.update(container, { networks: networksWith({ ...record, networks }, after) });
  await movePorts(engine, container, before, after);
  await renewResolver(engine, pod, container);
  publishNetworkEvents(engine, record, [added], 'connect');
}

/** In the container's queue; it is connected. */
export async function disconnectContainer(
  engine: Engine,
  container: Container,
  networkName: string,
): Promise<void> {
  const { record } = container;
  const networks = Object.fromEntries(
    Object.entries(record.networks).filter(([name]) => name !== networkName),
  );
  const before = recordedEndpoints(record);
  const gone = before.find((known) => known.networkName === networkName);
  const pod = engine.pods.of(container);
  if (pod === undefined || gone === undefined) {
    engine.registry.update(container, { networks });
    return;
  }
  const after = before.filter((known) => known !== gone);
  await takeOff(engine, pod, gone, record.id);
  const next = gatewayEndpoint(after);
  const routes = changedRoutes(before, after);
  if (next !== undefined && routes.length > 0) {
    await pod.vm.agent.request('pod.interface.add', {
      interface: guestInterface(podInterface(next)),
      routes,
    });
  }
  engine.registry.update(container, { networks: networksWith({ ...record, networks }, after) });
  await movePorts(engine, container, before, after);
  await renewResolver(engine, pod, container);
  // twice, as dockerd does
  publishNetworkEvents(engine, record, [gone, gone], 'disconnect');
}

/** A running container's new name, as the name service tells it to others. In its queue. */
export async function renewNames(engine: Engine, container: Container): Promise<void> {
  const { record } = container;
  for (const { networkName, endpoint } of recordedEndpoints(record)) {
    const requested = record.networks[networkName]?.requested ?? {};
    await engine.networks.allocate(endpointRequest(record, endpoint.networkId, requested));
  }
}

/** Brings /etc/hosts of a running container to what its links and endpoints are now; of others, does nothing. */
export async function renewHosts(engine: Engine, container: Container): Promise<void> {
  const pod = engine.pods.of(container);
  if (pod !== undefined) await writeFiles(engine, pod, container, ['/etc/hosts']);
}

/** Those linked to a container that has just started, perhaps with another address. */
export async function renewLinkingHosts(engine: Engine, childId: string): Promise<void> {
  for (const parent of linkingContainers(engine.registry, childId)) await renewHosts(engine, parent);
}

/** Default routes of the endpoints, if they are not those of before. */
function changedRoutes(
  before: readonly AttachedEndpoint[],
  after: readonly AttachedEndpoint[],
): ReturnType<typeof defaultRoutes> {
  const routes = (endpoints: readonly AttachedEndpoint[]): ReturnType<typeof defaultRoutes> =>
    defaultRoutes(gatewayOrder(endpoints).map(podInterface));
  const wanted = routes(after);
  return JSON.stringify(wanted) === JSON.stringify(routes(before)) ? [] : wanted;
}

/** Published ports lead to the gateway network's endpoint: when that is another, they are bound anew, with their numbers. */
async function movePorts(
  engine: Engine,
  container: Container,
  before: readonly AttachedEndpoint[],
  after: readonly AttachedEndpoint[],
): Promise<void> {
  const { record } = container;
  const target = gatewayEndpoint(after);
  if (gatewayEndpoint(before)?.endpoint.id === target?.endpoint.id) return;
  if (target === undefined) {
    // Shown as before, as Docker does, so that a later connect finds them.
    await engine.networks.unpublish(record.id);
    return;
  }
  const ports = record.publishedPorts.length > 0 ? record.publishedPorts : undefined;
  const publishedPorts = await publishPorts(engine, record, after, ports);
  engine.registry.update(container, { publishedPorts });
}

/** VMs have a fixed number of NICs: the machine has no hot-plug for more. All containers of the Pod share them. */
function freeNic(engine: Engine, pod: RunningPod): number {
  const taken = new Set(
    [...pod.members.keys()].flatMap((id) => {
      const member = engine.registry.byId(id);
      return member === undefined ? [] : recordedEndpoints(member.record).map(({ nic }) => nic);
    }),
  );
  const free = pod.vm.nics.find(({ index }) => !taken.has(index));
  if (free !== undefined) return free.index;
  throw new DaemonError(
    'Forbidden',
    `a running container can be on at most ${pod.vm.nics.length} networks: disconnect it from another one first`,
  );
}

/** Every step is tried. */
async function takeOff(
  engine: Engine,
  pod: RunningPod,
  gone: AttachedEndpoint,
  containerId: string,
): Promise<void> {
  const tap = pod.vm.nics[gone.nic];
  const steps = [
    async () => (tap === undefined ? undefined : engine.networks.detach(tap.tapName)),
    async () => {
      await pod.vm.agent.request('pod.interface.remove', { nic: gone.nic });
    },
    async () => engine.networks.release(gone.endpoint.networkId, containerId),
  ];
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      log.warn('a step of leaving a network failed', {
        containerId,
        networkId: gone.endpoint.networkId,
        error,
      });
    }
  }
}

/** Points the forwarder on 127.0.0.11 at the networks there are now, and renews resolv.conf and hosts. */
async function renewResolver(engine: Engine, pod: RunningPod, container: Container): Promise<void> {
  const servers = dnsForwarders(recordedEndpoints(container.record));
  await pod.vm.agent
    .request('pod.dns', { servers })
    .catch((error: unknown) =>
      log.warn('name servers could not be changed', { containerId: container.id, error }),
    );
  await writeFiles(engine, pod, container, ['/etc/resolv.conf', '/etc/hosts']);
}

async function writeFiles(
  engine: Engine,
  pod: RunningPod,
  container: Container,
  paths: readonly string[],
): Promise<void> {
  const files = networkFiles(engine, container.record, recordedEndpoints(container.record));
  for (const { path, contentBase64 } of files.filter((file) => paths.includes(file.path))) {
    await pod.vm.agent
      .request('container.file', { id: container.id, path, contentBase64 })
      .catch((error: unknown) => log.warn('a file of the container could not be renewed', { path, error }));
  }
}
