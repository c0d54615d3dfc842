// `docker inspect` of a container.

import { createHash } from 'node:crypto';
import type { ContainerInspect, ContainerStateInspect, Health } from '../../docker/types';
import type { ImageStore, LayerStore, WritableDiskStore } from '../../storage/contract/stores';
import { networkSettings } from '../../semantics/views/endpoints';
import type { HealthSource } from '../../semantics/containers/health';
import { slashedName, type ContainerRecord } from '../../semantics/containers/container-record';
import { inspectedLinks } from '../../semantics/containers/links';
import type { Container, ContainerRegistry } from '../core/container-registry';
import { containerSizes, type SizeSources } from './sizes';
import { containerStatus } from '../../semantics/views/status';
import { isActive, type ContainerState } from '../../semantics/containers/container-state';
import { layerGraphDriver } from '../system/graph-driver';
import { neverTimestamp } from '../../go/timestamp';

export interface InspectSources extends SizeSources {
  registry: Pick<ContainerRegistry, 'byId'>;
  images: ImageStore;
  layers: LayerStore;
  disks: WritableDiskStore;
  health: HealthSource;
}

/** What never ran has none; a change of network within one run keeps it. */
function sandboxId(record: ContainerRecord): string {
  const { startedAt } = record.state;
  if (startedAt === neverTimestamp || record.hostConfig.NetworkMode.startsWith('container:')) return '';
  return createHash('sha256').update(`${record.podId} ${startedAt}`).digest('hex');
}

export async function inspectContainer(
  container: Container,
  sources: InspectSources,
  options: { size: boolean },
): Promise<ContainerInspect> {
  const { record } = container;
  const sizes = options.size ? await containerSizes(container, sources) : {};
  const graphDriver = layerGraphDriver(record.layers, sources.layers);
  return {
    Id: record.id,
    Created: record.createdAt,
    Path: record.path,
    Args: record.args,
    State: inspectState(record.state, sources.health.health(record.id)),
    Image: record.imageId,
    // These files exist in the VM only.
    ResolvConfPath: '',
    HostnamePath: '',
    HostsPath: '',
    LogPath: record.logPath,
    Name: slashedName(record),
    RestartCount: record.restartCount,
    Driver: graphDriver.Name,
    Platform: record.platform,
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: container.execIds.size === 0 ? null : [...container.execIds],
    HostConfig: {
      ...(record.state.startedAt === neverTimestamp ? {} : { Runtime: 'runc' }), // see create.ts
      ...record.hostConfig,
      Links: inspectedLinks(sources.registry, record),
    },
    GraphDriver: {
      ...graphDriver,
      Data: { ...graphDriver.Data, WritableDisk: sources.disks.path(record.id) },
    },
    ...sizes,
    Mounts: record.mounts,
    Config: record.config,
    NetworkSettings: networkSettings(record, sandboxId(record)),
  };
}

function inspectState(state: ContainerState, health: Health | undefined): ContainerStateInspect {
  const active = isActive(state);
  return {
    Status: containerStatus(state),
    // Docker counts the wait for a restart as running.
    Running: active || state.kind === 'restarting',
    Paused: state.kind === 'paused',
    Restarting: state.kind === 'restarting',
    OOMKilled: state.oomKilled,
    Dead: state.kind === 'dead',
    // In the VM's process table, as `top` shows it: on the host there's only the VM.
    Pid: active ? state.pid : 0,
    ExitCode: active ? 0 : state.exitCode,
    Error: active ? '' : state.error,
    StartedAt: state.startedAt,
    FinishedAt: state.finishedAt,
    ...(health === undefined ? {} : { Health: health }),
  };
}
