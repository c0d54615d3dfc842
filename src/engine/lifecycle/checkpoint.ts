// Checkpoints of containers: a VM's memory and devices, and a copy of the container's disk. What a start makes of one
// is in entrances/restored.ts.

import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { DaemonError, errorMessage } from '../../errors';
import { log } from '../../log';
import { setClock } from '../vms/guest-clocks';
import { copyDisk } from '../../storage/disks/copy-disk';
import { syncPath } from '../../host/sync-path';
import { sigkill } from '../../translate/signals';
import { containerDisks } from '../../translate/pod-to-vm';
import {
  CheckpointStore,
  requireCheckpointName,
  type CheckpointRecord,
} from './checkpoints/checkpoint-store';
import {
  eventAttributes,
  diskMounts,
  imageMounts,
  type ContainerRecord,
} from '../../semantics/containers/container-record';
import type { Container } from '../core/container-registry';
import { containerDirectory, type DataRoot } from './remove';
import { comparableSpec, savedMounts } from './checkpoints/restore';
import { shareNames } from '../mounts/container-shares';
import { disksOf, type DiskStores } from '../vms/pod-plan';
import { isActive } from '../../semantics/containers/container-state';
import { podNameOf } from '../vms/named-pods';
import type { RunningPod } from '../vms/running-pod';
import type { Announcer } from '../../semantics/events/event-publisher';
import type { ContainerWaits } from '../../semantics/containers/container-wait';
import type { VolumeStore } from '../../storage/disks/volume-store';
import { findPod, type PodPlaces } from '../vms/guest-access';
import { podOf, type PodSources } from './container-pod';

export interface CheckpointRequest {
  name: string;
  /** '': the container's own. */
  directory: string;
  /** The container ends when it is saved. */
  exit: boolean;
}

/** The checkpoints of a container, or of a directory that the client names. */
export function checkpointsOf(
  engine: DataRoot,
  container: Container,
  ref: string,
  directory: string,
): CheckpointStore {
  const own = join(containerDirectory(engine, container.id), 'checkpoints');
  return new CheckpointStore(directory === '' ? own : directory, ref);
}

/** What of a container a checkpoint tells. */
type CheckpointSources = DiskStores & PodSources & { readonly volumes: Pick<VolumeStore, 'source'> };

/** What a checkpoint is made with. */
export type CheckpointNeeds = CheckpointSources &
  DataRoot &
  PodPlaces &
  Announcer & { readonly waits: Pick<ContainerWaits, 'wait'> };

/** CheckpointCreate. Queues by itself; with `exit` it resolves when the container has ended. */
export async function createCheckpoint(
  engine: CheckpointNeeds,
  container: Container,
  ref: string,
  request: CheckpointRequest,
): Promise<void> {
  const exited = await container.operations.run(async () => {
    const pod = await requireCheckpointable(engine, container, ref, request.name);
    await pod.cpus.run(() => save(engine, container, pod, ref, request));
    engine.events.publish('container', 'checkpoint', container.id, eventAttributes(container.record));
    // The exit is recorded in this queue, so not before here. In an object, as the queue must not wait for it.
    return request.exit ? { recorded: engine.waits.wait(container, 'not-running') } : undefined;
  });
  await exited?.recorded;
}

async function requireCheckpointable(
  engine: PodPlaces,
  container: Container,
  ref: string,
  name: string,
): Promise<RunningPod> {
  const pod = await findPod(engine, container);
  if (pod === undefined) throw new DaemonError('Internal', `Container ${ref} not running`);
  if (container.record.config.Tty) {
    throw new DaemonError('Internal', 'checkpoint not support on containers with tty');
  }
  requireCheckpointName(name);
  const refuse = (why: string): DaemonError =>
    new DaemonError('Internal', `Cannot checkpoint container ${ref}: ${why}`);
  const { record, state } = container;
  if (state.kind === 'paused') throw refuse('it is paused: unpause it first');
  if (pod.members.size > 1 || podNameOf(record) !== undefined) {
    throw refuse('it shares its virtual machine with other containers: run it without them');
  }
  if (imageMounts(record).length > 0) throw refuse('it has an image mounted: run it without that');
  if (diskMounts(record).length > 0) throw refuse('it has a volume that is a disk: run it without that');
  return pod;
}

/** In the container's queue and the Pod's queue of its vCPUs: nobody else stops or wakes them. */
async function save(
  engine: CheckpointSources & DataRoot,
  container: Container,
  pod: RunningPod,
  ref: string,
  request: CheckpointRequest,
): Promise<void> {
  const unfinished = await checkpointsOf(engine, container, ref, request.directory)
    .begin(request.name)
    .catch((error: unknown) => {
      throw new DaemonError('Internal', `cannot checkpoint container ${ref}: ${errorMessage(error)}`, {
        cause: error,
      });
    });
  const { agent } = pod.vm;
  const freeze = (frozen: boolean): Promise<unknown> =>
    agent.request('container.freeze', { id: container.id, frozen });
  const startedAt = performance.now();
  try {
    await freeze(true);
    const vm = await pod.vm.save(unfinished.statePath, unfinished.filesPath);
    await copyDisk(engine.disks.path(container.id), unfinished.diskPath);
    await chmod(unfinished.diskPath, 0o600);
    await syncPath(unfinished.diskPath);
    await unfinished.finish(await describe(engine, container, pod, vm));
    log.info('checkpoint made', { containerId: container.id, ms: Math.round(performance.now() - startedAt) });
  } catch (error) {
    await unfinished.discard();
    await wake(pod, freeze);
    const full = /no space left|ENOSPC/i.test(errorMessage(error));
    const why = full ? 'no space left on device' : errorMessage(error);
    throw new DaemonError('Internal', `Cannot checkpoint container ${ref}: ${why}`, { cause: error });
  }
  if (!request.exit) {
    await wake(pod, freeze);
    return;
  }
  // Still frozen: not one instruction follows the checkpoint.
  await pod.vm.resume();
  await agent.request('container.signal', { id: container.id, signal: sigkill, all: true });
}

async function wake(pod: RunningPod, freeze: (frozen: boolean) => Promise<unknown>): Promise<void> {
  await pod.vm.resume();
  // its clock stood still
  await setClock(pod.vm.agent);
  await freeze(false);
}

async function describe(
  engine: CheckpointSources,
  container: Container,
  pod: RunningPod,
  vm: CheckpointRecord['vm'],
): Promise<Omit<CheckpointRecord, 'formatVersion'>> {
  const { state } = container;
  if (!isActive(state)) throw new DaemonError('Conflict', 'it has ended meanwhile');
  const record: ContainerRecord = container.record;
  const [writable, ...layers] = containerDisks([await disksOf(engine, record)]);
  const writer = pod.containers.get(container.id)?.writer;
  const names = state.shareNames ?? shareNames(record);
  return {
    containerId: container.id,
    layers: record.layers,
    writableDiskId: writable?.id ?? '',
    layerDiskIds: layers.map(({ id }) => id),
    vm,
    run: { pid: state.pid, channels: state.channels },
    mounts: savedMounts(engine.volumes, record, names, state.sockets ?? {}),
    logged: {
      stdout: writer?.durableOffset('stdout') ?? 0,
      stderr: writer?.durableOffset('stderr') ?? 0,
    },
    spec: comparableSpec(podOf(engine, record)),
  };
}
