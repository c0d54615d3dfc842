// ContainerStart: the Pod, unless it has one that stopped; then its supervisor is told to start the command.

import { DaemonError, errorMessage } from '../../errors';
import { nowTimestamp } from '../../go/timestamp';
import { log } from '../../log';
import { requireStartable } from '../../semantics/containers/container-refusals';
import { eventAttributes } from '../../semantics/containers/container-record';
import { linkVariables } from '../../semantics/containers/links';
import { startFailure } from '../../semantics/containers/runtime-errors';
import { withRunDefaults } from '../../semantics/create/daemon-defaults';
import type { PodFacts } from '../contract/cluster-record';
import type { ClusterContainer } from '../records/cluster-container';
import type { Following } from '../supervisor/supervisor';
import { adoptRun } from './adopt';
import type { ClusterContext } from './context';
import { logBounds } from './log-bounds';
import { podName, podOf, processOf, runOf } from './pod-plan';
import { isLeaving } from './pods';

/** The Pod of a container, which is made where there is none; nothing runs in it yet. */
export async function ensurePod(
  context: ClusterContext,
  container: ClusterContainer,
  signal?: AbortSignal,
): Promise<PodFacts> {
  const { pods, settings, volumes, networks } = context;
  const name = podName(container.id);
  const before = pods.get(name);
  // One that has ended, or is on its way out, is in the way of the next.
  if (before !== undefined && isLeaving(before)) await pods.removeWholly(name);
  if (pods.get(name) === undefined) {
    const { record } = container;
    const parts = [await volumes.podParts(record), await networks.podParts(record)];
    await pods.ensure(podOf(record, settings, parts));
  }
  try {
    return await pods.whenRunning(name, signal);
  } catch (error) {
    // What never came up would stand in the way of the next try.
    await pods.remove(name, 0).catch((failure: unknown) => {
      log.warn('a Pod that does not start is left', { pod: name, error: errorMessage(failure) });
    });
    throw error;
  }
}

/** `byPolicy`: its restart policy starts it. Throws Docker's errors, NotModified when it runs already. */
export async function startContainer(
  context: ClusterContext,
  container: ClusterContainer,
  { byPolicy = false } = {},
): Promise<void> {
  if (!byPolicy) requireStartable(container);
  const { containers, events } = context;
  const { record } = container;
  let following: Following | undefined;
  try {
    const hostConfig = withRunDefaults(record.hostConfig, context.config.containerDefaults);
    const process = processOf({ ...record, hostConfig }, linkVariables(containers, record));
    const hasPod = context.pods.get(podName(container.id)) !== undefined;
    // A start was cut short, or may have been: what it has begun is this run.
    const isInDoubt = hasPod && (record.state.kind === 'created' || (record.startBegunAt ?? '') !== '');
    if (hasPod) await containers.update(container, (now) => ({ ...now, startBegunAt: nowTimestamp() }));
    const pod = await ensurePod(context, container);
    if (isInDoubt && (await adoptRun(context, container, pod))) {
      context.followers.failed(container.id); // there is no session of this start to hand over
      return;
    }
    const attachment = await context.networks.attach(record, pod);
    following = await context.supervisor(pod.name).start(
      {
        process,
        openStdin: record.config.OpenStdin,
        // With --init Docker puts a process before it that hands signals on and reaps, which the supervisor does for all.
        isFirst: hostConfig.Init !== true,
        log: logBounds(hostConfig.LogConfig),
      },
      { holds: context.followers.holds(container.id) },
    );
    const run = runOf(following.start, record, pod);
    const started = await containers.transition(
      container,
      () => ({ kind: 'start', run }),
      (now) => ({
        ...attachment,
        pod,
        startBegunAt: '',
        ...(byPolicy ? { restartCount: now.restartCount + 1 } : { restartCount: 0, manuallyStopped: false }),
      }),
    );
    if (started === undefined)
      throw new DaemonError('NotModified', `Container ${container.id} is already running`);
  } catch (error) {
    following?.close();
    try {
      await failedStart(context, container, error);
    } finally {
      context.followers.failed(container.id);
    }
  }
  if (following === undefined) return;
  context.followers.begun(container.id, following);
  events.publish('container', 'start', container.id, eventAttributes(container.record));
  await events.flush();
}

/** Records why, and throws it in Docker's words. */
async function failedStart(
  context: ClusterContext,
  container: ClusterContainer,
  cause: unknown,
): Promise<never> {
  if (cause instanceof DaemonError && cause.code === 'NotModified') throw cause;
  const { error, exitCode } = startFailure(cause);
  await context.networks.detach(container.record).catch((failure: unknown) => {
    log.warn('networks could not be left', { containerId: container.id, error: errorMessage(failure) });
  });
  await context.containers
    .transition(container, () => ({ kind: 'startFailed', exitCode, error: error.message }))
    .catch((failure: unknown) => {
      log.warn('a failed start could not be recorded', {
        containerId: container.id,
        error: errorMessage(failure),
      });
    });
  throw error;
}
