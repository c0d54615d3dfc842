// At the daemon's start: every record, VM, endpoint and disk is brought to the truth.

import { readdir, rm } from 'node:fs/promises';
import { errorMessage } from '../../errors';
import { log } from '../../log';
import type { AgentHello } from '../../vm/contract/protocol';
import type { Vm } from '../../vm/contract/vm';
import { checkpointsOf } from './checkpoint';
import { RestoredDisk } from './checkpoints/restore';
import { exitTransition, type RunEndNeeds } from './exit';
import { isContainerId } from '../core/container-names';
import {
  publishPorts,
  recordedEndpoints,
  releaseEndpoints,
  type NetworkLayer,
} from '../networks/container-network';
import type { Container, ContainerRegistry } from '../core/container-registry';
import { containerDirectory, removeStopped, type DataRoot } from './remove';
import { donorsOf } from './entrances/placement';
import { runContainer, type StartNeeds } from './start';
import { disksOf, type DiskStores } from '../vms/pod-plan';
import { isActive, type RunFacts } from '../core/container-state';
import { endVm } from '../vms/end-vm';
import { unplugInterfaces } from '../networks/pod-interfaces';
import { namedPodIdOf } from '../vms/named-pods';
import type { AttachedEndpoint, RunningPod } from '../vms/running-pod';
import { startsWithDaemon } from '../core/restart-policy';
import { ProcessStdio, type StdioChannels } from '../streams/stdio';
import type { Pods } from '../vms/pods';
import type { LayerStore, WritableDiskStore } from '../../storage/contract/stores';
import type { ContainerLogs } from '../core/container-log';
import type { StreamHubs } from '../streams/stream-hub';
import type { SocketTunnels } from '../vms/socket-tunnels';

/** What a process that outlived its daemon is taken up with. */
type AdoptionNeeds = NetworkLayer &
  DiskStores & {
    readonly registry: ContainerRegistry;
    readonly logs: Pick<ContainerLogs, 'openLog'>;
    readonly hubs: Pick<StreamHubs, 'of'>;
    readonly sockets: Pick<SocketTunnels, 'allow'>;
    readonly pods: Pick<Pods, 'of' | 'adopt'>;
  };

/** Where something may be left of containers that are no more. */
interface Leftovers extends DataRoot {
  readonly registry: Pick<ContainerRegistry, 'byId'>;
  readonly disks: Pick<WritableDiskStore, 'list' | 'remove'>;
  readonly layers: Pick<LayerStore, 'owners' | 'unreference'>;
}

/** What a Pod is rid of that an earlier daemon left in it. */
type TidyNeeds = NetworkLayer & {
  readonly registry: ContainerRegistry;
  readonly pods: Pick<Pods, 'find' | 'list' | 'tidy'>;
};

export type RecoveryNeeds = AdoptionNeeds & Leftovers & TidyNeeds & RunEndNeeds & StartNeeds;

/** What a container shows that was lost while no daemon was there, with the host for example. Docker's. */
const lostExitCode = 255;

/**
 * Run once, after the registry is loaded and the network is up. Resolves when every record is true; restarts that the
 * policies ask for go on in the background.
 */
export async function recoverContainers(engine: RecoveryNeeds, vms: readonly Vm[]): Promise<void> {
  const associated = new Map<string, Vm>();
  for (const vm of vms) {
    if (vm.state.kind === 'Associated') associated.set(vm.id, vm);
  }
  const containers = engine.registry.list();
  const wasRestarting = new Set(containers.filter(({ state }) => state.kind === 'restarting'));
  await Promise.all(
    containers.map((container) =>
      container.operations
        .run(() => recoverContainer(engine, container, associated))
        .catch((error: unknown) => {
          log.error('container could not be recovered', { containerId: container.id, error });
        }),
    ),
  );
  // Those without a member belong to no record that runs.
  const used = new Set(engine.pods.list().map(({ vm }) => vm.id));
  await Promise.all([...associated.values()].filter(({ id }) => !used.has(id)).map((vm) => endOrphan(vm)));
  await releasePodEndpoints(engine);
  await Promise.all(
    engine.pods.list().map(async (pod) => {
      await tidyPod(engine, pod);
      // an earlier daemon may have stopped them for a checkpoint
      await pod.cpus.run(() => pod.vm.resume());
      await thaw(engine, pod);
    }),
  );
  await removeOrphanDisks(engine);
  releaseOrphanLayers(engine);
  await removeOrphanDirectories(engine);
  const stopped = engine.registry
    .list()
    // a restart that is due since just now has its own timer
    .filter(
      (container) =>
        container.state.kind === 'exited' ||
        (container.state.kind === 'restarting' && wasRestarting.has(container)),
    );
  const starts = new Map<string, Promise<void>>();
  // Whoever joins another comes after it.
  const start = (container: Container): Promise<void> => {
    const begun = starts.get(container.id);
    if (begun !== undefined) return begun;
    starts.set(container.id, Promise.resolve()); // a circle of donors ends here
    const donors = donorsOf(engine, container.record).filter((donor) => stopped.includes(donor));
    const started = startByPolicy(engine, container, donors.map(start));
    starts.set(container.id, started);
    return started;
  };
  for (const container of stopped) void start(container);
}

