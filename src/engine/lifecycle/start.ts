// lifecycle/: a container from its start to its exit, its removal, and what the next daemon makes of it.
//
// ContainerStart: an Idle VM becomes the container's, or it comes into one that runs. Steps run side by side where they can,
// and all of them are undone when one fails. What the ways into a VM do otherwise than each other is in entrances/.

import { randomBytes } from 'node:crypto';
import type { Config } from '../../config';
import { DaemonError, errorMessage, isDaemonError } from '../../errors';
import { nowTimestamp } from '../../go/timestamp';
import { log } from '../../log';
import { onlyContainer } from '../../translate/pod';
import { guestContainer } from '../../translate/pod-to-guest';
import { guestEmulator, guestRootfs, guestTrees } from '../../translate/pod-to-vm';
import type { Agent } from '../../vm/contract/agent';
import type { GuestContainerSpec } from '../../vm/contract/protocol';
import type { ContainerLogs, ContainerLogWriter } from '../core/container-log';
import { eventAttributes, type ContainerRecord } from '../../semantics/containers/container-record';
import { requireStartable } from '../../semantics/containers/container-refusals';
import type { Container, StepChanges } from '../core/container-registry';
import { isActive, type RunFacts } from '../../semantics/containers/container-state';
import type { ContainerWaits } from '../../semantics/containers/container-wait';
import { withRunDefaults } from '../../semantics/create/daemon-defaults';
import type { RestartTimers } from '../core/restart-timers';
import { generalFailureCode, logStartError, startFailure } from '../../semantics/containers/runtime-errors';
import { requireBindSources } from '../mounts/container-mounts';
import { mergeMounts, withHostPaths } from '../mounts/container-shares';
import { fillFromUnstarted, type UnstartedNeeds } from '../mounts/share-filling';
import { apiSocketPath } from '../../config';
import { renewLinkingHosts, type HostsNeeds } from '../networks/connect';
import { networksWith, publishNetworkEvents, publishPorts } from '../networks/container-network';
import type { HostFollowing } from '../engine';
import { ProcessStdio } from '../streams/stdio';
import type { StreamHubs } from '../../semantics/streams/stream-hub';
import { publishVolumeEvents } from '../../semantics/events/volume-events';
import type { Adoptions } from '../vms/adoptions';
import { namedPodIdOf, namedPodOf } from '../vms/named-pods';
import { disksOf, type DiskStores } from '../vms/pod-plan';
import type { AttachedEndpoint } from '../vms/running-pod';
import { requireBlockDevices, requireDeviceNodes } from './block-devices';
import type { StoredCheckpoint } from './checkpoints/checkpoint-store';
import { podOf, type PodSources } from './container-pod';
import type { Arrival, Entered, Entrance, Shared } from './entrances/entrance';
import { Joined, type JoinedNeeds } from './entrances/joined';
import { NamedPod, type NamedPodNeeds } from './entrances/named-pod';
import { OwnVm, type OwnVmNeeds } from './entrances/own-vm';
import { Restored, type RestoredNeeds } from './entrances/restored';
import { Taken } from './entrances/taken';
import { donorsOf, placeContainer } from './entrances/placement';
import { removeStopped, type RemovalNeeds } from './remove';

/** What each of the ways in works with. */
type EntranceNeeds = OwnVmNeeds & NamedPodNeeds & JoinedNeeds & RestoredNeeds & HostsNeeds;

/** What a start works with: it takes something of everybody. */
export type StartNeeds = EntranceNeeds &
  DiskStores &
  PodSources &
  UnstartedNeeds &
  RemovalNeeds & {
    readonly config: Pick<Config, 'hosts'>;
    readonly logs: Pick<ContainerLogs, 'openLog'>;
    readonly hubs: Pick<StreamHubs, 'of'>;
    readonly waits: Pick<ContainerWaits, 'exited'>;
    readonly adoptions: Pick<Adoptions, 'settled' | 'settledPod'>;
    readonly restarts: Pick<RestartTimers, 'forget' | 'schedule'>;
    readonly hostNetworks: Pick<HostFollowing, 'follow'>;
    readonly consoleSizes: Map<string, { rows: number; columns: number }>;
  };

