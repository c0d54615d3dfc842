// ContainerStop and ContainerRestart.

import { settlesWithin } from '../../async/deadline';
import { DaemonError, errorMessage, isDaemonError } from '../../errors';
import { log } from '../../log';
import { eventAttributes } from '../../semantics/containers/container-record';
import { isActive } from '../../semantics/containers/container-state';
import { stopSignal } from '../../semantics/containers/stop-signal';
import type { ClusterContainer } from '../records/cluster-container';
import type { ClusterContext } from './context';
import { killAndWait, sendSignal } from './kill';
import { endTolder } from './run-events';
import { startContainer } from './start';

const defaultStopSeconds = 10;

export async function stopContainer(
  context: ClusterContext,
  container: ClusterContainer,
  options: { timeoutSeconds?: number; signal?: string },
): Promise<void> {
  const signal = stopSignal(container, options.signal);
  if (!isActive(container.state) && container.state.kind !== 'restarting') {
    throw new DaemonError('NotModified', `Container ${container.id} is already stopped`);
  }
  await stopAndWait(context, container, signal, options.timeoutSeconds);
  context.events.publish('container', 'stop', container.id, eventAttributes(container.record));
  await context.events.flush();
}

export async function restartContainer(
  context: ClusterContext,
  container: ClusterContainer,
  options: { ref: string; timeoutSeconds?: number; signal?: string },
): Promise<void> {
  try {
    const signal = stopSignal(container, options.signal);
    if (isActive(container.state) || container.state.kind === 'restarting') {
      await withoutAutoRemove(context, container, () =>
        stopAndWait(context, container, signal, options.timeoutSeconds),
      );
      context.events.publish('container', 'stop', container.id, eventAttributes(container.record));
    }
    await startContainer(context, container);
    context.events.publish('container', 'restart', container.id, eventAttributes(container.record));
    await context.events.flush();
  } catch (error) {
    throw new DaemonError('Internal', `Cannot restart container ${options.ref}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

/** A restart's stop isn't the end of a container that goes with its exit. */
async function withoutAutoRemove(
  { containers }: ClusterContext,
  container: ClusterContainer,
  work: () => Promise<void>,
): Promise<void> {
  if (!container.record.hostConfig.AutoRemove) return work();
  const set = (AutoRemove: boolean): Promise<unknown> =>
    containers.update(container, (record) => ({
      ...record,
      hostConfig: { ...record.hostConfig, AutoRemove },
    }));
  await set(false);
  try {
    await work();
  } finally {
    await set(true);
  }
}

/** The signal, then SIGKILL when its time is over. Resolves when the container does not run any more. */
async function stopAndWait(
  context: ClusterContext,
  container: ClusterContainer,
  signal: number,
  timeoutSeconds: number | undefined,
): Promise<void> {
  const seconds = timeoutSeconds ?? container.record.config.StopTimeout ?? defaultStopSeconds;
  const exited = context.waits.wait(container, 'not-running');
  const told = endTolder(context, container);
  try {
    await sendSignal(context, container, signal);
  } catch (error) {
    if (!isDaemonError(error, 'Conflict'))
      log.warn('stop signal could not be sent', { containerId: container.id, error: errorMessage(error) });
  }
  if (seconds < 0) await exited;
  else if (!(await settlesWithin(exited, seconds * 1000))) await killAndWait(context, container);
  await told();
}
