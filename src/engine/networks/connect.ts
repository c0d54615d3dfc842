// NetworkConnect and NetworkDisconnect: of containers that run, on a NIC their VM has ready; of others, for the next start.

import type { EndpointSettings } from '../../docker/types';
import { DaemonError } from '../../errors';
import { sharedNetwork } from '../../semantics/networks/connect-validation';
import { log } from '../../log';
import type { EndpointRequest } from '../../network/network';
import { donorOf } from '../../translate/container-to-pod';
import { linkingContainers } from '../../semantics/containers/links';
import {
  dnsForwarders,
  endpointRequest,
  networkFiles,
  networksWith,
  publishNetworkEvents,
  publishPorts,
  recordedEndpoints,
  releaseEndpoints,
  type NetworkFileSources,
  type NetworkLayer,
} from './container-network';
import { nicsPerVm } from '../../config';
import type { ContainerRecord } from '../../semantics/containers/container-record';
import type { Container, ContainerRegistry } from '../core/container-registry';
import { gatewayEndpoint } from '../vms/gateway-order';
import { namedPodIdOf, withPodHostname } from '../vms/named-pods';
import { plugInterface, renewRoutes, unplugInterfaces } from './pod-interfaces';
import { joinPodNetwork, leavePodNetwork, podEndpointRequest, type PodNetworkNeeds } from './pod-networks';
import type { AttachedEndpoint, RunningPod } from '../vms/running-pod';
import type { Gates } from '../../async/gates';
import type { Announcer } from '../../semantics/events/event-publisher';
import { findPod, type PodPlaces } from '../vms/guest-access';

/** What a change of a container's networks works with. */
export type ConnectNeeds = PodNetworkNeeds &
  HostsNeeds &
  Announcer & {
    readonly registry: ContainerRegistry;
    readonly podGates: Gates;
  };

/** What a container's /etc/hosts is renewed with. */
export type HostsNeeds = PodPlaces & NetworkFileSources;

/** In the container's queue. Throws Docker's refusals; nothing is changed then. */
export async function connectContainer(
  engine: ConnectNeeds,
  container: Container,
  network: { id: string; name: string },
  requested: EndpointSettings,
): Promise<void> {
  const { record } = container;
  const pod = await findPod(engine, container);
  // `--pid container:X` shares X's network as well: the VM has one.
  const isGuest = pod !== undefined && pod.id !== (namedPodIdOf(record) ?? record.id);
  if (donorOf(record.hostConfig.NetworkMode) !== undefined || isGuest) throw sharedNetwork();
  if (pod === undefined || network.name === 'none') {
    requireRoomFor(record, network.name);
    // Docker fills the id in at the next start.
    const networks = { ...record.networks, [network.name]: { networkId: '', requested } };
    engine.registry.update(container, { networks });
    return;
  }
  const networks = { ...record.networks, [network.name]: { networkId: network.id, requested } };
  const before = recordedEndpoints(record);
  const added = pod.ownsEndpoints
    ? await engine.podGates.of(pod.id).run(() => joinWithPod(engine, pod, { ...record, networks }, network))
    : await join(engine, pod, container, endpointRequest(record, network.id, requested), network.name);
  const after = [...before, added];
  engine.registry.update(container, { networks: networksWith({ ...record, networks }, after) });
  await movePorts(engine, container, before, after);
  await renewResolver(engine, pod, container);
  publishNetworkEvents(engine, record, [added], 'connect');
}

/** An endpoint of its own, on a NIC that is free. */
async function join(
  engine: PodNetworkNeeds,
  pod: RunningPod,
  { id, record }: Container,
  request: EndpointRequest,
  networkName: string,
): Promise<AttachedEndpoint> {
  const nic = freeNic(engine, pod);
  const endpoint = await engine.networks.allocate(request);
  const added: AttachedEndpoint = { networkName, endpoint, nic };
  const before = recordedEndpoints(record);
  try {
    await plugInterface(engine, pod, before, added);
  } catch (error) {
    await takeOff(engine, pod, added, id);
    throw error;
  }
  return added;
}

/** The endpoint of its named Pod. */
async function joinWithPod(
  engine: PodNetworkNeeds,
  pod: RunningPod,
  record: ContainerRecord,
  network: { id: string; name: string },
): Promise<AttachedEndpoint> {
  const wanted = { networkName: network.name, networkId: network.id };
  const joined = await joinPodNetwork(engine, pod, record, wanted);
  if (joined === undefined) throw noNicLeft(pod);
  return joined;
}