/** Of its restarts, and of who stopped it last. */
type Counters = Pick<ContainerRecord, 'restartCount' | 'manuallyStopped'>;

/** What is known of a run once its process exists. */
type Begun = Pick<RunFacts, 'runId' | 'pid' | 'channels'> & {
  publishedPorts: Awaited<ReturnType<typeof publishPorts>>;
  shared: Shared;
};

/** A start that a user asked for. Call it in the container's queue. */
export async function startContainer(
  engine: StartNeeds,
  container: Container,
  findCheckpoint?: () => Promise<StoredCheckpoint>,
): Promise<void> {
  requireStartable(container);
  await requireBindSources(container.record.hostConfig, apiSocketPath(engine.config.hosts));
  engine.restarts.forget(container.id);
  await runContainer(engine, container, { restartCount: 0, manuallyStopped: false }, findCheckpoint);
}

/** Starts it from created, exited or restarting, and records these counters with the new state. In the container's queue. */
export async function runContainer(
  engine: StartNeeds,
  container: Container,
  counters: Counters,
  findCheckpoint?: () => Promise<StoredCheckpoint>,
): Promise<void> {
  const startedAt = performance.now();
  await whereItBelongsIsKnown(engine, container.record);
  await engine.pods.vacated(container.record.podId);
  await engine.fileHolders.release(container.id);
  const taken = new Taken(container.id);
  try {
    const checkpoint = await findCheckpoint?.();
    const arrival = await arrivalOf(engine, container, taken);
    await bringIn(engine, arrival, await entranceOf(engine, arrival, checkpoint), counters);
    log.debug('container started', {
      containerId: container.id,
      startMs: Math.round(performance.now() - startedAt),
    });
  } catch (error) {
    const failure = startFailure(error, (text) => withHostPaths(container.record, text));
    engine.hubs.of(container.id).endRun();
    await taken.giveBack();
    // A policy answers the end of a workload: that a VM was lost, or none was to be had, is no end of it.
    if (container.state.kind === 'restarting' && isDaemonError(failure.error, 'Unavailable')) {
      engine.registry.update(container, { networks: networksWith(container.record, []), publishedPorts: [] });
      engine.restarts.schedule(container.id, 0);
      throw failure.error;
    }
    // Nothing fails behind the record of a start; should it all the same, that failure is the one to tell.
    engine.registry.tryTransition(
      container,
      { kind: 'startFailed', exitCode: failedExitCode(container, failure), error: failure.error.message },
      { networks: networksWith(container.record, []), publishedPorts: [] },
    );
    engine.waits.exited(container);
    if (container.record.hostConfig.AutoRemove) {
      await removeStopped(engine, container).catch((removeError: unknown) =>
        log.error('container could not be removed after a failed start', {
          containerId: container.id,
          error: removeError,
        }),
      );
    }
    throw failure.error;
  }
}

/** An earlier daemon may have left the Pod that it comes into, or that of whom it joins. Throws Unavailable. */
async function whereItBelongsIsKnown(engine: StartNeeds, record: ContainerRecord): Promise<void> {
  const podId = namedPodIdOf(record);
  if (podId !== undefined) await engine.adoptions.settledPod(podId);
  for (const donor of donorsOf(engine, record)) await engine.adoptions.settled(donor);
}

/** dockerd keeps the code of an earlier end where it knows no better one. */
function failedExitCode({ state }: Container, failure: { exitCode: number }): number {
  if (failure.exitCode !== generalFailureCode || isActive(state) || state.exitCode === 0) {
    return failure.exitCode;
  }
  return state.exitCode;
}

