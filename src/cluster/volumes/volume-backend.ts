// volumes/: PersistentVolumeClaims as Docker's volumes.
//
// What the API's volume operations mean on a cluster.

import { randomBytes } from 'node:crypto';
import type { V1PersistentVolumeClaim } from '@kubernetes/client-node';
import type { Filters, VolumeBackend } from '../../api/v1.41/backend';
import { pause } from '../../async/pause';
import type { Volume, VolumeCreateBody, VolumeListResponse } from '../../docker/types';
import { DaemonError, errorMessage, isDaemonError } from '../../errors';
import { log } from '../../log';
import { booleanFilter, matchLabels, matchValue, validateFilters } from '../../semantics/filters/filters';
import { pruneFilter } from '../../semantics/filters/prune-filter';
import { requireTimeToLive } from '../contract/time-to-live';
import {
  claimName,
  claimOf,
  pendingAnnotation,
  shownVolume,
  volumeOf,
  type ClaimedVolume,
  type ClaimSettings,
} from './claim';

/** Claims of the namespace that are volumes. Throws NotFound and Conflict as the API does. */
export interface ClaimStore {
  list(): Promise<V1PersistentVolumeClaim[]>;
  get(name: string): Promise<V1PersistentVolumeClaim>;
  create(claim: V1PersistentVolumeClaim): Promise<V1PersistentVolumeClaim>;
  /** Takes an annotation off. */
  unmark(name: string, annotation: string): Promise<void>;
  remove(name: string): Promise<void>;
}

/** A container with a volume. */
export interface VolumeUser {
  containerId: string;
  volumes: readonly string[];
}

export interface ClusterVolumesContext {
  claims: ClaimStore;
  settings: ClaimSettings;
  /** Labels of every object of ours. */
  labels: Readonly<Record<string, string>>;
  /** Of all daemons' containers. */
  users: () => Promise<VolumeUser[]>;
  publish: (action: string, id: string, attributes: Record<string, string>) => Promise<void>;
}

/** For a claim that is on its way out: the cluster keeps it while the last Pod that has it ends. */
const leavingMs = 60_000;
const leavingLookMs = 200;
const neverAborted = new AbortController().signal;
const acceptedFilters = ['dangling', 'name', 'driver', 'label'] as const;

export class ClusterVolumeBackend implements VolumeBackend {
  readonly #context: ClusterVolumesContext;

  constructor(context: ClusterVolumesContext) {
    this.#context = context;
  }

  async list(filters: Filters): Promise<VolumeListResponse> {
    validateFilters(filters, acceptedFilters);
    const dangling = booleanFilter(filters, 'dangling', { digits: true });
    const inUse = dangling === undefined ? new Set<string>() : await this.#inUse();
    const volumes = (await this.#volumes()).filter(
      (volume) => matches(filters, volume) && (dangling === undefined || inUse.has(volume.name) !== dangling),
    );
    return { Volumes: volumes.map(shownVolume), Warnings: null };
  }

  async inspect(name: string): Promise<Volume> {
    return shownVolume(await this.get(name));
  }

  /** Throws NotFound in Docker's words. */
  async get(name: string): Promise<ClaimedVolume> {
    const found = await this.find(name);
    if (found === undefined) throw new DaemonError('NotFound', `get ${name}: no such volume`);
    return found;
  }

