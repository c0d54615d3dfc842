// What the API's volume operations mean here: the store keeps the files, containers' records tell who uses them.

import type { Filters, VolumeBackend } from '../../api/v1.41/backend';
import type { Volume as WireVolume, VolumeCreateBody, VolumeListResponse } from '../../docker/types';
import { DaemonError, errorMessage } from '../../errors';
import { log } from '../../log';
import type { Volume, VolumeStore } from '../../storage/disks/volume-store';
import { containersUsing } from '../mounts/container-mounts';
import type { ContainerRegistry } from '../core/container-registry';
import type { EventPublisher } from '../../semantics/events/event-publisher';
import { booleanFilter, matchLabels, matchValue, validateFilters } from '../../semantics/filters/filters';
import { pruneFilter } from '../../semantics/filters/prune-filter';

export interface VolumeBackendContext {
  volumes: VolumeStore;
  registry: ContainerRegistry;
  events: EventPublisher;
}

const acceptedFilters = ['dangling', 'name', 'driver', 'label'] as const;

export class EngineVolumeBackend implements VolumeBackend {
  readonly #volumes: VolumeStore;
  readonly #registry: ContainerRegistry;
  readonly #events: EventPublisher;

  constructor(context: VolumeBackendContext) {
    this.#volumes = context.volumes;
    this.#registry = context.registry;
    this.#events = context.events;
  }

  list(filters: Filters): Promise<VolumeListResponse> {
    return promised(() => {
      validateFilters(filters, acceptedFilters);
      const dangling = booleanFilter(filters, 'dangling', { digits: true });
      const Volumes = this.#volumes
        .list()
        .filter((volume) => matches(filters, volume))
        .filter((volume) => dangling === undefined || this.#isUnused(volume) === dangling)
        .map((volume) => this.#shape(volume));
      return { Volumes, Warnings: null };
    });
  }

  inspect(name: string): Promise<WireVolume> {
    return promised(() => this.#shape(this.#volumes.get(name)));
  }

  async create(body: VolumeCreateBody): Promise<WireVolume> {
    const { volume } = await this.#volumes.create({
      ...(body.Name === undefined ? {} : { name: body.Name }),
      ...(body.Driver === undefined ? {} : { driver: body.Driver }),
      options: body.DriverOpts ?? null,
      labels: body.Labels ?? null,
    });
    // dockerd tells of it also when the volume was there
    this.#events.publish('volume', 'create', volume.name, { driver: 'local' });
    return this.#shape(volume);
  }

  async remove(name: string, { force }: { force: boolean }): Promise<void> {
    if (force && this.#volumes.find(name) === undefined) return;
    this.#volumes.get(name);
    const users = this.#users(name);
    if (users.length > 0) {
      throw new DaemonError('Conflict', `remove ${name}: volume is in use - [${users.join(', ')}]`);
    }
    await this.#destroy(name);
  }

  async prune(filters: Filters): Promise<{ VolumesDeleted: string[] | null; SpaceReclaimed: number }> {
    const wanted = pruneFilter('volumes', filters);
    const VolumesDeleted: string[] = [];
    let SpaceReclaimed = 0;
    for (const volume of this.#volumes.list()) {
      if (!this.#isUnused(volume) || !wanted(volume.labels ?? {}, Date.parse(volume.createdAt))) continue;
      const bytes = await this.#usageBytes(volume);
      // Somebody may have taken it, or removed it, while it was measured.
      if (this.#volumes.find(volume.name) !== volume || !this.#isUnused(volume)) continue;
      await this.#destroy(volume.name);
      SpaceReclaimed += Math.max(0, bytes);
      VolumesDeleted.push(volume.name);
    }
    this.#events.publish('volume', 'prune', '', { reclaimed: String(SpaceReclaimed) });
    return { VolumesDeleted, SpaceReclaimed };
  }

  /** For `system df`: with sizes and counts of users. */
  async usage(): Promise<WireVolume[]> {
    const volumes: WireVolume[] = [];
    for (const volume of this.#volumes.list()) {
      const Size = await this.#usageBytes(volume);
      const RefCount = this.#users(volume.name).length;
      volumes.push({ ...this.#shape(volume), UsageData: { RefCount, Size } });
    }
    return volumes;
  }

  /** -1 where it can't be told, as in Docker. One that was removed meanwhile is no failure of the others either. */
  async #usageBytes({ name }: Volume): Promise<number> {
    try {
      return await this.#volumes.usageBytes(name);
    } catch (error) {
      log.warn('the size of a volume could not be told', { volume: name, error: errorMessage(error) });
      return -1;
    }
  }

  async #destroy(name: string): Promise<void> {
    await this.#volumes.remove(name);
    this.#events.publish('volume', 'destroy', name, { driver: 'local' });
  }

  #isUnused(volume: Volume): boolean {
    return this.#users(volume.name).length === 0;
  }

  #users(name: string): string[] {
    return containersUsing({ registry: this.#registry, volumes: this.#volumes }, name);
  }

  #shape(volume: Volume): WireVolume {
    return {
      CreatedAt: volume.createdAt,
      Driver: 'local',
      Labels: volume.labels,
      Mountpoint: this.#volumes.hostPath(volume.name),
      Name: volume.name,
      Options: volume.options,
      Scope: 'local',
    };
  }
}

function matches(filters: Filters, volume: Volume): boolean {
  const names = filters.get('name') ?? [];
  if (names.length > 0 && !names.some((name) => volume.name.includes(name))) return false;
  if (!matchValue(filters, 'driver', 'local')) return false;
  return matchLabels(filters.get('label'), volume.labels ?? {});
}

/** A function that throws, as a promise that rejects. */
function promised<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => resolve(work()));
}