/** What there is of the container before it has a VM. */
async function arrivalOf(engine: StartNeeds, container: Container, taken: Taken): Promise<Arrival> {
  const { record: own } = container;
  const hostConfig = withRunDefaults(own.hostConfig, engine.config.containerDefaults);
  const record: ContainerRecord = { ...own, hostConfig };
  await fillFromUnstarted(engine, container);
  await requireDeviceNodes(hostConfig);
  const pod = podOf(engine, own);
  const spec = onlyContainer(pod);
  await requireBlockDevices(record.hostConfig);
  return { container, record, pod, spec, disks: await disksOf(engine, record), taken };
}

/** Throws what speaks against the way that the container has to take. */
async function entranceOf(
  engine: EntranceNeeds,
  arrival: Arrival,
  checkpoint: StoredCheckpoint | undefined,
): Promise<Entrance> {
  if (checkpoint !== undefined) return Restored.from(engine, arrival, checkpoint);
  if (namedPodOf(arrival.record) !== undefined) return new NamedPod(engine, arrival);
  const joining = placeContainer(engine, arrival.record);
  return joining === undefined ? new OwnVm(engine, arrival) : new Joined(engine, arrival, joining);
}

/** From the log to the events that tell of the start. Whatever it takes is put down at once. */
async function bringIn(
  engine: StartNeeds,
  arrival: Arrival,
  entrance: Entrance,
  counters: Counters,
): Promise<void> {
  const { container, record } = arrival;
  const runId = randomBytes(6).toString('hex');
  const opening = openLog(engine, arrival, runId, entrance);
  const entered = await entrance.enter();
  const { pod, attached, ready } = entered;
  const publishing = publish(engine, arrival, entered.reachedAt);
  arrival.taken.onHost.push('volumes in memory could not be left', () =>
    engine.volumes.tmpfs.leave(record.id),
  );
  const shared = await entrance.share(pod);
  const writer = await opening;
  const { agent } = pod.vm;
  const channels = entrance.channels(agent);
  // Before the request that names the channels: output may come at once.
  const stdio = new ProcessStdio(agent, channels, engine.hubs.of(record.id), writer);
  arrival.taken.inVm.push('streams could not be ended', () => stdio.abandon());
  pod.containers.set(record.id, { stdio, writer });
  const surroundings = entrance.surroundings(attached);
  const request = (): { container: GuestContainerSpec } =>
    startRequest(engine, arrival, { entered, shared, surroundings, channels });
  const beginning = entrance.begin({ entered, filling: shared.filling, files: surroundings.files, request });
  const [{ pid }, publishedPorts] = await Promise.all([
    // A Pod that could not be made is the reason to tell, not the container that misses it.
    beginning.catch(async (error: unknown) => {
      await ready;
      throw error;
    }),
    publishing,
    ready,
  ]);
  stdio.openInput();
  const begun = { runId, pid, channels, publishedPorts, shared };
  engine.registry.transition(container, ...startEvent(engine, arrival, entrance, entered, begun, counters));
  engine.hostNetworks.follow(record.id, pod, attached);
  await entrance.keep();
  await applyLateSize(engine, agent, record.id);
  await renewLinkingHosts(engine, record.id);
  // Only now: it takes the CPUs that the start needed.
  void pod.handOver?.takeOut(pod);
  publishNetworkEvents(engine, record, attached, 'connect');
  publishVolumeEvents(engine.events, record, 'mount');
  engine.events.publish('container', 'start', record.id, eventAttributes(container.record));
}

