// NetworkConnect and NetworkDisconnect: of containers that run, on a NIC their VM has ready; of others, for the next start.

import type { EndpointSettings } from '../api/v1.41/types';
import { DaemonError } from '../errors';
import { log } from '../log';
import { defaultRoutes, guestInterface } from '../translate/pod-to-guest';
import {
  endpointRequest,
  networkFiles,
  networksWith,
  publishNetworkEvents,
  recordedEndpoints,
} from './container-network';
import type { Container } from './container-registry';
import { isActive } from './container-state';
import type { Engine } from './engine';
import { attachNic, podInterface, type AttachedEndpoint, type RunningPod } from './pods';

type ConnectEngine = Pick<Engine, 'networks' | 'registry' | 'events' | 'pods'> & Engine;

/** In the container's queue. Throws Docker's refusals; nothing is changed then. */
export async function connectContainer(
  engine: ConnectEngine,
  container: Container,
  network: { id: string; name: string },
  requested: EndpointSettings,
): Promise<void> {
  const { record } = container;
  if (record.networks['none'] !== undefined && isActive(container.state)) {
    throw new DaemonError(
      'Forbidden',
      'container cannot be connected to multiple networks with one of the networks in private (none) mode',
    );
  }
  const networks = { ...record.networks, [network.name]: { networkId: network.id, requested } };
  const pod = isActive(container.state) ? engine.pods.find(record.podId) : undefined;
  if (pod === undefined) {
    engine.registry.update(container, { networks });
    return;
  }
  const before = recordedEndpoints(record);
  const nic = freeNic(pod, before);
  const endpoint = await engine.networks.allocate(endpointRequest(record, network.id, requested));
  const added: AttachedEndpoint = { networkName: network.name, endpoint, nic };
  const after = [...before, added];
  try {
    // Only a container that had no way out gets one here: Docker keeps the gateway it has.
    const hadGateway = before.some((known) => known.endpoint.ipv4Gateway !== '');
    await pod.vm.agent.request('pod.interface.add', {
      interface: guestInterface(podInterface(added)),
      routes: hadGateway ? [] : defaultRoutes([podInterface(added)]),
    });
    await attachNic(engine.networks, pod.vm, added);
  } catch (error) {
    await takeOff(engine, pod, added, container.id);
    throw error;
  }
  engine.registry.update(container, { networks: networksWith({ ...record, networks }, after) });
  await rewriteFiles(engine, pod, container, after);
  publishNetworkEvents(engine, record, [added], 'connect');
}

/** In the container's queue; it is connected. */
export async function disconnectContainer(
  engine: ConnectEngine,
  container: Container,
  networkName: string,
): Promise<void> {
  const { record } = container;
  const networks = Object.fromEntries(
    Object.entries(record.networks).filter(([name]) => name !== networkName),
  );
  const before = recordedEndpoints(record);
  const gone = before.find((known) => known.networkName === networkName);
  const pod = isActive(container.state) ? engine.pods.find(record.podId) : undefined;
  if (pod === undefined || gone === undefined) {
    engine.registry.update(container, { networks });
    return;
  }
  const after = before.filter((known) => known !== gone);
  const ports = before[0] === gone ? [] : record.publishedPorts;
  // Published ports lead to the first endpoint.
  if (before[0] === gone && record.publishedPorts.length > 0) await engine.networks.unpublish(record.id);
  await takeOff(engine, pod, gone, record.id);
  const next = after.find((known) => known.endpoint.ipv4Gateway !== '');
  if (next !== undefined && gone.endpoint.ipv4Gateway !== '') {
    await pod.vm.agent.request('pod.interface.add', {
      interface: guestInterface(podInterface(next)),
      routes: defaultRoutes([podInterface(next)]),
    });
  }
  engine.registry.update(container, {
    networks: networksWith({ ...record, networks }, after),
    publishedPorts: ports,
  });
  await rewriteFiles(engine, pod, container, after);
  // twice, as dockerd does
  publishNetworkEvents(engine, record, [gone, gone], 'disconnect');
}

/** VMs have a fixed number of NICs: the machine has no hot-plug for more. */
function freeNic(pod: RunningPod, endpoints: readonly AttachedEndpoint[]): number {
  const taken = new Set(endpoints.map(({ nic }) => nic));
  const free = pod.vm.nics.find(({ index }) => !taken.has(index));
  if (free !== undefined) return free.index;
  throw new DaemonError(
    'Forbidden',
    `a running container can be on at most ${pod.vm.nics.length} networks: disconnect it from another one first`,
  );
}

/** Every step is tried. */
async function takeOff(
  engine: ConnectEngine,
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

/** /etc/hosts has a line for each address, and names are asked of a network's own name server. */
async function rewriteFiles(
  engine: ConnectEngine,
  pod: RunningPod,
  container: Container,
  endpoints: readonly AttachedEndpoint[],
): Promise<void> {
  // The forwarder on 127.0.0.11 is there only if the Pod began with one; else the network's server is named itself.
  const began = recordedEndpoints(container.record)[0]?.networkName;
  for (const file of networkFiles(engine, container.record, endpoints)) {
    if (file.path === '/etc/hostname') continue;
    const isResolver = file.path === '/etc/resolv.conf';
    if (isResolver && began !== 'bridge') continue;
    const server = endpoints.find(({ networkName }) => networkName !== 'bridge')?.endpoint.dnsServers[0];
    const text = Buffer.from(file.contentBase64, 'base64').toString();
    const contentBase64 =
      isResolver && server !== undefined
        ? Buffer.from(text.replaceAll('127.0.0.11', server)).toString('base64')
        : file.contentBase64;
    await pod.vm.agent
      .request('container.file', { id: container.id, path: file.path, contentBase64 })
      .catch((error: unknown) =>
        log.warn('a file of the container could not be renewed', { path: file.path, error }),
      );
  }
}
