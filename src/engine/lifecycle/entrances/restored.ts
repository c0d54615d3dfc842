// The way in from a checkpoint: a VM that goes on where it was saved, with a copy of the disk of then.

import type { Config } from '../../../config';
import { DaemonError } from '../../../errors';
import { log } from '../../../log';
import type { WritableDiskStore } from '../../../storage/contract/stores';
import type { Agent } from '../../../vm/contract/agent';
import type { RestoreSource } from '../../../vm/contract/vm';
import type { LogOffsets } from '../../core/container-log';
import type { ContainerRecord } from '../../../semantics/containers/container-record';
import type { RunFacts } from '../../../semantics/containers/container-state';
import { networkFiles, type NetworkFileSources } from '../../networks/container-network';
import { podNameOf, withPodHostname } from '../../vms/named-pods';
import type { AttachedEndpoint } from '../../vms/running-pod';
import type { StoredCheckpoint } from '../checkpoints/checkpoint-store';
import {
  requireSameContainer,
  RestoredDisk,
  restoredShares,
  restoreSource,
  resumeSaved,
  savedChannels,
  type RestoredShares,
} from '../checkpoints/restore';
import type { Arrival, Beginning, Entered, Entrance, Shared, Surroundings } from './entrance';
import { beginFilling, type ShareNeeds } from './fresh-start';
import { donorsOf, type Donors } from './placement';
import { enterOwnVm, type OwnVmNeeds } from './own-vm';

export type RestoredNeeds = OwnVmNeeds &
  ShareNeeds &
  NetworkFileSources & {
    readonly config: Pick<Config, 'hosts' | 'containerDefaults'>;
    readonly disks: Pick<WritableDiskStore, 'path'>;
  };

export class Restored implements Entrance {
  readonly #needs: RestoredNeeds;
  readonly #arrival: Arrival;
  readonly #checkpoint: StoredCheckpoint;
  readonly #shares: RestoredShares;
  readonly #source: RestoreSource;
  readonly #disk: RestoredDisk;

  private constructor(
    needs: RestoredNeeds,
    arrival: Arrival,
    checkpoint: StoredCheckpoint,
    parts: { shares: RestoredShares; source: RestoreSource; disk: RestoredDisk },
  ) {
    this.#needs = needs;
    this.#arrival = arrival;
    this.#checkpoint = checkpoint;
    this.#shares = parts.shares;
    this.#source = parts.source;
    this.#disk = parts.disk;
  }

  /** Throws what speaks against this checkpoint before anything of the container is touched; then takes its disk. */
  static async from(needs: RestoredNeeds, arrival: Arrival, checkpoint: StoredCheckpoint): Promise<Restored> {
    const { container, record, pod, disks, taken } = arrival;
    requireItsOwnVm(needs, container.record);
    requireSameContainer(container.record, pod, checkpoint);
    const shares = await restoredShares(needs, record, checkpoint);
    const source = restoreSource(checkpoint, disks, shares.shares);
    const disk = new RestoredDisk(needs.disks.path(record.id));
    taken.inVm.push('disk is that of a checkpoint', () => disk.undo());
    await disk.replace(checkpoint);
    return new Restored(needs, arrival, checkpoint, { shares, source, disk });
  }

  get logged(): LogOffsets {
    return this.#checkpoint.record.logged;
  }

  enter(): Promise<Entered> {
    const saved = { vm: this.#checkpoint.record.vm, source: this.#source };
    return enterOwnVm(this.#needs, this.#arrival, { saved });
  }

  /** The VM has its file server, and all is mounted. */
  async share(): Promise<Shared> {
    const { names, socketTargets } = this.#shares;
    const filling = await beginFilling(this.#needs, this.#arrival, this.#shares);
    return { filling, sockets: socketTargets, names };
  }

  channels(agent: Agent): RunFacts['channels'] {
    return savedChannels(agent, this.#checkpoint);
  }

  surroundings(attached: readonly AttachedEndpoint[]): Surroundings {
    const { container, spec } = this.#arrival;
    const files = networkFiles(this.#needs, withPodHostname(container.record), attached);
    return { files, sysctls: spec.sysctls, ownNetwork: false };
  }

  async begin({ entered: { pod, ready }, files }: Beginning): Promise<{ pid: number }> {
    const { record, spec } = this.#arrival;
    await ready;
    return resumeSaved(pod.vm.agent, this.#checkpoint, { id: record.id, spec, files });
  }

  recorded(): Partial<Pick<ContainerRecord, 'config'>> {
    return {};
  }

  /** The container's disk of before is not needed any more. The next daemon removes it, too. */
  async keep(): Promise<void> {
    const containerId = this.#arrival.record.id;
    await this.#disk
      .keep()
      .catch((error: unknown) => log.warn('disk from before a checkpoint stays', { containerId, error }));
  }
}

function requireItsOwnVm(engine: Donors, record: ContainerRecord): void {
  if (donorsOf(engine, record).length === 0 && podNameOf(record) === undefined) return;
  throw new DaemonError(
    'Conflict',
    'a container that shares a virtual machine can not be started from a checkpoint',
  );
}
