// ContainerDelete and ContainerPrune.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DaemonError, isDaemonError } from '../../errors';
import { log } from '../../log';
import type { Filters } from '../../api/v1.41/backend';
import type { ContainerPruneResponse } from '../../docker/types';
import { removeLink } from '../../semantics/containers/links';
import { renewHosts, type HostsNeeds } from '../networks/connect';
import { removeAnonymousVolumes, type MountContext } from '../mounts/container-mounts';
import { eventAttributes, neededLayers } from '../../semantics/containers/container-record';
import type { Container } from '../core/container-registry';
import { killAndWait, type StopNeeds } from './stop';
import { pruneFilter } from '../../semantics/filters/prune-filter';
import type { Config } from '../../config';
import type { ImageStore, LayerStore, WritableDiskStore } from '../../storage/contract/stores';
import type { ContainerLogs } from '../core/container-log';
import type { ContainerWaits } from '../../semantics/containers/container-wait';
import type { RestartTimers } from '../core/restart-timers';
import type { FileHolding } from '../engine';
import type { StreamHubs } from '../../semantics/streams/stream-hub';
import type { Pods } from '../vms/pods';
import type { SocketTunnels } from '../vms/socket-tunnels';

/** Where the daemon keeps its files. */
export interface DataRoot {
  readonly config: Pick<Config, 'dataRoot'>;
}

/** Where something of a container lies on disk. */
interface DiskTraces extends DataRoot {
  readonly logs: Pick<ContainerLogs, 'removeLog'>;
  readonly disks: Pick<WritableDiskStore, 'remove'>;
  readonly layers: Pick<LayerStore, 'unreference'>;
  readonly images: Pick<ImageStore, 'removeUnusedLayers'>;
}

/** Where the engine's memory has something of a container that does not run. */
interface MemoryTraces {
  readonly hubs: Pick<StreamHubs, 'delete'>;
  readonly sockets: Pick<SocketTunnels, 'forget'>;
  readonly consoleSizes: Pick<Map<string, unknown>, 'delete'>;
  readonly restarts: Pick<RestartTimers, 'forget'>;
  readonly fileHolders: Pick<FileHolding, 'release'>;
  readonly pods: Pick<Pods, 'vacated'>;
  readonly waits: Pick<ContainerWaits, 'removed'>;
}

/** What the removal of a container that does not run works with: it has left something everywhere. */
export type RemovalNeeds = MountContext & DiskTraces & MemoryTraces;

/** As `RemovalNeeds`; one that runs is killed first. */
export type RemoveNeeds = RemovalNeeds & StopNeeds & HostsNeeds;

export interface RemoveOptions {
  force: boolean;
  volumes: boolean;
  link: boolean;
}

/** Where the daemon keeps a container's files, its log among them. */
export function containerDirectory(engine: DataRoot, containerId: string): string {
  return join(engine.config.dataRoot, 'containers', containerId);
}

/** ContainerDelete. Queues by itself. */
export async function removeContainer(
  engine: RemoveNeeds,
  ref: string,
  options: RemoveOptions,
): Promise<void> {
  if (options.link) {
    const { parent, links } = removeLink(engine.registry, ref);
    engine.registry.update(parent, { links });
    await renewHosts(engine, parent);
    return;
  }
  const container = engine.registry.get(ref);
  if (options.force) await forceStop(engine, container);
  await container.operations.run(async () => {
    if (engine.registry.byId(container.id) === undefined) {
      // Removed by its own AutoRemove, or by someone else, while this one waited: what was wanted is so.
      if (options.force) return;
      throw new DaemonError('NotFound', `No such container: ${ref}`);
    }
    requireRemovable(container);
    await removeStopped(engine, container, { volumes: options.volumes });
  });
}

async function forceStop(engine: StopNeeds, container: Container): Promise<void> {
  // More than once when the restart policy starts it again between the kill and the removal.
  for (let attempt = 0; attempt < 3; attempt++) {
    const { kind } = container.state;
    if (kind !== 'running' && kind !== 'paused' && kind !== 'restarting') return;
    await killAndWait(engine, container);
  }
}

