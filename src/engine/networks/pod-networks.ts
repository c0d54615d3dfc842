// Networks of a named Pod. Its endpoints are the Pod's own: one comes with the first container that is on the network, and goes
// with the Pod or when the last one of its containers is disconnected.

import { DaemonError } from '../../errors';
import { log } from '../../log';
import type { EndpointRequest } from '../../network/network';
import {
  endpointRequest,
  releaseEndpoints,
  wantedNetworks,
  type WantedNetwork,
  type NetworkLayer,
} from './container-network';
import type { ContainerRecord } from '../../semantics/containers/container-record';
import { namedPodIdOf, podNameOf } from '../vms/named-pods';
import { plugInterface, renewRoutes, unplugInterfaces } from './pod-interfaces';
import type { AttachedEndpoint, RunningPod } from '../vms/running-pod';
import type { ContainerRegistry } from '../core/container-registry';
import type { Pods } from '../vms/pods';

/** Who is in a Pod that runs. */
export interface PodMembership {
  readonly registry: Pick<ContainerRegistry, 'byId'>;
  readonly pods: Pick<Pods, 'find'>;
}

export type PodNetworkNeeds = PodMembership & NetworkLayer;

/**
 * Brings the Pod's endpoints to what its containers, this one with them, have asked for: networks they are not on yet are
 * joined, names are added. Throws what an allocation throws; what was allocated by then stays the Pod's.
 */
export async function extendEndpoints(
  engine: PodNetworkNeeds,
  pod: RunningPod,
  record: ContainerRecord,
): Promise<AttachedEndpoint[]> {
  const attached: AttachedEndpoint[] = [];
  for (const wanted of wantedNetworks(engine, record)) {
    const joined = await joinPodNetwork(engine, pod, record, wanted);
    if (joined !== undefined) attached.push(joined);
    else log.warn('a Pod is on as many networks as a VM can be', { podId: pod.id, ...wanted });
  }
  return attached;
}

/** The Pod's endpoint there, with the names of this container too; undefined: the VM has no NIC left. In the Pod's gate. */
export async function joinPodNetwork(
  engine: PodNetworkNeeds,
  pod: RunningPod,
  record: ContainerRecord,
  wanted: WantedNetwork,
): Promise<AttachedEndpoint | undefined> {
  const request = podEndpointRequest(engine, record, wanted);
  const known = pod.endpoints.find(({ endpoint }) => endpoint.networkId === wanted.networkId);
  if (known !== undefined) {
    requireSameAddresses(record, known, request);
    known.endpoint = await engine.networks.allocate(request);
    return known;
  }
  const nic = pod.vm.nics.find(({ index }) => pod.endpoints.every((other) => other.nic !== index))?.index;
  if (nic === undefined) return undefined;
  const endpoint = await engine.networks.allocate(request);
  const added: AttachedEndpoint = { networkName: wanted.networkName, endpoint, nic };
  const before = [...pod.endpoints];
  pod.endpoints.push(added);
  try {
    await plugInterface(engine, pod, before, added);
  } catch (error) {
    await takeOff(engine, pod, added);
    throw error;
  }
  return added;
}

/** After one of its containers, which is not on the network any more, was disconnected. In the Pod's gate. */
export async function leavePodNetwork(
  engine: PodNetworkNeeds,
  pod: RunningPod,
  gone: AttachedEndpoint,
): Promise<void> {
  const { networkName } = gone;
  const left = membersOn(engine, pod.id, networkName)[0];
  if (left !== undefined) {
    const { networkId } = gone.endpoint;
    await joinPodNetwork(engine, pod, left, { networkName, networkId });
    return;
  }
  const before = [...pod.endpoints];
  const known = before.find(({ nic }) => nic === gone.nic);
  if (known === undefined) return;
  await takeOff(engine, pod, known);
  await renewRoutes(pod, before, pod.endpoints);
}

async function takeOff(engine: NetworkLayer, pod: RunningPod, gone: AttachedEndpoint): Promise<void> {
  pod.endpoints.splice(pod.endpoints.indexOf(gone), 1);
  await unplugInterfaces(engine, pod, [gone]);
  await releaseEndpoints(engine, pod.id, [gone]);
}

/** All containers of the Pod have its one address there, which the first of them may have chosen. */
function requireSameAddresses(
  record: ContainerRecord,
  { networkName, endpoint }: AttachedEndpoint,
  request: EndpointRequest,
): void {
  const pairs = [
    [request.ipv4Address, endpoint.ipv4Address],
    [request.ipv6Address, endpoint.ipv6Address],
    [request.macAddress?.toLowerCase(), endpoint.macAddress],
  ] as const;
  for (const [wanted, have] of pairs) {
    if (wanted === undefined || wanted === '' || wanted === have) continue;
    throw new DaemonError(
      'InvalidParameter',
      `container ${record.name} asks for ${wanted} on network ${networkName}, where its Pod ${podNameOf(record) ?? ''} has ${have}`,
    );
  }
}

/** Records of the containers in the running Pod that are on the network, or about to be. */
function membersOn(engine: PodMembership, podId: string, networkName: string): ContainerRecord[] {
  const ids = [...(engine.pods.find(podId)?.members.keys() ?? [])];
  return ids
    .flatMap((id) => engine.registry.byId(id)?.record ?? [])
    .filter((record) => namedPodIdOf(record) === podId && record.networks[networkName] !== undefined);
}

/** The Pod's endpoint on one network, with the names of all its containers there. */
export function podEndpointRequest(
  engine: PodMembership,
  record: ContainerRecord,
  { networkName, networkId }: WantedNetwork,
): EndpointRequest {
  const podId = namedPodIdOf(record) ?? record.podId;
  const members = membersOn(engine, podId, networkName).filter(({ id }) => id !== record.id);
  const all = [record, ...members];
  const own = endpointRequest(record, networkId, record.networks[networkName]?.requested ?? {});
  return {
    ...own,
    containerId: podId,
    containerName: podNameOf(record) ?? record.name,
    dnsNames: [
      ...new Set([
        ...(own.dnsNames ?? []),
        ...all.flatMap((member) => [
          member.name,
          member.id.slice(0, 12),
          ...(member.networks[networkName]?.requested.Aliases ?? []),
        ]),
      ]),
    ],
  };
}
