// The API's system operations: info, version, auth, events, disk usage.

import type { BuildKitBackend, ContainerBackend, Filters, SystemBackend } from '../../api/v1.41/backend';
import type {
  AuthConfig,
  AuthResponse,
  DiskUsage,
  EventMessage,
  SystemInfo,
  SystemVersion,
  Volume,
} from '../../docker/types';
import type { Config } from '../../config';
import type { ImageStore, LayerStore } from '../../storage/contract/stores';
import type { VmPool } from '../../vm/contract/vm';
import type { ContainerRegistry } from '../core/container-registry';
import { loadEngineId } from '../system/engine-id';
import type { EventBus } from '../../semantics/events/events';
import { listImages } from '../../semantics/images/list';
import { diskUsage } from '../../semantics/system/disk-usage';
import { systemInfo, systemVersion } from '../system/system-info';
import { logDrivers } from '../logs/log-config';
import type { SystemVersions } from '../../versions';

export interface SystemBackendContext {
  config: Config;
  versions: SystemVersions;
  registry: ContainerRegistry;
  images: ImageStore;
  layers: LayerStore;
  vms: VmPool;
  events: EventBus;
  /** For disk usage. */
  containers: Pick<ContainerBackend, 'list'>;
  volumes: { usage(): Promise<Volume[]> };
  builds: Pick<BuildKitBackend, 'cacheUsage'>;
}

const noFilters: Filters = new Map();

export class EngineSystemBackend implements SystemBackend {
  readonly #context: SystemBackendContext;
  /** As `info` shows it. */
  readonly id: string;

  constructor(context: SystemBackendContext) {
    this.#context = context;
    this.id = loadEngineId(context.config.dataRoot);
  }

  containerCounts(): { running: number; paused: number; stopped: number } {
    const containers = { running: 0, paused: 0, stopped: 0 };
    for (const { state } of this.#context.registry.list()) {
      if (state.kind === 'paused') containers.paused += 1;
      // Docker counts the wait for a restart as running.
      else if (state.kind === 'running' || state.kind === 'restarting') containers.running += 1;
      else containers.stopped += 1;
    }
    return containers;
  }

  info(): Promise<SystemInfo> {
    const { config, versions, images, vms, events } = this.#context;
    const containers = this.containerCounts();
    return Promise.resolve(
      systemInfo({
        id: this.id,
        config,
        versions,
        vmStatus: vms.status(),
        containers,
        images: images.list().length,
        eventListeners: events.listenerCount,
        logDrivers: logDrivers(),
      }),
    );
  }

  version(): Promise<SystemVersion> {
    return Promise.resolve(systemVersion(this.#context.versions, this.#context.config.experimental));
  }

  async auth(body: AuthConfig): Promise<AuthResponse> {
    const { status, identityToken } = await this.#context.images.login(body);
    return { IdentityToken: identityToken, Status: status };
  }

  async events(
    options: { sinceNs?: bigint; untilNs?: bigint; filters: Filters },
    signal: AbortSignal,
  ): Promise<AsyncIterable<EventMessage>> {
    return Promise.resolve(this.#context.events.subscribe(options, signal));
  }

  async diskUsage(): Promise<DiskUsage> {
    const { images, layers, containers, volumes, builds } = this.#context;
    const [listed, usage, buildCache] = await Promise.all([
      containers.list({ all: true, limit: 0, size: true, filters: noFilters }),
      volumes.usage(),
      builds.cacheUsage(new AbortController().signal),
    ]);
    return diskUsage({
      images: images.list(),
      summaries: listImages(images, { all: false, filters: noFilters }),
      layerBytes: (diffId) => layerBytes(layers, diffId),
      containers: listed,
      volumes: usage,
      buildCache,
    });
  }
}

/** Of its tar stream, as Docker counts. */
function layerBytes(layers: Pick<LayerStore, 'sizeBytes'>, diffId: string): number {
  try {
    return layers.sizeBytes(diffId);
  } catch {
    // A layer that is missing takes no room.
    return 0;
  }
}
