// The first use of volumes: the guest copies the image's files into those that are empty, before the command runs.

import type { MountPoint } from '../../docker/types';
import { log } from '../../log';
import type { VolumeFilling } from '../../storage/disks/volume-filling';
import { AgentError } from '../../vm/contract/agent-error';
import type { GuestMount } from '../../vm/contract/protocol';
import type { Vm, FileShare } from '../../vm/contract/vm';
import { hasVolume } from './container-mounts';
import type { Container, ContainerRegistry } from '../core/container-registry';
import type { PreparedShares } from './container-shares';
import { isActive } from '../../semantics/containers/container-state';
import type { VolumeStore } from '../../storage/disks/volume-store';
import type { FileHolding } from '../engine';

/** Volumes, and the containers that may have them. */
export interface VolumeUsers {
  readonly volumes: VolumeStore;
  readonly registry: ContainerRegistry;
}

/** The guest copies as many files as an image may hold. */
export const fillingTimeoutMs = 30 * 60_000;

/** What one start fills. Once it has begun, exactly one of `during` and `abandon` must end it; both may be called. */
export class ShareFilling {
  readonly shares: FileShare[];
  readonly mounts: GuestMount[];
  /** Whether the guest may have much to copy. */
  readonly fills: boolean;
  readonly #filling: VolumeFilling;
  /** Shares that are read-only but for the time in which they are filled. */
  readonly #opened: ReadonlySet<string>;

  private constructor(prepared: PreparedShares, filling: VolumeFilling) {
    const { shares, mounts, fillable } = prepared;
    this.#filling = filling;
    this.fills = filling.names.size > 0;
    const filled = [...fillable.values()].filter(({ volume }) => filling.names.has(volume));
    const names = new Set(filled.map(({ share }) => share));
    const opened = shares.filter(({ name, readOnly }) => readOnly && names.has(name));
    this.#opened = new Set(opened.map(({ name }) => name));
    this.shares = shares.map((share) =>
      this.#opened.has(share.name) ? { ...share, readOnly: false } : share,
    );
    this.mounts = mounts.map((mount) => {
      const target = fillable.get(mount.target);
      const populate = mount.populate === true && (target === undefined || names.has(target.share));
      return { ...mount, populate };
    });
  }

  /** Waits for other starts that fill the same volumes. */
  static async begin({ volumes, registry }: VolumeUsers, prepared: PreparedShares): Promise<ShareFilling> {
    const names = [...prepared.fillable.values()].map(({ volume }) => volume);
    const isOthers = (volume: string): boolean =>
      registry.list().some(({ state, record }) => isActive(state) && hasVolume(record, volume));
    return new ShareFilling(prepared, await volumes.fillings.begin(names, isOthers));
  }

  /** Volumes have their files once the guest has come as far as the command, whether or not that could be run. */
  async during<T>(vm: Vm, started: Promise<T>): Promise<T> {
    try {
      const result = await started;
      await this.#complete(vm);
      return result;
    } catch (error) {
      if (error instanceof AgentError && error.failure.phase !== 'io') await this.#complete(vm);
      throw error;
    }
  }

  /** Empties them again, but for what a container that runs has. The VM must be gone. */
  abandon(): Promise<void> {
    return this.#filling.abandon();
  }

  async #complete(vm: Vm): Promise<void> {
    await vm.protectShares([...this.#opened]);
    await this.#filling.complete();
  }
}

/** Who else was created with volumes, and what fills them. */
export interface UnstartedNeeds {
  readonly registry: ContainerRegistry;
  readonly fileHolders: Pick<FileHolding, 'fillVolumes'>;
}

/**
 * dockerd fills volumes when a container is created, we when it starts. So what another container was created with is
 * filled from that one's image before this one sees it. Never throws.
 */
export async function fillFromUnstarted(engine: UnstartedNeeds, container: Container): Promise<void> {
  const names = new Set(container.record.mounts.map(({ Name }) => Name ?? ''));
  const shared = ({ Type, Name }: MountPoint): boolean => Type === 'volume' && names.has(Name ?? '');
  const newestFirst = engine.registry.list();
  const earlier = newestFirst
    .slice(newestFirst.indexOf(container) + 1)
    .filter(({ state, record }) => state.kind === 'created' && record.mounts.some(shared))
    .reverse();
  for (const other of earlier) {
    await engine.fileHolders
      .fillVolumes(other)
      .catch((error: unknown) => log.warn('volumes could not be filled', { containerId: other.id, error }));
  }
}
