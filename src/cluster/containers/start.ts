// ContainerStart: the Pod, unless it has one that stopped; then its supervisor is told to start the command.

import { DaemonError, errorMessage, isDaemonError } from '../../errors';
import { nowTimestamp } from '../../go/timestamp';
import { log } from '../../log';
import { requireStartable } from '../../semantics/containers/container-refusals';
import { isActive } from '../../semantics/containers/container-state';
import { linkVariables } from '../../semantics/containers/links';
import { startFailure } from '../../semantics/containers/runtime-errors';
import { withRunDefaults } from '../../semantics/create/daemon-defaults';
import type { JoinedNetwork } from '../contract/areas';
import type { ClusterRecord, PodFacts } from '../contract/cluster-record';
import type { ClusterContainer } from '../records/cluster-container';
import { isNotThereYet } from '../supervisor/kubernetes-control';
import type { Following, Supervisor } from '../supervisor/supervisor';
import { adoptRun } from './adopt';
import type { ClusterContext } from './context';
import { logBounds } from './log-bounds';
import { podName, podOf, processOf, runOf } from './pod-plan';
import { isLeaving, runningFacts } from './pods';
import { removeStopped } from './remove';
import { endTold, publishBegin, publishVisit } from './run-events';

/** Between questions to a Pod that may have come up: they become longer, and end when it takes longer than a Pod should. */
const firstAskMs = 25;
const lastAskMs = 500;

/** The Pod of a container, where there is none. */
async function makePod(context: ClusterContext, container: ClusterContainer): Promise<void> {
  const { pods, settings, volumes, networks } = context;
  const name = podName(container.id);
  const before = pods.get(name);
  // One that has ended, or is on its way out, is in the way of the next.
  if (before !== undefined && isLeaving(before)) await pods.removeWholly(name);
  if (pods.get(name) === undefined) {
    const { record } = container;
    const parts = await Promise.all([volumes.podParts(record), networks.podParts(record)]);
    await pods.ensure(podOf(record, settings, parts));
  }
}

/** The Pod of a container, which is made where there is none, once it runs; nothing is started in it. Throws Docker's errors. */
export async function ensurePod(
  context: ClusterContext,
  container: ClusterContainer,
  signal?: AbortSignal,
): Promise<PodFacts> {
  await makePod(context, container);
  return orWithoutPod(context, container, () => context.pods.whenRunning(podName(container.id), signal));
}

/** A Pod that never came up would stand in the way of the next try. */
async function orWithoutPod<T>(
  { pods }: ClusterContext,
  container: ClusterContainer,
  comesUp: () => Promise<T>,
): Promise<T> {
  const name = podName(container.id);
  try {
    return await comesUp();
  } catch (error) {
    const pod = pods.get(name);
    if (pod === undefined || runningFacts(pod) !== undefined) throw error;
    await pods.remove(name, 0).catch((failure: unknown) => {
      log.warn('a Pod that does not start is left', { pod: name, error: errorMessage(failure) });
    });
    throw error;
  }
}

/**
 * The run, by whoever has begun it. A Pod that is coming up is asked before the cluster knows that it has: undefined where one such
 * question was not answered, and has begun the run all the same, or an earlier daemon has.
 */
async function beginRun(
  context: ClusterContext,
  container: ClusterContainer,
  { pod, isInDoubt, begin }: { pod: PodFacts; isInDoubt: boolean; begin: () => Promise<Following> },
): Promise<Following | undefined> {
  const { pods } = context;
  let inDoubt = isInDoubt;
  for (let pauseMs = firstAskMs; !inDoubt && pauseMs < lastAskMs && pods.isComing(pod.name); pauseMs *= 1.5) {
    try {
      return await begin();
    } catch (error) {
      if (!isDaemonError(error, 'Unavailable')) throw error;
      if (!isNotThereYet(error)) inDoubt = true;
    }
    await pods.nextChange(pod.name, pauseMs);
  }
  await pods.whenRunning(pod.name);
  if (inDoubt && (await adoptRun(context, container, pod))) return undefined;
  return begin();
}

