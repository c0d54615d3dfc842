// Pods with a name: containers whose label says so share one VM, its network, IPC and host name, whoever starts first.
// Their endpoints are the Pod's: they come with its first container and go with its last.

import { createHash } from 'node:crypto';
import { log } from '../log';
import { defaultRoutes, guestInterface } from '../translate/pod-to-guest';
import type { EndpointRequest } from '../network/network';
import { endpointRequest, wantedNetworks, type WantedNetwork } from './container-network';
import type { ContainerRecord } from './container-record';
import type { Engine } from './engine';
import { OperationQueue } from './operation-queue';
import { attachNic, podInterface, type AttachedEndpoint, type RunningPod } from './pods';

/** Docker label that puts a container (a Compose service) into the Pod of this name. */
export const podLabel = 'caisson.pod';
/** `true`: the containers of the Pod see each other's processes. */
export const sharedPidLabel = 'caisson.pod.share-pid';

/** Name of the Pod that the container's label asks for. */
export function podNameOf({ config }: Pick<ContainerRecord, 'config'>): string | undefined {
  const name = config.Labels?.[podLabel];
  return name === undefined || name === '' ? undefined : name;
}

/** The same for every container of the Pod, and for every daemon. */
export function namedPodId(name: string): string {
  return createHash('sha256').update(`caisson.pod ${name}`).digest('hex');
}

/** Of its named Pod; undefined for a container with a Pod of its own. */
export function namedPodIdOf(record: Pick<ContainerRecord, 'config'>): string | undefined {
  const name = podNameOf(record);
  return name === undefined ? undefined : namedPodId(name);
}

/** Starts of a Pod's containers find their VM one after the other. */
export class PodGates {
  readonly #queues = new Map<string, OperationQueue>();

  of(podId: string): OperationQueue {
    let queue = this.#queues.get(podId);
    if (queue === undefined) {
      queue = new OperationQueue();
      this.#queues.set(podId, queue);
    }
    return queue;
  }
}

/**
 * Brings the Pod's endpoints to what its containers, this one with them, have asked for: networks they are not on yet are
 * joined, names are added. Throws what an allocation throws; what was allocated by then stays the Pod's.
 */
export async function extendEndpoints(
  engine: Engine,
  pod: RunningPod,
  record: ContainerRecord,
): Promise<AttachedEndpoint[]> {
  const wanted = wantedNetworks(engine, record);
  for (const { networkName, networkId } of wanted) {
    const known = pod.endpoints.find((attached) => attached.endpoint.networkId === networkId);
    const endpoint = await engine.networks.allocate(
      podEndpointRequest(engine, record, { networkName, networkId }),
    );
    if (known !== undefined) {
      known.endpoint = endpoint;
      continue;
    }
    const nic = pod.vm.nics.find(({ index }) => pod.endpoints.every((other) => other.nic !== index))?.index;
    if (nic === undefined) {
      await engine.networks.release(networkId, pod.id);
      log.warn('a Pod is on as many networks as a VM can be', { podId: pod.id, networkName });
      continue;
    }
    const added: AttachedEndpoint = { networkName, endpoint, nic };
    const hadGateway = pod.endpoints.some((other) => other.endpoint.ipv4Gateway !== '');
    pod.endpoints.push(added);
    await pod.vm.agent.request('pod.interface.add', {
      interface: guestInterface(podInterface(added)),
      routes: hadGateway ? [] : defaultRoutes([podInterface(added)]),
    });
    await attachNic(engine.networks, pod.vm, added);
  }
  const own = new Set(wanted.map(({ networkId }) => networkId));
  return pod.endpoints.filter(({ endpoint }) => own.has(endpoint.networkId));
}

/** The Pod's endpoint on one network, with the names of all its containers there. */
export function podEndpointRequest(
  engine: Pick<Engine, 'registry'>,
  record: ContainerRecord,
  { networkName, networkId }: WantedNetwork,
): EndpointRequest {
  const podId = namedPodIdOf(record) ?? record.podId;
  const members = engine.registry
    .list()
    .map((container) => container.record)
    .filter(
      (other) => other.id !== record.id && other.state.kind === 'running' && namedPodIdOf(other) === podId,
    );
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
