// What follows when a container's process ends: the record, the event, the waiters, and then a restart, a removal or
// a Pod brought to rest.

import { log } from '../../log';
import { wantedPorts } from '../../semantics/networks/wanted-ports';
import type { ExitStatus } from '../../vm/contract/protocol';
import type { VmEnd } from '../../vm/contract/vm';
import {
  networksWith,
  publishNetworkEvents,
  recordedEndpoints,
  releaseEndpoints,
  type NetworkLayer,
} from '../networks/container-network';
import {
  diskMounts,
  eventAttributes,
  type ContainerRecord,
} from '../../semantics/containers/container-record';
import type { Container, ContainerRegistry } from '../core/container-registry';
import { removeStopped, type RemovalNeeds } from './remove';
import { isActive, type ExitFacts, type RunFacts } from '../../semantics/containers/container-state';
import { unplugInterfaces } from '../networks/pod-interfaces';
import type { RunningPod } from '../vms/running-pod';
import { shouldRestart } from '../../semantics/containers/restart-policy';
import { formatTimestamp, nowNanoseconds, nowTimestamp, parseTimestamp } from '../../go/timestamp';
import type { VolumeStore } from '../../storage/disks/volume-store';
import type { Announcer } from '../../semantics/events/event-publisher';
import type { RestartTimers } from '../core/restart-timers';
import type { Pods } from '../vms/pods';
import type { BackgroundWork } from '../../async/background-work';
import type { Engine, HostFollowing } from '../engine';
import type { ContainerWaits } from '../../semantics/containers/container-wait';
import { publishVolumeEvents } from '../../semantics/events/volume-events';

/** What the end of a run is recorded and announced with, and its network given back. */
export type RunEndNeeds = NetworkLayer &
  Announcer & {
    readonly registry: ContainerRegistry;
    readonly background: BackgroundWork;
    readonly networkReleases: BackgroundWork;
    readonly hostNetworks: Pick<HostFollowing, 'stop'>;
    readonly volumes: Pick<VolumeStore, 'tmpfs'>;
  };

/** What an exit works with: what follows it may be a removal. */
export type ExitNeeds = RunEndNeeds &
  RemovalNeeds &
  Pick<Engine, 'beforeRest' | 'endExecs'> & {
    readonly pods: Pick<Pods, 'isUp' | 'isPinned' | 'leave'>;
    readonly restarts: Pick<RestartTimers, 'schedule'>;
    readonly waits: Pick<ContainerWaits, 'exited'>;
  };

/** What a process killed by the end of its VM shows: as if by SIGKILL. */
const killedExitCode = 137;

/** The agent reported the exit of a container's first process. `ack` is called when it is recorded. */
export function onContainerExit(
  engine: ExitNeeds,
  container: Container,
  pod: RunningPod,
  status: ExitStatus,
  ack: () => void,
): Promise<void> {
  return container.operations.run(async () => {
    const run = container.state;
    if (!isActive(run) || run.vmId !== pod.vm.id) {
      ack();
      return;
    }
    await recordExit(engine, container, pod, run, {
      exitCode: status.exitCode,
      error: '',
      oomKilled: status.oomKilled || run.oomKilled,
      finishedAt: exitTime(status, run),
    });
    ack();
    await afterExit(engine, container, pod, run, true);
  });
}

/** The VM of a running Pod is gone although nobody ended it. */
export function onPodLost(
  engine: ExitNeeds,
  container: Container,
  pod: RunningPod,
  end: VmEnd,
): Promise<void> {
  return container.operations.run(async () => {
    const run = container.state;
    if (!isActive(run) || run.vmId !== pod.vm.id) return;
    log.warn('VM of a running container is gone', {
      containerId: container.id,
      vmId: pod.vm.id,
      cause: end.cause,
      reason: end.message,
    });
    await recordExit(engine, container, pod, run, {
      exitCode: killedExitCode,
      error: `virtual machine ended: ${end.message}`,
      oomKilled: run.oomKilled,
    });
    await afterExit(engine, container, pod, run, false);
  });
}

/** `finishedAt` absent: now. */
type HowItEnded = Pick<ExitFacts, 'exitCode' | 'error' | 'oomKilled'> & { finishedAt?: string };

/** News of an exit that is older than this came late, since no daemon was there. */
const lateNewsMs = 2000;

/** The guest's time of an exit that was reported late, as far as it can be believed; else the present. */
function exitTime(status: ExitStatus, run: RunFacts): string {
  const time = BigInt(Math.floor(status.timeMs)) * 1_000_000n;
  const now = nowNanoseconds();
  const late = now - time > BigInt(lateNewsMs) * 1_000_000n;
  return late && time > parseTimestamp(run.startedAt) ? formatTimestamp(time) : formatTimestamp(now);
}

