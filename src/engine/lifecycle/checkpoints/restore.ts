// What `start --checkpoint` does otherwise than a start: a VM that was saved, with a copy of the disk, and an identity
// of its own for whatever container it now belongs to.

import { link, rename, rm } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { DaemonError, systemErrorCode } from '../../../errors';
import { copyDisk } from '../../../storage/disks/copy-disk';
import { diskBeforeSuffix } from '../../../storage/disks/writable-disk-store';
import { onlyContainer, type PodContainerSpec, type PodSpec } from '../../../translate/pod';
import { containerDisks, type ContainerDisks } from '../../../translate/pod-to-vm';
import type { Agent } from '../../../vm/contract/agent';
import type { GuestFile } from '../../../vm/contract/protocol';
import type { MountPoint } from '../../../docker/types';
import type { VolumeStore } from '../../../storage/disks/volume-store';
import type { RestoreSource, FileShare } from '../../../vm/contract/vm';
import type { SavedMount, StoredCheckpoint } from './checkpoint-store';
import type { ContainerRecord } from '../../../semantics/containers/container-record';
import { prepareShares, type PreparedShares } from '../../mounts/container-shares';
import type { ShareNames, SocketTargets } from '../../../semantics/containers/container-state';
import { apiSocketPath, type Config } from '../../../config';

/** Shares of a container that goes on from a checkpoint. */
export type RestoredShares = PreparedShares & { names: ShareNames };

/** Throws when the checkpoint is of a container that was created otherwise, and says how. */
export function requireSameContainer(
  record: ContainerRecord,
  pod: PodSpec,
  { record: saved }: StoredCheckpoint,
): void {
  if (!isDeepStrictEqual(record.layers, saved.layers)) {
    throw new DaemonError('Conflict', 'the checkpoint is of a container of another image');
  }
  const ours = comparableSpec(pod);
  const different = (Object.keys(ours) as (keyof PodContainerSpec)[]).filter(
    (key) => !isDeepStrictEqual(plain(ours[key]), plain(saved.spec[key])),
  );
  if (different.length > 0) {
    throw new DaemonError(
      'Conflict',
      `the checkpoint is of a container that was created with another ${different.join(', ')}`,
    );
  }
}

/** The container of a Pod as far as a checkpoint decides it: not its id, names or limits, which are renewed. */
export function comparableSpec(pod: PodSpec): PodContainerSpec {
  const container = onlyContainer(pod);
  const env = container.process.env.filter((variable) => !variable.startsWith('HOSTNAME='));
  return { ...container, id: '', cgroup: {}, blockIo: {}, process: { ...container.process, env } };
}

/** Others are among the mounts of the process, which are compared as such. */
function isOfHost({ Type }: MountPoint): boolean {
  return Type !== 'tmpfs';
}

/** Volumes and binds as far as a checkpoint decides them: the guest has them mounted. By target. */
export function savedMounts(
  volumes: Pick<VolumeStore, 'source'>,
  { mounts }: Pick<ContainerRecord, 'mounts'>,
  names: ShareNames,
  sockets: SocketTargets,
): SavedMount[] {
  const kindOf = ({ Type, Name }: MountPoint, name: string): SavedMount['kind'] => {
    if (Object.hasOwn(sockets, name)) return 'socket';
    const kind = Type === 'volume' ? volumes.source(Name ?? '').kind : 'directory';
    // `tmpfs` is of an earlier version, whose guests made it themselves.
    return kind === 'tmpfs' ? 'memory' : kind === 'nfs' ? 'nfs' : 'files';
  };
  return mounts
    .filter(isOfHost)
    .map((point) => {
      const name = names[point.Destination] ?? '';
      return { target: point.Destination, name, kind: kindOf(point, name), readOnly: !point.RW };
    })
    .sort((a, b) => (a.target < b.target ? -1 : 1));
}

/**
 * What of the host the container's volumes and binds are now, under the names that the guest has for them. Throws when they
 * are not the checkpoint's.
 */
export async function restoredShares(
  { volumes, config }: { readonly volumes: VolumeStore; readonly config: Pick<Config, 'hosts'> },
  record: ContainerRecord,
  { record: { mounts: before = [] } }: StoredCheckpoint,
): Promise<RestoredShares> {
  const names = Object.fromEntries(before.map(({ target, name }) => [target, name]));
  const ours = record.mounts.filter(isOfHost).map(({ Destination }) => Destination);
  requireSame([
    ...ours.filter((target) => !Object.hasOwn(names, target)),
    ...before.map(({ target }) => target).filter((target) => !ours.includes(target)),
  ]);
  const prepared = await prepareShares(volumes, record, apiSocketPath(config.hosts), names);
  // The guest has mounted what there was to be filled.
  prepared.fillable.clear();
  const now = savedMounts(volumes, record, names, prepared.socketTargets);
  requireSame(
    now.filter((mount, index) => !isDeepStrictEqual(mount, before[index])).map(({ target }) => target),
  );
  return { ...prepared, names };
}