/** The step of the state machine, and what is recorded with it. */
function startEvent(
  engine: Pick<StartNeeds, 'networks'>,
  { container, record }: Arrival,
  entrance: Entrance,
  { pod, attached }: Entered,
  { publishedPorts, shared, ...begun }: Begun,
  counters: Counters,
): [{ kind: 'start'; run: RunFacts }, StepChanges] {
  const run: RunFacts = {
    ...begun,
    vmId: pod.vm.id,
    startedAt: nowTimestamp(),
    finishedAt: container.state.finishedAt,
    oomKilled: false,
    ...(Object.keys(shared.sockets).length === 0 ? {} : { sockets: shared.sockets }),
    ...(shared.names === undefined ? {} : { shareNames: shared.names }),
  };
  const networks = networksWith(record, attached);
  // An endpoint that has nothing, and of which only its names are told.
  if (networks['none'] !== undefined) networks['none'].networkId = engine.networks.resolve('none').id;
  return [
    { kind: 'start', run },
    { ...counters, podId: pod.id, ...entrance.recorded(), networks, publishedPorts },
  ];
}

/** Goes on beside what follows. */
function openLog(
  { logs }: Pick<StartNeeds, 'logs'>,
  { record, taken }: Arrival,
  runId: string,
  { logged }: Pick<Entrance, 'logged'>,
): Promise<ContainerLogWriter> {
  const opening = logs.openLog(record, runId, logged).catch((error: unknown) => {
    throw new DaemonError('Internal', logStartError(errorMessage(error)), { cause: error });
  });
  // It is awaited later; a failure of something else before must not make it count as unhandled.
  opening.catch(() => undefined);
  taken.onHost.push('log could not be closed', async () => (await opening.catch(() => undefined))?.close());
  return opening;
}

/** Goes on beside what follows. */
function publish(
  engine: Pick<StartNeeds, 'networks'>,
  { record, taken }: Arrival,
  reachedAt: readonly AttachedEndpoint[],
): ReturnType<typeof publishPorts> {
  const publishing = publishPorts(engine, record, reachedAt);
  // As above.
  publishing.catch(() => undefined);
  taken.onHost.push('ports could not be freed', async () => {
    await publishing.catch(() => undefined);
    await engine.networks.unpublish(record.id);
  });
  return publishing;
}

/** What the guest is asked for the process. */
function startRequest(
  engine: Pick<StartNeeds, 'consoleSizes'>,
  { record, spec, disks }: Arrival,
  given: {
    entered: Entered;
    shared: Shared;
    surroundings: ReturnType<Entrance['surroundings']>;
    channels: RunFacts['channels'];
  },
): { container: GuestContainerSpec } {
  const { files, sysctls, ownNetwork } = given.surroundings;
  const container = { ...spec, mounts: mergeMounts(spec.mounts, given.shared.filling.mounts), sysctls };
  return {
    container: guestContainer(container, {
      rootfs: guestRootfs(given.entered.luns, disks),
      trees: guestTrees(given.entered.luns, disks),
      ...guestEmulator(given.entered.luns, disks),
      files,
      channels: given.channels,
      ownNetwork,
      ...firstConsoleSize(engine, record),
    }),
  };
}

/** A size that a client asked for while the guest was at it. */
async function applyLateSize(
  { consoleSizes }: Pick<StartNeeds, 'consoleSizes'>,
  agent: Agent,
  id: string,
): Promise<void> {
  const size = consoleSizes.get(id);
  if (size === undefined) return;
  consoleSizes.delete(id);
  await agent
    .request('process.resize', { id, ...size })
    .catch((error: unknown) => log.debug('terminal could not be resized', { containerId: id, error }));
}

function firstConsoleSize(
  { consoleSizes }: Pick<StartNeeds, 'consoleSizes'>,
  record: ContainerRecord,
): { consoleSize?: { rows: number; columns: number } } {
  if (!record.config.Tty) return {};
  const [rows, columns] = record.hostConfig.ConsoleSize;
  const asked = consoleSizes.get(record.id);
  consoleSizes.delete(record.id);
  if (asked !== undefined) return { consoleSize: asked };
  return rows > 0 && columns > 0 ? { consoleSize: { rows, columns } } : {};
}
