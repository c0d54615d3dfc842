// ContainerDelete and ContainerPrune: the Pod, the record, and anonymous volumes if they are wanted gone, too.

import type { Filters } from '../../api/v1.41/backend';
import type { ContainerPruneResponse } from '../../docker/types';
import { DaemonError, errorMessage, isDaemonError } from '../../errors';
import { log } from '../../log';
import { eventAttributes } from '../../semantics/containers/container-record';
import { isActive } from '../../semantics/containers/container-state';
import { removeLink } from '../../semantics/containers/links';
import { pruneFilter } from '../../semantics/filters/prune-filter';
import type { ClusterContainer } from '../records/cluster-container';
import type { ClusterContext } from './context';
import { podName } from './pod-plan';
import { killAndWait } from './kill';
import { endTold, endTolder, removalMark } from './run-events';

/** More than once when the restart policy starts it again between the kill and the removal. */
const mostKills = 3;

export async function removeContainer(
  context: ClusterContext,
  ref: string,
  options: { force: boolean; volumes: boolean; link: boolean },
): Promise<void> {
  const { containers } = context;
  const container = await containers.resolve(ref);
  if (options.link) {
    const { parent, links } = removeLink(containers, ref);
    await containers.update(parent, (record) => ({ ...record, links }));
    return;
  }
  for (let kill = 0; options.force && kill < mostKills; kill++) {
    if (!isActive(container.state) && container.state.kind !== 'restarting') break;
    const told = endTolder(context, container);
    await killAndWait(context, container);
    await told();
  }
  // Removed by its own AutoRemove, or by another client: what was wanted is so.
  if (options.force && containers.byId(container.id) === undefined) return;
  requireRemovable(container);
  await removeStopped(context, container, { volumes: options.volumes, graceSeconds: 0 });
}

function requireRemovable({ id, state: { kind } }: ClusterContainer): void {
  if (kind === 'running' || kind === 'restarting' || kind === 'paused') {
    throw new DaemonError(
      'Conflict',
      `You cannot remove a ${kind} container ${id}. ` +
        'Stop the container before attempting removal or force remove',
    );
  }
}

/** Of one that doesn't run. Two daemons may do it at once: the one that takes the record's last step tells of it. */
export async function removeStopped(
  context: ClusterContext,
  container: ClusterContainer,
  { volumes, graceSeconds }: { volumes: boolean; graceSeconds: number },
): Promise<void> {
  try {
    const mine = await context.containers.transition(
      container,
      () => ({ kind: 'remove' }),
      () => ({ removesVolumes: volumes }),
    );
    if (mine === undefined) {
      throw new DaemonError('Conflict', `removal of container ${container.id} is already in progress`);
    }
  } catch (error) {
    if (isDaemonError(error, 'NotFound')) return;
    throw error;
  }
  try {
    await finishRemoval(context, container, { graceSeconds });
  } catch (error) {
    const reason = errorMessage(error);
    await context.containers.transition(container, () => ({ kind: 'removeFailed', error: reason }));
    throw new DaemonError('Internal', `container ${container.id} could not be removed: ${reason}`, {
      cause: error,
    });
  }
}

/** Also of a removal that a daemon's end has cut short. Tells of it. */
export async function finishRemoval(
  context: ClusterContext,
  container: ClusterContainer,
  { graceSeconds }: { graceSeconds: number },
): Promise<void> {
  const { record } = container;
  const name = podName(container.id);
  await endTold(context, record);
  // A supervisor ends as soon as its Pod is deleted, so this comes later for who reads; if this daemon ends before, the reaper does it.
  if (graceSeconds === 0) await context.pods.remove(name, 0);
  await context.networks.removed(record);
  if (record.removesVolumes === true) {
    await context.volumes.removeAnonymous(record.id, record.mounts).catch((error: unknown) => {
      log.warn('anonymous volumes could not be removed', {
        containerId: container.id,
        error: errorMessage(error),
      });
    });
  }
  await context.volumes.removed(record);
  await context.containers.remove(container);
  await context.images.released(record.source);
  context.events.publish('container', 'destroy', container.id, eventAttributes(record), removalMark(record));
  await context.events.flush();
  if (graceSeconds > 0) {
    setTimeout(() => {
      context.pods.remove(name, 0).catch((error: unknown) => {
        log.warn('a Pod is left to the reaper', { pod: name, error: errorMessage(error) });
      });
    }, graceSeconds * 1000).unref();
  }
}

/** One that can't be removed is skipped. Throws InvalidParameter for unknown filters. */
export async function pruneContainers(
  context: ClusterContext,
  filters: Filters,
): Promise<ContainerPruneResponse> {
  const matches = pruneFilter('containers', filters);
  const deleted: string[] = [];
  for (const container of context.containers.list()) {
    const { record, state } = container;
    if (!['created', 'exited', 'dead'].includes(state.kind)) continue;
    if (!matches(record.config.Labels ?? {}, Date.parse(record.createdAt))) continue;
    try {
      await removeStopped(context, container, { volumes: false, graceSeconds: 0 });
      deleted.push(container.id);
    } catch (error) {
      log.warn('container could not be pruned', { containerId: container.id, error: errorMessage(error) });
    }
  }
  context.events.publish('container', 'prune', '', { reclaimed: '0' });
  // What a container has written is on its node, uncounted.
  return { ContainersDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: 0 };
}