function requireRemovable(container: Container): void {
  const { kind } = container.state;
  if (kind === 'paused') {
    throw new DaemonError(
      'Conflict',
      `You cannot remove a paused container ${container.id}. ` +
        'Unpause and then stop the container before attempting removal or force remove',
    );
  }
  if (kind === 'running' || kind === 'restarting') {
    throw new DaemonError(
      'Conflict',
      `You cannot remove a ${kind} container ${container.id}. ` +
        'Stop the container before attempting removal or force remove',
    );
  }
  if (kind === 'removing') {
    throw new DaemonError('Conflict', `removal of container ${container.id} is already in progress`);
  }
}

/**
 * Removes a container that does not run, in its queue. All steps are tried; when one fails the container is left dead,
 * from which it can be removed again.
 */
export async function removeStopped(
  engine: RemovalNeeds,
  container: Container,
  options: { volumes: boolean } = { volumes: container.record.hostConfig.AutoRemove },
): Promise<void> {
  engine.restarts.forget(container.id);
  // A removal that was cut short by the daemon's end goes on.
  if (container.state.kind !== 'removing') engine.registry.transition(container, { kind: 'remove' });
  const { record } = container;
  await engine.pods.vacated(container.record.podId);
  await engine.fileHolders.release(container.id);
  engine.sockets.forget(container.id);
  const failures: unknown[] = [];
  const step = async (work: () => Promise<void> | void): Promise<void> => {
    try {
      await work();
    } catch (error) {
      failures.push(error);
    }
  };
  await Promise.all([
    step(async () => {
      await engine.logs.removeLog(record);
      await rm(containerDirectory(engine, container.id), { recursive: true, force: true });
    }),
    step(() => engine.disks.remove(container.id)),
    step(async () => {
      engine.layers.unreference(container.id);
      // Of an image that was removed while this container had them.
      await engine.images.removeUnusedLayers(neededLayers(record));
    }),
  ]);
  if (failures.length > 0) {
    const [first] = failures;
    engine.registry.transition(container, { kind: 'removeFailed', error: String(first) });
    throw new DaemonError('Internal', `container ${container.id} could not be removed: ${String(first)}`, {
      cause: first,
    });
  }
  engine.registry.remove(container);
  engine.hubs.delete(container.id);
  engine.consoleSizes.delete(container.id);
  if (options.volumes) {
    await removeAnonymousVolumes(engine, record).catch((error: unknown) =>
      log.warn('anonymous volumes could not be removed', { containerId: container.id, error }),
    );
  }
  engine.events.publish('container', 'destroy', container.id, eventAttributes(record));
  engine.waits.removed(container);
}

/** As `RemoveNeeds`, with what tells the bytes that are won. */
export type PruneNeeds = RemoveNeeds & { readonly disks: Pick<WritableDiskStore, 'fileBytes'> };

/** ContainerPrune. One that can't be removed is skipped. Throws InvalidParameter for unknown filters. */
export async function pruneContainers(engine: PruneNeeds, filters: Filters): Promise<ContainerPruneResponse> {
  const matches = pruneFilter('containers', filters);
  const deleted: string[] = [];
  let reclaimedBytes = 0;
  for (const container of engine.registry.list()) {
    const { record, state } = container;
    if (!['created', 'exited', 'dead'].includes(state.kind)) continue;
    if (!matches(record.config.Labels ?? {}, Date.parse(record.createdAt))) continue;
    const bytes = await engine.disks.fileBytes(container.id);
    try {
      await removeContainer(engine, container.id, { force: false, volumes: false, link: false });
      deleted.push(container.id);
      reclaimedBytes += bytes;
    } catch (error) {
      if (!isDaemonError(error, 'Conflict') && !isDaemonError(error, 'NotFound')) {
        log.warn('container could not be pruned', { containerId: container.id, error });
      }
    }
  }
  engine.events.publish('container', 'prune', '', { reclaimed: String(reclaimedBytes) });
  return { ContainersDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: reclaimedBytes };
}
