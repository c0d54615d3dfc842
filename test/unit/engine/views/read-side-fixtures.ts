import type { Filters } from '../../../../src/api/v1.41/backend';
import { ContainerRegistry } from '../../../../src/engine/core/container-registry';
import { fillHostConfig } from '../../../../src/semantics/create/defaults';
import type { ContainerRecord } from '../../../../src/semantics/containers/container-record';
import type { ContainerState } from '../../../../src/semantics/containers/container-state';
import { filledImageConfig } from '../../../../src/semantics/images/inspect';
import type { Image } from '../../../../src/storage/contract/image';
import type { DocumentStore, ImageStore, LayerStore } from '../../../../src/storage/contract/stores';

export const never = '0001-01-01T00:00:00Z';

export function filters(entries: Record<string, string[]> = {}): Filters {
  return new Map(Object.entries(entries));
}

const exit = { exitCode: 0, error: '', oomKilled: false, startedAt: never, finishedAt: never };
export const created: ContainerState = { kind: 'created', ...exit };

export function runningSince(startedAt: string): ContainerState {
  return {
    kind: 'running',
    vmId: 'vm1',
    pid: 42,
    runId: 'r',
    channels: { stdout: 1 },
    startedAt,
    finishedAt: never,
    oomKilled: false,
  };
}

export function exited(exitCode: number, finishedAt: string): ContainerState {
  return { kind: 'exited', ...exit, exitCode, startedAt: '2024-01-01T00:00:00Z', finishedAt };
}

export function idOf(letter: string): string {
  return letter.repeat(64);
}

export const busyboxId = `sha256:${'1'.repeat(64)}`;

export function record(letter: string, changes: Partial<ContainerRecord> = {}): ContainerRecord {
  const id = idOf(letter);
  return {
    id,
    name: `c-${letter}`,
    createdAt: `2024-01-01T00:00:0${letter.charCodeAt(0) % 10}.5Z`,
    config: { ...filledImageConfig({}), Hostname: id.slice(0, 12), Image: 'busybox', Labels: {} },
    hostConfig: fillHostConfig({}),
    path: 'sleep',
    args: ['100'],
    imageId: busyboxId,
    layers: ['sha256:aa'],
    platform: 'linux',
    podId: id,
    state: created,
    restartCount: 0,
    manuallyStopped: false,
    logPath: `/data/${id}-json.log`,
    writableDiskBytes: 1,
    mounts: [],
    networks: { bridge: { networkId: '', requested: {} } },
    publishedPorts: [],
    warnings: [],
    ...changes,
  };
}

export function registryOf(...records: ContainerRecord[]): ContainerRegistry {
  const documents = new Map<string, object>();
  const store = {
    put: (collection: string, id: string, value: object) => void documents.set(`${collection}/${id}`, value),
    delete: (collection: string, id: string) => void documents.delete(`${collection}/${id}`),
    all: () => records,
  };
  const registry = new ContainerRegistry(store as unknown as DocumentStore);
  registry.load();
  return registry;
}

export function image(letter: string, changes: Partial<Image> = {}): Image {
  return {
    id: `sha256:${letter.repeat(64)}`,
    config: {
      architecture: 'amd64',
      os: 'linux',
      created: '2020-01-01T00:00:00Z',
      config: { Cmd: ['sh'], Env: ['PATH=/bin'] },
      rootfs: { type: 'layers', diff_ids: ['sha256:aa'] },
    },
    repoTags: [],
    repoDigests: [],
    sizeBytes: 1000,
    parentId: '',
    lastTagTimeMs: 0,
    ...changes,
  };
}

export function imagesOf(...images: Image[]): ImageStore {
  const find = (ref: string) =>
    images.find(
      ({ id, repoTags }) => id === ref || repoTags.includes(ref) || repoTags.includes(`${ref}:latest`),
    );
  const get = (ref: string) => {
    const found = find(ref);
    if (found === undefined) throw new Error(`No such image: ${ref}`);
    return found;
  };
  return { find, get, list: () => [...images] } as unknown as ImageStore;
}

export const layers: LayerStore = {
  diskPaths: (ids: readonly string[]) => ids.map((id) => `/layers/${id}`),
  sizeBytes: () => 500,
} as unknown as LayerStore;
