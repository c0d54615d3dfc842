// ContainerStop, ContainerKill, ContainerPause and ContainerUnpause.

import { settlesWithin } from '../../async/deadline';
import { DaemonError, isDaemonError } from '../../errors';
import { log } from '../../log';
import { stopSignal } from '../../semantics/containers/stop-signal';
import { isLinuxSignal, parseSignal, sigkill } from '../../translate/signals';
import { AgentError } from '../../vm/contract/agent-error';
import { eventAttributes } from '../../semantics/containers/container-record';
import { isActive } from '../../semantics/containers/container-state';
import { requirePod, type PodPlaces } from '../vms/guest-access';
import type { Container, ContainerRegistry } from '../core/container-registry';
import { HinderedVm, type Adoptions } from '../vms/adoptions';
import type { RunningPod } from '../vms/running-pod';
import type { Announcer } from '../../semantics/events/event-publisher';
import type { ContainerWaits } from '../../semantics/containers/container-wait';
import type { RestartTimers } from '../core/restart-timers';

/** What a pause works with. */
export type PauseNeeds = PodPlaces & Announcer & { readonly registry: ContainerRegistry };

/** What a signal works with, and what follows it. */
export type StopNeeds = PauseNeeds & {
  readonly adoptions: Pick<Adoptions, 'end'>;
  readonly waits: Pick<ContainerWaits, 'wait' | 'exited'>;
  readonly restarts: Pick<RestartTimers, 'cancel'>;
};

const defaultStopSeconds = 10;
/** How long a killed container may take to be reported as exited before its VM is ended instead. */
const killGraceMs = 10_000;
const signalTimeoutMs = 10_000;

export async function stopContainer(
  engine: StopNeeds,
  container: Container,
  options: { timeoutSeconds?: number; signal?: string },
): Promise<void> {
  const signal = stopSignal(container, options.signal);
  const { kind } = container.state;
  if (kind !== 'running' && kind !== 'paused' && kind !== 'restarting') {
    throw new DaemonError('NotModified', `Container ${container.id} is already stopped`);
  }
  await stopAndWait(engine, container, signal, options.timeoutSeconds);
  engine.events.publish('container', 'stop', container.id, eventAttributes(container.record));
}

/** The signal, then SIGKILL when its time is over. Resolves when the container does not run any more. */
export async function stopAndWait(
  engine: StopNeeds,
  container: Container,
  signal: number,
  timeoutSeconds: number | undefined,
): Promise<void> {
  const seconds = timeoutSeconds ?? container.record.config.StopTimeout ?? defaultStopSeconds;
  const exited = engine.waits.wait(container, 'not-running');
  try {
    await container.operations.run(() => sendSignal(engine, container, signal));
  } catch (error) {
    if (!isDaemonError(error, 'Conflict'))
      log.warn('stop signal could not be sent', { containerId: container.id, error });
  }
  if (seconds < 0) await exited;
  else if (!(await settlesWithin(exited, seconds * 1000))) await killAndWait(engine, container);
}

/** SIGKILL, and the end of the VM if even that does not help. Resolves when the container does not run any more. */
export async function killAndWait(engine: StopNeeds, container: Container): Promise<void> {
  const exited = engine.waits.wait(container, 'not-running');
  let isReached = true;
  try {
    await container.operations.run(() => sendSignal(engine, container, sigkill));
  } catch (error) {
    isReached = !(error instanceof HinderedVm);
    if (!isDaemonError(error, 'Conflict'))
      log.warn('container could not be killed', { containerId: container.id, error });
  }
  // Of the VM's time: what is only slow on a busy host ends in order.
  const { clock } = engine.pods.of(container)?.vm.agent ?? {};
  if (isReached && (await settlesWithin(exited, killGraceMs, clock))) return;
  log.warn('guest does not answer: its VM is ended', { containerId: container.id });
  // What the signal would have told of the user's wish.
  if (isActive(container.state)) engine.registry.update(container, { manuallyStopped: true });
  await engine.adoptions.end(container);
  await engine.pods.of(container)?.vm.end();
  await exited;
}

/** What ContainerKill is to send. Throws InvalidParameter. */
export function requireSignal(text = ''): number {
  return text === '' ? sigkill : parseSignal(text);
}