export interface StartOptions {
  /** Its restart policy starts it. */
  byPolicy?: boolean;
  /** What has to be so in the Pod before the command runs: called as soon as it may be reached, and again if it can't be yet. */
  prepare?: (supervisor: Supervisor) => Promise<void>;
}

/** Throws Docker's errors, NotModified when it runs already. */
export async function startContainer(
  context: ClusterContext,
  container: ClusterContainer,
  { byPolicy = false, prepare }: StartOptions = {},
): Promise<void> {
  if (!byPolicy) requireStartable(container);
  const { containers, events } = context;
  const { record } = container;
  let following: Following | undefined;
  let joined: readonly JoinedNetwork[] = [];
  let started: ClusterRecord | undefined;
  try {
    await endTold(context, record);
    const hostConfig = withRunDefaults(record.hostConfig, context.config.containerDefaults);
    const request = {
      process: processOf({ ...record, hostConfig }, linkVariables(containers, record)),
      openStdin: record.config.OpenStdin,
      // With --init Docker puts a process before it that hands signals on and reaps, which the supervisor does for all.
      isFirst: hostConfig.Init !== true,
      log: logBounds(hostConfig.LogConfig),
    };
    const hasPod = context.pods.get(podName(container.id)) !== undefined;
    // A start was cut short, or may have been: what it has begun is this run.
    const isInDoubt = hasPod && (record.state.kind === 'created' || (record.startBegunAt ?? '') !== '');
    if (hasPod) await containers.update(container, (now) => ({ ...now, startBegunAt: nowTimestamp() }));
    await makePod(context, container);
    const begun = await orWithoutPod(context, container, async () => {
      const pod = await context.pods.whenAboutToRun(podName(container.id));
      const attached = await context.networks.attach(record, pod);
      joined = attached.joined;
      const holds = context.followers.holds(container.id);
      const supervisor = context.supervisor(pod.name);
      const begin = async (): Promise<Following> => {
        await prepare?.(supervisor);
        return supervisor.start(request, { holds });
      };
      following = await beginRun(context, container, { pod, isInDoubt, begin });
      return following === undefined ? undefined : { ...attached, pod, start: following.start };
    });
    if (begun === undefined) {
      context.followers.failed(container.id); // there is no session of this start to hand over
      return;
    }
    const { attachment, pod, start } = begun;
    const run = runOf(start, record, pod);
    started = await containers.transition(
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
      await failedStart(context, container, joined, error);
    } finally {
      context.followers.failed(container.id);
    }
  }
  if (following === undefined || started === undefined) return;
  context.followers.begun(container.id, following);
  publishBegin(context, started, joined);
  await events.flush();
}

/** Records why, and throws it in Docker's words. */
async function failedStart(
  context: ClusterContext,
  container: ClusterContainer,
  joined: readonly JoinedNetwork[],
  cause: unknown,
): Promise<never> {
  if (cause instanceof DaemonError && cause.code === 'NotModified') throw cause;
  const { error, exitCode } = startFailure(cause);
  await context.networks.detach(container.record).catch((failure: unknown) => {
    log.warn('networks could not be left', { containerId: container.id, error: errorMessage(failure) });
  });
  await publishVisit(context, container.record, joined).catch((failure: unknown) => {
    log.warn('events of a failed start are lost', {
      containerId: container.id,
      error: errorMessage(failure),
    });
  });
  await context.containers
    .transition(container, () => ({ kind: 'startFailed', exitCode, error: error.message }))
    .catch((failure: unknown) => {
      log.warn('a failed start could not be recorded', {
        containerId: container.id,
        error: errorMessage(failure),
      });
    });
  if (container.record.hostConfig.AutoRemove && !isActive(container.state)) {
    await removeStopped(context, container, { volumes: true, graceSeconds: 0 }).catch((failure: unknown) => {
      log.warn('a container that did not start is left', {
        containerId: container.id,
        error: errorMessage(failure),
      });
    });
  }
  throw error;
}