  async find(name: string): Promise<ClaimedVolume | undefined> {
    try {
      const claim = await this.#context.claims.get(claimName(name));
      return isLeaving(claim) ? undefined : volumeOf(claim);
    } catch (error) {
      if (isDaemonError(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  async create(body: VolumeCreateBody): Promise<Volume> {
    return shownVolume(await this.ensure(body));
  }

  /** One that is there already is taken, as by Docker. `forContainer`: by its create. Throws Docker's refusals. */
  async ensure(body: VolumeCreateBody, { forContainer = false } = {}): Promise<ClaimedVolume> {
    const given = body.Name ?? '';
    const name = given === '' ? randomBytes(32).toString('hex') : given;
    const driver = body.Driver ?? '';
    if (driver !== '' && driver !== 'local') {
      throw new DaemonError(
        'NotFound',
        `create ${name}: error looking up volume plugin ${driver}: plugin "${driver}" not found`,
      );
    }
    requireTimeToLive(body.Labels);
    const volume = (await this.find(name)) ?? (await this.#make(name, given === '', body, forContainer));
    // dockerd tells of it also when the volume was there
    await this.#context.publish('create', name, { driver: 'local' });
    return volume;
  }

  async remove(name: string, { force }: { force: boolean }): Promise<void> {
    const volume = force ? await this.find(name) : await this.get(name);
    if (volume === undefined) return;
    const users = (await this.#context.users()).filter(({ volumes }) => volumes.includes(name));
    if (users.length > 0) {
      const ids = users.map(({ containerId }) => containerId).join(', ');
      throw new DaemonError('Conflict', `remove ${name}: volume is in use - [${ids}]`);
    }
    await this.#destroy(volume);
  }

  async prune(filters: Filters): Promise<{ VolumesDeleted: string[] | null; SpaceReclaimed: number }> {
    const wanted = pruneFilter('volumes', filters);
    const inUse = await this.#inUse();
    const deleted: string[] = [];
    for (const volume of await this.#volumes()) {
      if (inUse.has(volume.name) || !wanted(volume.labels ?? {}, Date.parse(volume.createdAt))) continue;
      try {
        await this.#destroy(volume);
        deleted.push(volume.name);
      } catch (error) {
        log.warn('volume could not be pruned', { volume: volume.name, error: errorMessage(error) });
      }
    }
    // What a claim's volume holds is not known here.
    await this.#context.publish('prune', '', { reclaimed: '0' });
    return { VolumesDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: 0 };
  }

  /** For `system df`: with counts of users. What a claim's volume holds is not known here: -1, as Docker has it. */
  async usage(): Promise<Volume[]> {
    const users = await this.#context.users();
    return (await this.#volumes()).map((volume) => {
      const RefCount = users.filter(({ volumes }) => volumes.includes(volume.name)).length;
      return { ...shownVolume(volume), UsageData: { RefCount, Size: -1 } };
    });
  }

  /** Those that a container which is removed with `-v` has, or was to have: anonymous ones that no other has. */
  async removeAnonymous(containerId: string, names: readonly string[]): Promise<void> {
    const inUse = await this.#inUse(containerId);
    for (const name of names) {
      const volume = inUse.has(name) ? undefined : await this.find(name);
      if (volume?.anonymous === true) await this.#destroy(volume);
    }
  }

  /** These are volumes like others from now on, whatever becomes of the container. */
  async keep(names: readonly string[]): Promise<void> {
    for (const name of names) {
      const volume = await this.find(name);
      if (volume?.pending === true) await this.#context.claims.unmark(volume.claim, pendingAnnotation);
    }
  }

  /** What creates have made: kept where there is the container; gone where there is none, and `isOld` says that none will come. */
  async settle(isOld: (name: string) => boolean): Promise<void> {
    const pending = (await this.#volumes()).filter((volume) => volume.pending === true);
    if (pending.length === 0) return;
    const inUse = await this.#inUse();
    for (const volume of pending) {
      if (inUse.has(volume.name)) await this.#context.claims.unmark(volume.claim, pendingAnnotation);
      else if (isOld(volume.name)) {
        log.warn('a volume whose container was never made is removed', { volume: volume.name });
        await this.#destroy(volume);
      }
    }
  }

  async #make(
    name: string,
    anonymous: boolean,
    body: VolumeCreateBody,
    forContainer: boolean,
  ): Promise<ClaimedVolume> {
    const { claims, settings, labels } = this.#context;
    const options = body.DriverOpts ?? null;
    const pending = anonymous && forContainer;
    const request = { name, labels: body.Labels ?? null, options, anonymous, pending };
    const claim = claimOf(request, settings, labels);
    for (const end = performance.now() + leavingMs; ; await pause(leavingLookMs, neverAborted)) {
      try {
        const made = volumeOf(await claims.create(claim));
        if (made !== undefined) return made;
      } catch (error) {
        // another daemon was faster, or one of this name is on its way out
        if (!isDaemonError(error, 'Conflict')) throw error;
      }
      const there = await this.find(name);
      if (there !== undefined) return there;
      if (performance.now() > end) {
        const why = `the PersistentVolumeClaim of a volume of this name is still being removed`;
        throw new DaemonError('Unavailable', `create ${name}: ${why}`);
      }
    }
  }

  async #destroy(volume: ClaimedVolume): Promise<void> {
    try {
      await this.#context.claims.remove(volume.claim);
    } catch (error) {
      if (!isDaemonError(error, 'NotFound')) throw error;
    }
    await this.#context.publish('destroy', volume.name, { driver: 'local' });
  }

  async #volumes(): Promise<ClaimedVolume[]> {
    const claims = await this.#context.claims.list();
    // What is on its way out is gone to Docker.
    return claims.filter((claim) => !isLeaving(claim)).flatMap((claim) => volumeOf(claim) ?? []);
  }

  /** By any container but this one. */
  async #inUse(butBy?: string): Promise<Set<string>> {
    const users = await this.#context.users();
    return new Set(users.flatMap(({ containerId, volumes }) => (containerId === butBy ? [] : volumes)));
  }
}

function isLeaving({ metadata }: V1PersistentVolumeClaim): boolean {
  return metadata?.deletionTimestamp !== undefined;
}

function matches(filters: Filters, volume: ClaimedVolume): boolean {
  const names = filters.get('name') ?? [];
  if (names.length > 0 && !names.some((name) => volume.name.includes(name))) return false;
  if (!matchValue(filters, 'driver', 'local')) return false;
  return matchLabels(filters.get('label'), volume.labels ?? {});
}
