// ContainerKill, and what sends a signal for whichever verb.

import { settlesWithin } from '../../async/deadline';
import { DaemonError, errorMessage, isDaemonError } from '../../errors';
import { log } from '../../log';
import { notRunning } from '../../semantics/containers/container-refusals';
import { eventAttributes } from '../../semantics/containers/container-record';
import { isActive } from '../../semantics/containers/container-state';
import { stopSignal } from '../../semantics/containers/stop-signal';
import { isLinuxSignal, sigkill } from '../../translate/signals';
import { AgentError } from '../../vm/contract/agent-error';
import type { ClusterContainer } from '../records/cluster-container';
import type { ClusterContext } from './context';
import { podName } from './pod-plan';

/** How long a killed container may take to be known as ended before its Pod is deleted instead. */
const killGraceMs = 30_000;

/** SIGKILL, and the Pod's end if even that does not help. Throws Internal, in Docker's words, when nobody has recorded its exit then. */
export async function killAndWait(context: ClusterContext, container: ClusterContainer): Promise<void> {
  const exited = context.waits.wait(container, 'not-running');
  try {
    await sendSignal(context, container, sigkill);
    if (await settlesWithin(exited, killGraceMs)) return;
  } catch (error) {
    if (!isDaemonError(error, 'Conflict'))
      log.warn('container could not be killed', { containerId: container.id, error: errorMessage(error) });
  }
  if (!isActive(container.state) && container.state.kind !== 'restarting') return;
  log.warn('supervisor does not answer: its Pod is deleted', { containerId: container.id });
  await context.pods.remove(podName(container.id), 0);
  // Another daemon may be the one that records it, or none is left that does.
  if (await settlesWithin(exited, killGraceMs)) return;
  throw new DaemonError('Internal', 'tried to kill container, but did not receive an exit event');
}

/** ContainerKill. Throws Internal for what is no signal and Conflict, in Docker's words, quoting `ref`. */
export async function killContainer(
  context: ClusterContext,
  container: ClusterContainer,
  options: { ref: string; signal: number },
): Promise<void> {
  const { ref, signal } = options;
  if (!isLinuxSignal(signal)) {
    // Docker prints a negative number as the unsigned one it is converted to.
    const shown = BigInt.asUintN(64, BigInt(signal)).toString();
    throw new DaemonError(
      'Internal',
      `Cannot kill container: ${ref}: The linux daemon does not support signal ${shown}`,
    );
  }
  try {
    // Docker waits for the exit after SIGKILL, and only then.
    if (signal === sigkill && (isActive(container.state) || container.state.kind === 'restarting'))
      await killAndWait(context, container);
    else await sendSignal(context, container, signal);
  } catch (error) {
    if (!isDaemonError(error, 'Conflict')) throw error;
    throw new DaemonError('Conflict', `Cannot kill container: ${ref}: ${error.message}`, { cause: error });
  }
}

/** One signal to the container's first process, with what it means for the restart policy. Throws Conflict when it doesn't run. */
export async function sendSignal(
  context: ClusterContext,
  container: ClusterContainer,
  signal: number,
): Promise<void> {
  const { containers, events } = context;
  const stops =
    signal === sigkill ||
    (container.record.config.StopSignal ?? '') === '' ||
    signal === stopSignal(container);
  if (container.state.kind === 'restarting') {
    // There is no process: the policy just must not start another.
    await containers.transition(
      container,
      () => ({ kind: 'giveUp' }),
      () => ({ manuallyStopped: true }),
    );
    return;
  }
  if (!isActive(container.state)) throw notRunning(container);
  if (stops) {
    await containers.update(container, (record) =>
      record.manuallyStopped ? undefined : { ...record, manuallyStopped: true },
    );
  }
  await context
    .supervisor(podName(container.id))
    .signal(signal)
    .catch((error: unknown) => {
      if (error instanceof AgentError && error.failure.code === 'ESRCH') return; // its exit is on its way
      throw error;
    });
  events.publish('container', 'kill', container.id, {
    ...eventAttributes(container.record),
    signal: String(signal),
  });
}