/** Throws when there are any mounts that differ. */
function requireSame(different: readonly string[]): void {
  if (different.length === 0) return;
  throw new DaemonError(
    'Conflict',
    `the checkpoint is of a container with other volumes or binds (${different.join(', ')})`,
  );
}

/** As it comes back from a file. */
function plain(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

/** The disks of the saved VM with this container's files, where they were, and what it shares of the host. */
export function restoreSource(
  checkpoint: StoredCheckpoint,
  disks: ContainerDisks,
  shares: readonly FileShare[],
): RestoreSource {
  const { record, statePath, filesPath } = checkpoint;
  const savedIds = [record.writableDiskId, ...record.layerDiskIds];
  const wanted = containerDisks([disks]);
  const plugged = wanted.map((disk, index) => {
    const savedId = savedIds[index] ?? '';
    const lun = record.vm.disks[savedId];
    if (lun === undefined || (disk.readOnly && disk.id !== savedId)) throw otherLayout();
    return { disk, lun };
  });
  // A disk too few would be missed by the guest.
  if (Object.keys(record.vm.disks).length !== plugged.length) throw otherLayout();
  if (record.vm.sharesFiles !== true) return { statePath, disks: plugged };
  return { statePath, disks: plugged, files: { statePath: filesPath, shares } };
}

function otherLayout(): DaemonError {
  return new DaemonError('Conflict', "the image's layers are not stored as they were at the checkpoint");
}

/** The container's disk while a start from a checkpoint is tried: the checkpoint's, and the one from before. */
export class RestoredDisk {
  readonly #path: string;
  readonly #before: string;
  #replaced = false;

  constructor(path: string) {
    this.#path = path;
    this.#before = `${path}${diskBeforeSuffix}`;
  }

  async replace(checkpoint: StoredCheckpoint): Promise<void> {
    // A name without the disks' suffix: the next daemon removes what a crash leaves of it.
    const copy = `${this.#path}.new`;
    try {
      await copyDisk(checkpoint.diskPath, copy);
      await rm(this.#before, { force: true });
      await link(this.#path, this.#before);
      await rename(copy, this.#path);
      this.#replaced = true;
    } finally {
      await rm(copy, { force: true });
    }
  }

  /** The start has failed: the container has what it had. */
  async undo(): Promise<void> {
    if (this.#replaced) await rename(this.#before, this.#path);
  }

  async keep(): Promise<void> {
    await rm(this.#before, { force: true });
  }

  /** After a daemon's end in the middle of it. `started`: the container was recorded as started. */
  async recover(started: boolean): Promise<void> {
    if (started) await this.keep();
    else {
      await rename(this.#before, this.#path).catch((error: unknown) => {
        if (systemErrorCode(error) !== 'ENOENT') throw error;
      });
    }
  }
}

/** Makes the saved container this one, and lets its processes go on. The Pod has been renewed before. */
export async function resumeSaved(
  agent: Agent,
  { record: saved }: StoredCheckpoint,
  container: { id: string; spec: PodContainerSpec; files: readonly GuestFile[] },
): Promise<{ pid: number }> {
  const { id, spec, files } = container;
  await agent.request('container.rename', { id: saved.containerId, newId: id });
  await agent.request('container.update', { id, cgroup: spec.cgroup });
  for (const { path, contentBase64 } of files) {
    await agent.request('container.file', { id, path, contentBase64 });
  }
  await agent.request('container.freeze', { id, frozen: false });
  return { pid: saved.run.pid };
}

/**
 * The process's streams, whose output before the checkpoint is another run's; those of execs, which nobody knows any
 * more, are closed.
 */
export function savedChannels(
  agent: Agent,
  { record: { run } }: StoredCheckpoint,
): StoredCheckpoint['record']['run']['channels'] {
  const { stdin, stdout, stderr } = run.channels;
  const own = new Set([stdin, stdout, stderr]);
  const open = new Set(agent.hello.channels.map(({ channel }) => channel));
  for (const channel of open) if (!own.has(channel)) agent.openOutput(channel).reset();
  return run.channels;
}
