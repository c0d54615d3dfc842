// A Pod that outlived its daemon is taken up where that had left it: streams, log, events, and what was cut short in its VM.

import { errorMessage } from '../../errors';
import { log } from '../../log';
import type { AgentHello } from '../../vm/contract/protocol';
import type { Vm } from '../../vm/contract/vm';
import { publishPorts, recordedEndpoints, type NetworkLayer } from '../networks/container-network';
import type { Container, ContainerRegistry } from '../core/container-registry';
import type { ContainerLogs } from '../core/container-log';
import type { RunFacts } from '../../semantics/containers/container-state';
import { disksOf, type DiskStores } from '../vms/pod-plan';
import { unplugInterfaces } from '../networks/pod-interfaces';
import { namedPodIdOf } from '../vms/named-pods';
import type { AttachedEndpoint, RunningContainer, RunningPod } from '../vms/running-pod';
import { ProcessStdio, type StdioChannels } from '../streams/stdio';
import type { Pods } from '../vms/pods';
import type { StreamHubs } from '../../semantics/streams/stream-hub';
import type { HostFollowing } from '../engine';
import type { SocketTunnels } from '../vms/socket-tunnels';

/** What a Pod that outlived its daemon is taken up with. */
export type AdoptionNeeds = NetworkLayer &
  DiskStores & {
    readonly registry: ContainerRegistry;
    readonly logs: Pick<ContainerLogs, 'openLog'>;
    readonly hubs: Pick<StreamHubs, 'of'>;
    readonly sockets: Pick<SocketTunnels, 'allow'>;
    readonly pods: Pick<Pods, 'adopt' | 'tidy'>;
    readonly hostNetworks: Pick<HostFollowing, 'follow'>;
  };

/** A container, and the run of it that its record tells of. */
export interface RecordedRun {
  readonly container: Container;
  readonly run: RunFacts;
}

/**
 * `members`: those that the guest knows, at least one. Resolves when they can be worked with as if this daemon had started them;
 * rejects, and has taken up nothing, when they can't.
 */
export async function adoptPod(
  engine: AdoptionNeeds,
  vm: Vm,
  members: readonly RecordedRun[],
): Promise<void> {
  const containers = new Map<string, RunningContainer>();
  for (const member of members) containers.set(member.container.id, await takeUpStreams(engine, vm, member));
  const disks = await Promise.all(members.map(({ container }) => disksOf(engine, container.record)));
  const [first] = members;
  const podId = vm.state.kind === 'Associated' ? vm.state.podId : (first?.container.record.podId ?? '');
  // From here on exits are told, which need the streams.
  const pod = engine.pods.adopt(podId, vm, disks, { containers, endpoints: podEndpoints(members) });
  for (const { container, run } of members) {
    await republish(engine, container);
    engine.hostNetworks.follow(container.id, pod, recordedEndpoints(container.record));
    log.info('container adopted', { containerId: container.id, vmId: vm.id, pid: run.pid });
  }
  try {
    await tidyPod(engine, pod);
    // an earlier daemon may have stopped them for a checkpoint
    await pod.cpus.run(() => pod.vm.resume());
    await thaw(engine, pod);
  } catch (error) {
    log.warn('what an earlier daemon has begun in a VM could not be undone', { vmId: vm.id, error });
  }
}

async function takeUpStreams(
  engine: AdoptionNeeds,
  { agent }: Vm,
  { container, run }: RecordedRun,
): Promise<RunningContainer> {
  const writer = await engine.logs.openLog(container.record, run.runId);
  const channels = openChannels(agent.hello, run.channels);
  const stdio = new ProcessStdio(agent, channels, engine.hubs.of(container.id), writer);
  stdio.openInput();
  engine.sockets.allow(container.id, run.sockets ?? {});
  return { stdio, writer };
}

/** A channel that the guest has forgotten was read to its end by the last daemon. */
function openChannels(hello: AgentHello, channels: RunFacts['channels']): StdioChannels {
  const open = new Set(hello.channels.map(({ channel }) => channel));
  return Object.fromEntries(Object.entries(channels).filter(([, channel]) => open.has(channel)));
}

/** Those of a named Pod, as its containers have them; undefined for a Pod without any of its own. */
function podEndpoints(members: readonly RecordedRun[]): AttachedEndpoint[] | undefined {
  const named = members.filter(({ container }) => namedPodIdOf(container.record) !== undefined);
  if (named.length === 0) return undefined;
  const attached = named.flatMap(({ container }) => recordedEndpoints(container.record));
  return [...new Map(attached.map((endpoint) => [endpoint.nic, endpoint])).values()];
}

/** Listeners that are there, with what is connected to them, stay as they are. */
async function republish(engine: NetworkLayer, { record }: Container): Promise<void> {
  if (record.publishedPorts.length === 0) return;
  try {
    await publishPorts(engine, record, recordedEndpoints(record), record.publishedPorts);
  } catch (error) {
    log.error('ports could not be published again', { containerId: record.id, reason: errorMessage(error) });
  }
}

/** What a start or an exit that was cut short has left in a VM that others run in. Never rejects. */
async function tidyPod(engine: AdoptionNeeds, pod: RunningPod): Promise<void> {
  const strays = pod.vm.agent.hello.containers.filter(({ id }) => !pod.members.has(id));
  if (!(await engine.pods.tidy(pod, strays))) return;
  const used = new Set(
    [...pod.members.keys()].flatMap((id) => {
      const member = engine.registry.byId(id);
      return member === undefined ? [] : recordedEndpoints(member.record).map(({ nic }) => nic);
    }),
  );
  await unplugInterfaces(
    engine,
    pod,
    pod.vm.nics.filter(({ index }) => !used.has(index)).map(({ index }) => ({ nic: index })),
  );
}

/** A checkpoint that was cut short has left its container frozen. */
async function thaw(engine: Pick<AdoptionNeeds, 'registry'>, pod: RunningPod): Promise<void> {
  for (const id of pod.members.keys()) {
    if (engine.registry.byId(id)?.state.kind !== 'running') continue;
    await pod.vm.agent
      .request('container.freeze', { id, frozen: false })
      .catch((error: unknown) => log.warn('container may be frozen', { containerId: id, error }));
  }
}
