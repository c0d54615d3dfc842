// What every lifecycle operation works with. Built once, by daemon.ts.

import type { Config } from '../../config';
import type { NetworkManager } from '../../network/network';
import type { ImageStore, LayerStore, WritableDiskStore } from '../../storage/contract/stores';
import type { VolumeStore } from '../../storage/disks/volume-store';
import type { VmPool } from '../../vm/contract/vm';
import type { ContainerLogs } from './container-log';
import type { ContainerRegistry } from './container-registry';
import type { EventPublisher } from '../../semantics/events/event-publisher';

export interface EngineContext {
  readonly config: Pick<
    Config,
    | 'dataRoot'
    | 'emulatorDir'
    | 'hosts'
    | 'writableDiskBytes'
    | 'vmCpus'
    | 'vmMemoryBytes'
    | 'containerDefaults'
    | 'defaultShmBytes'
    | 'networkDefaults'
    | 'experimental'
  >;
  readonly registry: ContainerRegistry;
  readonly events: EventPublisher;
  readonly logs: ContainerLogs;
  readonly images: ImageStore;
  readonly layers: LayerStore;
  readonly disks: WritableDiskStore;
  readonly networks: NetworkManager;
  readonly vms: VmPool;
  readonly volumes: VolumeStore;
}
