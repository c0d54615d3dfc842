// Composes the engine's memory, and hands what its VMs tell to the verbs it is for.

import { BackgroundWork } from '../../async/background-work';
import { Gates } from '../../async/gates';
import { log } from '../../log';
import type { AgentEvent } from '../../vm/contract/protocol';
import type { VmEnd } from '../../vm/contract/vm';
import { eventAttributes } from '../../semantics/containers/container-record';
import { ContainerWaits } from '../../semantics/containers/container-wait';
import type { EngineContext } from '../core/engine-context';
import { PodHolds } from '../core/pod-holds';
import { RestartTimers } from '../core/restart-timers';
import type { Engine } from '../engine';
import { FileHolders } from '../files/container-files';
import { onContainerExit, onPodLost } from '../lifecycle/exit';
import { runContainer } from '../lifecycle/start';
import { Execs } from '../sessions/exec';
import { GuestStats } from '../views/stats';
import { FileJobs } from '../streams/file-jobs';
import { StreamHubs } from '../../semantics/streams/stream-hub';
import { Adoptions } from '../vms/adoptions';
import { HostNetworks } from '../networks/host-network';
import { Pods } from '../vms/pods';
import type { RunningPod } from '../vms/running-pod';
import { SocketTunnels } from '../vms/socket-tunnels';

/** One of each for the life of the daemon. */
export function createEngine(context: EngineContext): { engine: Engine; execs: Execs; stats: GuestStats } {
  const fileJobs = new FileJobs();
  const engine: Engine = {
    ...context,
    fileJobs,
    sockets: new SocketTunnels(),
    hostNetworks: new HostNetworks(context),
    fileHolders: new FileHolders(context, fileJobs),
    hubs: new StreamHubs(),
    waits: new ContainerWaits(),
    background: new BackgroundWork(),
    networkReleases: new BackgroundWork(),
    consoleSizes: new Map(),
    beforeRest: new Map(),
    podGates: new Gates(),
    podHolds: new PodHolds(),
    adoptions: new Adoptions(),
    pods: new Pods(context, {
      onEvent: (pod, event, ack) => onAgentEvent(engine, execs, { pod, event, ack }),
      onTunnel: (pod, tunnel) => engine.sockets.serve(pod, tunnel),
      onLost: (pod, end) => onLost(engine, pod, end),
    }),
    restarts: new RestartTimers((id) => restartByPolicy(engine, id)),
    endExecs: (container) => execs.endAll(container),
  };
  const execs = new Execs(engine);
  return { engine, execs, stats: new GuestStats(engine) };
}

function onAgentEvent(
  engine: Engine,
  execs: Execs,
  { pod, event, ack }: { pod: RunningPod; event: AgentEvent; ack: () => void },
): void {
  const { registry } = engine;
  if (event.event === 'oom') {
    const container = registry.byId(event.containerId);
    if (container !== undefined) {
      // Also of a run that is not recorded yet, or no more: clients are told of it all the same, as by dockerd.
      registry.tryTransition(container, { kind: 'oom' });
      engine.events.publish('container', 'oom', container.id, eventAttributes(container.record));
    }
    ack();
    return;
  }
  if (event.kind === 'exec') {
    if (engine.fileJobs.onExit(event.id, event.status)) ack();
    else settle(execs.onExit(event.id, event.status, ack));
    return;
  }
  const container = registry.byId(event.id);
  if (container === undefined) ack();
  else settle(onContainerExit(engine, container, pod, event.status, ack));
}

function onLost(engine: Engine, pod: RunningPod, end: VmEnd): void {
  for (const id of pod.members.keys()) {
    const container = engine.registry.byId(id);
    if (container !== undefined) settle(onPodLost(engine, container, pod, end));
  }
}

/** A pause of the restart policy is over. */
function restartByPolicy(engine: Engine, containerId: string): void {
  const container = engine.registry.byId(containerId);
  if (container === undefined) return;
  const work = container.operations.run(async () => {
    if (container.state.kind !== 'restarting') return;
    const { restartCount } = container.record;
    await runContainer(engine, container, { restartCount: restartCount + 1, manuallyStopped: false });
  });
  settle(work);
}

/** For work that nobody waits for and whose failure only the log learns of. */
function settle(work: Promise<unknown>): void {
  work.catch((error: unknown) => log.error('background work on a container failed', { error }));
}