/** ContainerKill. Throws Internal for what is no signal and Conflict, in Docker's words, quoting `ref`. */
export async function killContainer(
  engine: StopNeeds,
  container: Container,
  options: { ref: string; signal?: string },
): Promise<void> {
  const signal = requireSignal(options.signal);
  if (!isLinuxSignal(signal)) {
    // Docker prints a negative number as the unsigned one it is converted to.
    const shown = BigInt.asUintN(64, BigInt(signal)).toString();
    throw new DaemonError(
      'Internal',
      `Cannot kill container: ${options.ref}: The linux daemon does not support signal ${shown}`,
    );
  }
  try {
    // Docker waits for the exit after SIGKILL, and only then.
    if (signal === sigkill && (isActive(container.state) || container.state.kind === 'restarting')) {
      await killAndWait(engine, container);
    } else {
      await container.operations.run(() => sendSignal(engine, container, signal));
    }
  } catch (error) {
    if (!isDaemonError(error, 'Conflict')) throw error;
    throw new DaemonError('Conflict', `Cannot kill container: ${options.ref}: ${error.message}`, {
      cause: error,
    });
  }
}

/**
 * One signal to the container's first process, with what it means for the restart policy. In the container's queue.
 * Throws Conflict when it doesn't run.
 */
async function sendSignal(engine: StopNeeds, container: Container, signal: number): Promise<void> {
  const { registry } = engine;
  const stops =
    signal === sigkill ||
    (container.record.config.StopSignal ?? '') === '' ||
    signal === stopSignal(container);
  if (container.state.kind === 'restarting') {
    // There is no process: the policy just must not start another.
    engine.restarts.cancel(container.id);
    registry.transition(container, { kind: 'giveUp' }, { manuallyStopped: true });
    engine.waits.exited(container);
    return;
  }
  const pod = await requirePod(engine, container);
  if (stops) registry.update(container, { manuallyStopped: true });
  const paused = container.state.kind === 'paused';
  await deliverSignal(engine, container, pod, signal);
  // The processes stay frozen until the signal has reached them.
  if (paused && stops) await thaw(engine, container, pod);
}

async function deliverSignal(
  engine: Announcer,
  container: Container,
  pod: RunningPod,
  signal: number,
): Promise<void> {
  const sent = pod.vm.agent.request(
    'container.signal',
    { id: container.id, signal, all: false },
    { timeoutMs: signalTimeoutMs },
  );
  const paused = container.state.kind === 'paused';
  const tell = (): void =>
    engine.events.publish('container', 'kill', container.id, {
      ...eventAttributes(container.record),
      signal: String(signal),
    });
  if (paused) tell();
  await sent.catch((error: unknown) => {
    if (error instanceof AgentError && error.failure.code === 'ESRCH') return; // its exit is on its way
    throw error;
  });
  if (!paused) tell();
}

/**
 * ContainerPause: the processes are frozen by their cgroup, as dockerd's are. The vCPUs turn on, or all the guest's clocks would
 * stay behind by the time of the pause. In the container's queue.
 */
export async function pauseContainer(engine: PauseNeeds, container: Container): Promise<void> {
  if (container.state.kind === 'restarting') {
    throw new DaemonError(
      'Conflict',
      `Container ${container.id} is restarting, wait until the container is running`,
    );
  }
  if (container.state.kind === 'paused') {
    throw new DaemonError('Conflict', `Container ${container.id} is already paused`);
  }
  const pod = await requirePod(engine, container);
  await pod.vm.agent.request('container.freeze', { id: container.id, frozen: true });
  engine.registry.transition(container, { kind: 'pause' });
  engine.events.publish('container', 'pause', container.id, eventAttributes(container.record));
}

/** ContainerUnpause. In the container's queue. */
export async function unpauseContainer(engine: PauseNeeds, container: Container): Promise<void> {
  if (container.state.kind !== 'paused') {
    throw new DaemonError('Internal', `Container ${container.id} is not paused`);
  }
  await thaw(engine, container, await requirePod(engine, container));
}

async function thaw(engine: PauseNeeds, container: Container, pod: RunningPod): Promise<void> {
  await pod.vm.agent.request('container.freeze', { id: container.id, frozen: false });
  engine.registry.transition(container, { kind: 'resume' });
  engine.events.publish('container', 'unpause', container.id, eventAttributes(container.record));
}