/** What a start or an exit that was cut short has left in a VM that others run in. Never rejects. */
async function tidyPod(engine: TidyNeeds, pod: RunningPod): Promise<void> {
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
async function thaw(engine: Pick<TidyNeeds, 'registry'>, pod: RunningPod): Promise<void> {
  for (const id of pod.members.keys()) {
    if (engine.registry.byId(id)?.state.kind !== 'running') continue;
    await pod.vm.agent
      .request('container.freeze', { id, frozen: false })
      .catch((error: unknown) => log.warn('container may be frozen', { containerId: id, error }));
  }
}

async function recoverContainer(
  engine: RecoveryNeeds,
  container: Container,
  vms: ReadonlyMap<string, Vm>,
): Promise<void> {
  const { state } = container;
  await new RestoredDisk(engine.disks.path(container.id)).recover(isActive(state));
  await checkpointsOf(engine, container, container.id, '').removeUnfinished();
  if (isActive(state)) {
    // The client of a build has gone with its daemon.
    const vm = container.record.isBuildStep === true ? undefined : vms.get(state.vmId);
    if (vm !== undefined && (await adopt(engine, container, vm, state))) return;
    log.warn('container did not outlive the daemon', { containerId: container.id });
    const lost = { exitCode: lostExitCode, error: '', oomKilled: state.oomKilled };
    void exitTransition(engine, container, state, lost, true);
  } else {
    // A start or an exit that was cut short may have left an endpoint.
    const endpoints = engine.networks.endpointsOf(container.id);
    await releaseEndpoints(
      engine,
      container.id,
      endpoints.map((endpoint) => ({ endpoint })),
    );
  }
  const goes =
    container.state.kind === 'removing' ||
    container.record.isBuildStep === true ||
    ((container.state.kind === 'exited' || container.state.kind === 'created') &&
      container.record.hostConfig.AutoRemove);
  if (!goes) return;
  const unused = [...vms.values()].filter(
    (vm) =>
      vm.state.kind === 'Associated' &&
      vm.state.podId === container.record.podId &&
      activeOn(engine, vm).length === 0,
  );
  await Promise.all(unused.map((vm) => vm.end()));
  await removeStopped(engine, container);
}

/** Containers whose records say that they run on this VM. */
function activeOn(engine: Pick<TidyNeeds, 'registry'>, vm: Vm): Container[] {
  return engine.registry.list().filter(({ state }) => isActive(state) && state.vmId === vm.id);
}

/** Takes up the process where the last daemon left it. False: it isn't there any more. */
async function adopt(engine: AdoptionNeeds, container: Container, vm: Vm, run: RunFacts): Promise<boolean> {
  const { agent } = vm;
  const known = new Set(agent.hello.containers.map(({ id }) => id));
  if (!known.has(container.id)) return false;
  const writer = await engine.logs.openLog(container.record, run.runId);
  const channels = openChannels(agent.hello, run.channels);
  const stdio = new ProcessStdio(agent, channels, engine.hubs.of(container.id), writer);
  stdio.openInput();
  engine.sockets.allow(container.id, run.sockets ?? {});
  const members = activeOn(engine, vm).filter(({ id }) => known.has(id));
  const disks = await Promise.all(members.map(({ record }) => disksOf(engine, record)));
  // Each of them comes by here; the first takes up the Pod for all.
  const podId = vm.state.kind === 'Associated' ? vm.state.podId : container.record.podId;
  const pod = engine.pods.of(container) ?? engine.pods.adopt(podId, vm, disks, podEndpoints(members));
  pod.containers.set(container.id, { stdio, writer });
  await republish(engine, container);
  log.info('container adopted', { containerId: container.id, vmId: vm.id, pid: run.pid });
  return true;
}

/** Those of a named Pod, as its containers have them; undefined for a Pod without any of its own. */
function podEndpoints(members: readonly Container[]): AttachedEndpoint[] | undefined {
  const named = members.filter(({ record }) => namedPodIdOf(record) !== undefined);
  if (named.length === 0) return undefined;
  const byNic = new Map(
    named.flatMap(({ record }) => recordedEndpoints(record)).map((attached) => [attached.nic, attached]),
  );
  return [...byNic.values()];
}

/** Named Pods without a container that runs have no use for theirs. */
async function releasePodEndpoints(engine: TidyNeeds): Promise<void> {
  const podIds = new Set(engine.registry.list().flatMap(({ record }) => namedPodIdOf(record) ?? []));
  for (const podId of podIds) {
    if (engine.pods.find(podId) !== undefined) continue;
    const endpoints = engine.networks.endpointsOf(podId);
    await releaseEndpoints(
      engine,
      podId,
      endpoints.map((endpoint) => ({ endpoint })),
    );
  }
}

/** A channel that the guest has forgotten was read to its end by the last daemon. */
function openChannels(hello: AgentHello, channels: RunFacts['channels']): StdioChannels {
  const open = new Set(hello.channels.map(({ channel }) => channel));
  return Object.fromEntries(Object.entries(channels).filter(([, channel]) => open.has(channel)));
}

async function republish(engine: NetworkLayer, container: Container): Promise<void> {
  const { record } = container;
  if (record.publishedPorts.length === 0) return;
  try {
    await publishPorts(engine, record, recordedEndpoints(record), record.publishedPorts);
  } catch (error) {
    log.error('ports could not be published again', {
      containerId: container.id,
      reason: errorMessage(error),
    });
  }
}

/** Its Pod has no running record: a start that was cut short, an exit before its end, or a removed container. */
async function endOrphan(vm: Vm): Promise<void> {
  log.info('VM of no running container is ended', { vmId: vm.id });
  await endVm(vm, { keepData: true });
}

async function removeOrphanDisks(engine: Leftovers): Promise<void> {
  for (const id of await engine.disks.list()) {
    if (engine.registry.byId(id) !== undefined) continue;
    log.info('disk of no container is removed', { containerId: id });
    engine.layers.unreference(id);
    await engine.disks
      .remove(id)
      .catch((error: unknown) => log.error('disk could not be removed', { containerId: id, error }));
  }
}

/** A daemon that died between taking a container's layers and making its disk left these. */
function releaseOrphanLayers(engine: Leftovers): void {
  for (const owner of engine.layers.owners()) {
    if (!isContainerId(owner) || engine.registry.byId(owner) !== undefined) continue;
    log.info('layers of no container are released', { containerId: owner });
    engine.layers.unreference(owner);
  }
}

async function removeOrphanDirectories(engine: Leftovers): Promise<void> {
  const names = await readdir(containerDirectory(engine, '')).catch(() => []);
  for (const id of names) {
    if (engine.registry.byId(id) !== undefined) continue;
    await rm(containerDirectory(engine, id), { recursive: true, force: true }).catch((error: unknown) =>
      log.error('directory could not be removed', { containerId: id, error }),
    );
  }
}

/** Counts its restarts anew. Resolves when it is started, or has failed to: then that is logged. */
function startByPolicy(
  engine: StartNeeds & Pick<RunEndNeeds, 'background'>,
  container: Container,
  donors: readonly Promise<void>[],
): Promise<void> {
  const { record, state } = container;
  if (state.kind !== 'exited' && state.kind !== 'restarting') return Promise.resolve();
  if (!startsWithDaemon(record.hostConfig.RestartPolicy, { ...record, exitCode: state.exitCode })) {
    if (state.kind === 'restarting') engine.registry.transition(container, { kind: 'giveUp' });
    return Promise.resolve();
  }
  const start = Promise.all(donors)
    .then(() =>
      container.operations.run(async () => {
        if (container.state.kind !== state.kind) return;
        await runContainer(engine, container, { restartCount: 0, manuallyStopped: false });
      }),
    )
    .catch((error: unknown) =>
      log.error('container could not be started', { containerId: container.id, error }),
    );
  engine.background.add(start);
  return start;
}
