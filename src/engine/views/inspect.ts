// ContainerInspect of this machine's containers.

import type { ContainerInspect } from '../../docker/types';
import type { HealthSource } from '../../semantics/containers/health';
import { containerInspect } from '../../semantics/views/inspect';
import type { ImageStore, LayerStore, WritableDiskStore } from '../../storage/contract/stores';
import type { Container, ContainerRegistry } from '../core/container-registry';
import { layerGraphDriver } from '../system/graph-driver';
import { containerSizes, type SizeSources } from './sizes';

export interface InspectSources extends SizeSources {
  registry: Pick<ContainerRegistry, 'byId'>;
  images: ImageStore;
  layers: LayerStore;
  disks: WritableDiskStore;
  health: HealthSource;
}

export async function inspectContainer(
  container: Container,
  sources: InspectSources,
  options: { size: boolean },
): Promise<ContainerInspect> {
  const { record } = container;
  const sizes = options.size ? await containerSizes(container, sources) : undefined;
  const graphDriver = layerGraphDriver(record.layers, sources.layers);
  return containerInspect(container, sources.registry, {
    health: sources.health.health(record.id),
    execIds: [...container.execIds],
    graphDriver: {
      ...graphDriver,
      Data: { ...graphDriver.Data, WritableDisk: sources.disks.path(record.id) },
    },
    ...(sizes === undefined ? {} : { sizes }),
  });
}
