// A cluster's records in memory, with versions that must be found, and a record to put into them.

import type { ClusterSettings } from '../../../src/config';
import type { ClusterRecord } from '../../../src/cluster/contract/cluster-record';
import type { Stored, WatchedRecords } from '../../../src/cluster/contract/record-store';
import type { ContainerConfig, HostConfig } from '../../../src/docker/types';
import type { ContainerState } from '../../../src/semantics/containers/container-state';
import { DaemonError } from '../../../src/errors';
import { fillHostConfig, mergeImageConfig } from '../../../src/semantics/create/defaults';

type Told<T> = Parameters<WatchedRecords<T>['watch']>[0];

/** Shared by all who are in front of the same cluster; each write is told to those who watch. */
export class MemoryRecords<T> implements WatchedRecords<T> {
  readonly objects = new Map<string, Stored<T>>();
  readonly #watchers: Told<T>[] = [];
  #version = 0;
  /** Before each replace: what somebody else does meanwhile. */
  meanwhile: (() => Promise<unknown>) | undefined;

  list(): Promise<Stored<T>[]> {
    return Promise.resolve([...this.objects.values()]);
  }

  async get(name: string): Promise<Stored<T>> {
    await Promise.resolve();
    return this.#there(name);
  }

  async create(name: string, value: T): Promise<Stored<T>> {
    await Promise.resolve();
    if (this.objects.has(name)) throw new DaemonError('Conflict', `${name} already exists`);
    return this.#put(name, value);
  }

  async replace(name: string, version: string, value: T): Promise<Stored<T>> {
    const other = this.meanwhile;
    this.meanwhile = undefined;
    await other?.();
    if (this.#there(name).version !== version)
      throw new DaemonError('Conflict', 'the object has been modified');
    return this.#put(name, value);
  }

  async remove(name: string, version: string): Promise<void> {
    await Promise.resolve();
    const stored = this.#there(name);
    if (stored.version !== version) throw new DaemonError('Conflict', 'the object has been modified');
    this.objects.delete(name);
    for (const { removed } of this.#watchers) removed(stored);
  }

  watch(told: Told<T>): Promise<void> {
    for (const stored of this.objects.values()) told.changed(stored);
    this.#watchers.push(told);
    return Promise.resolve();
  }

  #there(name: string): Stored<T> {
    const stored = this.objects.get(name);
    if (stored === undefined) throw new DaemonError('NotFound', `${name} not found`);
    return stored;
  }

  #put(name: string, value: T): Stored<T> {
    this.#version += 1;
    const stored = { name, version: String(this.#version), value };
    this.objects.set(name, stored);
    for (const { changed } of this.#watchers) changed(stored);
    return stored;
  }
}

export const clusterSettings: ClusterSettings = {
  kubeconfig: undefined,
  context: undefined,
  namespace: 'box',
  runtimeClass: undefined,
  supervisorImage: 'registry.test/supervisor:1',
  serviceAccount: undefined,
  nodeSelector: {},
  tolerations: [],
  timesToLive: {},
  storageClass: '',
  volumeSize: '10Gi',
  volumeAccessMode: 'ReadWriteOnce',
  publishAs: 'listener',
  bindPaths: [],
  registry: undefined,
};

const never = '0001-01-01T00:00:00Z';

/** Of a run that goes on. */
export const runningState = {
  kind: 'running',
  vmId: 'uid',
  pid: 1,
  runId: '1',
  channels: { stdout: 0, stderr: 0 },
  oomKilled: false,
  startedAt: '2030-01-01T00:00:00Z',
  finishedAt: never,
} as const satisfies ContainerState;

/** Of a container that was made and has not run. */
export function clusterRecord(
  given: Partial<ClusterRecord> = {},
  config: ContainerConfig = {},
  hostConfig: HostConfig = {},
): ClusterRecord {
  const id = given.id ?? 'a1'.repeat(32);
  return {
    id,
    name: 'box',
    createdAt: '2030-01-01T00:00:00Z',
    config: mergeImageConfig(
      { Image: 'busybox', Cmd: ['sleep', '60'], ...config },
      {},
      config.Hostname ?? id.slice(0, 12),
    ),
    hostConfig: fillHostConfig(hostConfig),
    path: 'sleep',
    args: ['60'],
    imageId: `sha256:${'b'.repeat(64)}`,
    layers: [],
    platform: 'linux',
    podId: id,
    state: { kind: 'created', exitCode: 0, error: '', oomKilled: false, startedAt: never, finishedAt: never },
    restartCount: 0,
    manuallyStopped: false,
    logPath: '',
    writableDiskBytes: 0,
    mounts: [],
    networks: {},
    publishedPorts: [],
    warnings: [],
    source: { reference: `registry.test/busybox@sha256:${'c'.repeat(64)}` },
    ...given,
  };
}