/** In the container's queue; it is connected. */
export async function disconnectContainer(
  engine: ConnectNeeds,
  container: Container,
  networkName: string,
): Promise<void> {
  const { record } = container;
  const networks = Object.fromEntries(
    Object.entries(record.networks).filter(([name]) => name !== networkName),
  );
  const before = recordedEndpoints(record);
  const gone = before.find((known) => known.networkName === networkName);
  const pod = await findPod(engine, container);
  if (pod === undefined || gone === undefined) {
    engine.registry.update(container, { networks });
    return;
  }
  const after = before.filter((known) => known !== gone);
  if (pod.ownsEndpoints) {
    engine.registry.update(container, { networks: networksWith({ ...record, networks }, after) });
    await engine.podGates.of(pod.id).run(() => leavePodNetwork(engine, pod, gone));
  } else {
    await takeOff(engine, pod, gone, record.id);
    await renewRoutes(pod, before, after);
    engine.registry.update(container, { networks: networksWith({ ...record, networks }, after) });
  }
  await movePorts(engine, container, before, after);
  await renewResolver(engine, pod, container);
  // twice, as dockerd does
  publishNetworkEvents(engine, record, [gone, gone], 'disconnect');
}

/** A running container's new name, as the name service tells it to others. In its queue. */
export async function renewNames(engine: PodNetworkNeeds, container: Container): Promise<void> {
  const { record } = container;
  for (const { networkName, endpoint } of recordedEndpoints(record)) {
    const { networkId } = endpoint;
    const requested = record.networks[networkName]?.requested ?? {};
    const request =
      namedPodIdOf(record) === undefined
        ? endpointRequest(record, networkId, requested)
        : podEndpointRequest(engine, record, { networkName, networkId });
    await engine.networks.allocate(request);
  }
}

/** Brings /etc/hosts of a running container to what its links and endpoints are now; of others, does nothing. */
export async function renewHosts(engine: HostsNeeds, container: Container): Promise<void> {
  const pod = await findPod(engine, container);
  if (pod !== undefined) await writeFiles(engine, pod, container, ['/etc/hosts']);
}

/** Those linked to a container that has just started, perhaps with another address. */
export async function renewLinkingHosts(engine: HostsNeeds, childId: string): Promise<void> {
  for (const parent of linkingContainers(engine.registry, childId)) await renewHosts(engine, parent);
}

/** Published ports lead to the gateway network's endpoint: when that is another, they are bound anew, with their numbers. */
async function movePorts(
  engine: NetworkLayer & Pick<ConnectNeeds, 'registry'>,
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
function freeNic(engine: { readonly registry: Pick<ContainerRegistry, 'byId'> }, pod: RunningPod): number {
  const taken = new Set(
    [...pod.members.keys()].flatMap((id) => {
      const member = engine.registry.byId(id);
      return member === undefined ? [] : recordedEndpoints(member.record).map(({ nic }) => nic);
    }),
  );
  const free = pod.vm.nics.find(({ index }) => !taken.has(index));
  if (free !== undefined) return free.index;
  throw noNicLeft(pod);
}

/** Before the start that would miss it. */
function requireRoomFor({ networks }: ContainerRecord, name: string): void {
  const others = Object.keys(networks).filter((other) => other !== name && other !== 'none');
  if (others.length < nicsPerVm) return;
  throw new DaemonError(
    'Forbidden',
    `a container can be on at most ${nicsPerVm} networks, one for each network interface of its virtual machine: ` +
      'disconnect it from another one first',
  );
}

function noNicLeft(pod: RunningPod): DaemonError {
  return new DaemonError(
    'Forbidden',
    `a running container can be on at most ${pod.vm.nics.length} networks: disconnect it from another one first`,
  );
}

/** Every step is tried. */
async function takeOff(
  engine: NetworkLayer,
  pod: RunningPod,
  gone: AttachedEndpoint,
  containerId: string,
): Promise<void> {
  await unplugInterfaces(engine, pod, [gone]);
  await releaseEndpoints(engine, containerId, [gone]);
}

/** Points the forwarder on 127.0.0.11 at the networks there are now, and renews resolv.conf and hosts. */
async function renewResolver(engine: HostsNeeds, pod: RunningPod, container: Container): Promise<void> {
  const servers = dnsForwarders(pod.ownsEndpoints ? pod.endpoints : recordedEndpoints(container.record));
  await pod.vm.agent
    .request('pod.dns', { servers })
    .catch((error: unknown) =>
      log.warn('name servers could not be changed', { containerId: container.id, error }),
    );
  await writeFiles(engine, pod, container, ['/etc/resolv.conf', '/etc/hosts']);
}

async function writeFiles(
  engine: NetworkFileSources,
  pod: RunningPod,
  container: Container,
  paths: readonly string[],
): Promise<void> {
  const files = networkFiles(engine, withPodHostname(container.record), recordedEndpoints(container.record));
  for (const { path, contentBase64 } of files.filter((file) => paths.includes(file.path))) {
    await pod.vm.agent
      .request('container.file', { id: container.id, path, contentBase64 })
      .catch((error: unknown) => log.warn('a file of the container could not be renewed', { path, error }));
  }
}