async function recordExit(
  engine: ExitNeeds,
  container: Container,
  pod: RunningPod,
  run: RunFacts,
  how: HowItEnded,
): Promise<void> {
  const running = pod.containers.get(container.id);
  // The last output is in the log, and with the clients, before anyone learns of the exit.
  await running?.stdio.finish();
  await running?.writer
    .close()
    .catch((error: unknown) => log.error('log could not be closed', { containerId: container.id, error }));
  pod.containers.delete(container.id);
  engine.endExecs(container);
  const attached = recordedEndpoints(container.record);
  const released = exitTransition(engine, container, run, how);
  // Those that share its network keep the namespace, with nothing but a loopback, as under dockerd.
  if (!pod.ownsEndpoints && pod.members.size > 1 && engine.pods.isUp(pod))
    engine.background.add(released.then(() => unplugInterfaces(engine, pod, attached)));
}

/**
 * The step of the state machine, and the `die` event. Also for runs that ended while no daemon was there. Resolves, and never
 * rejects, when its ports and addresses are free. `settled`: no policy answers this exit.
 */
export function exitTransition(
  engine: RunEndNeeds,
  container: Container,
  run: RunFacts,
  how: HowItEnded,
  settled = false,
): Promise<void> {
  const { record } = container;
  const restarts =
    !settled &&
    shouldRestart(record.hostConfig.RestartPolicy, {
      exitCode: how.exitCode,
      manuallyStopped: record.manuallyStopped,
      restartCount: record.restartCount,
    });
  const exit: ExitFacts = { finishedAt: nowTimestamp(), ...how, startedAt: run.startedAt };
  const attached = recordedEndpoints(record);
  engine.registry.transition(
    container,
    { kind: restarts ? 'exitToRestart' : 'exit', exit },
    { networks: networksWith(record, []), publishedPorts: [] },
  );
  engine.events.publish('container', 'die', container.id, {
    ...eventAttributes(container.record),
    exitCode: String(how.exitCode),
  });
  publishNetworkEvents(engine, record, attached, 'disconnect');
  publishVolumeEvents(engine.events, record, 'unmount');
  engine.background.add(engine.volumes.tmpfs.leave(record.id));
  const released = releaseNetwork(engine, record, attached);
  engine.networkReleases.add(released);
  engine.background.add(released);
  return released;
}

async function releaseNetwork(
  engine: NetworkLayer & Pick<RunEndNeeds, 'hostNetworks'>,
  record: ContainerRecord,
  attached: ReturnType<typeof recordedEndpoints>,
): Promise<void> {
  const followed = attached.some(({ endpoint }) => endpoint.host !== undefined);
  if (followed) await engine.hostNetworks.stop(record.id);
  if (followed || wantedPorts(record).length > 0) {
    await engine.networks
      .unpublish(record.id)
      .catch((error: unknown) => log.warn('ports could not be freed', { containerId: record.id, error }));
  }
  await releaseEndpoints(engine, record.id, attached);
}

/** `alive`: the guest can still bring what was written to the disk. */
async function afterExit(
  engine: ExitNeeds,
  container: Container,
  pod: RunningPod,
  run: RunFacts,
  alive: boolean,
): Promise<void> {
  if (container.state.kind === 'restarting') {
    const ranForMs = Number((parseTimestamp(nowTimestamp()) - parseTimestamp(run.startedAt)) / 1_000_000n);
    engine.restarts.schedule(container.id, ranForMs);
    if (alive) {
      await container.fileUses.leftAlone();
      await engine.pods.leave(pod, container.id, { keepData: true });
    }
    return;
  }
  engine.waits.exited(container);
  if (alive) await container.fileUses.leftAlone();
  if (container.record.hostConfig.AutoRemove) {
    // Nobody will read the disk again: the VM need not write it back, and nobody waits for its end.
    const shared = pod.members.size > 1 || engine.pods.isPinned(pod.id);
    const keepData = diskMounts(container.record).length > 0;
    const ended = alive ? engine.pods.leave(pod, container.id, { keepData }) : Promise.resolve();
    engine.background.add(ended);
    // Others go on in this VM: it must have let go of the disk before that is removed. Or a volume's disk is the next one's.
    if (shared || keepData) await ended;
    await removeStopped(engine, container).catch((error: unknown) =>
      log.error('container could not be removed after its exit', { containerId: container.id, error }),
    );
    return;
  }
  if (!alive) return;
  // Still in the queue: the next start finds the disk complete and free.
  const how = (await engine.beforeRest.get(container.id)?.(pod)) ?? { keepData: true };
  await engine.pods.leave(pod, container.id, how);
}
