// `docker inspect` of a container.

import { createHash } from 'node:crypto';
import type { ContainerInspect, ContainerStateInspect, GraphDriverData, Health } from '../../docker/types';
import { neverTimestamp } from '../../go/timestamp';
import { slashedName, type ContainerRecord } from '../containers/container-record';
import { isActive, type ContainerState } from '../containers/container-state';
import type { KnownContainer, KnownContainers } from '../containers/known-containers';
import { inspectedLinks } from '../containers/links';
import { networkSettings } from './endpoints';
import { containerStatus } from './status';

/** What whoever runs the container knows besides. */
export interface InspectedFacts {
  health: Health | undefined;
  execIds: readonly string[];
  graphDriver: GraphDriverData;
  /** Absent: they were not asked for. */
  sizes?: { SizeRw: number; SizeRootFs: number };
}

/** What never ran has none; a change of network within one run keeps it. */
function sandboxId(record: ContainerRecord): string {
  const { startedAt } = record.state;
  if (startedAt === neverTimestamp || record.hostConfig.NetworkMode.startsWith('container:')) return '';
  return createHash('sha256').update(`${record.podId} ${startedAt}`).digest('hex');
}

export function containerInspect(
  { record }: KnownContainer,
  registry: Pick<KnownContainers, 'byId'>,
  { health, execIds, graphDriver, sizes }: InspectedFacts,
): ContainerInspect {
  return {
    Id: record.id,
    Created: record.createdAt,
    Path: record.path,
    Args: record.args,
    State: inspectState(record.state, health),
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
    ExecIDs: execIds.length === 0 ? null : [...execIds],
    HostConfig: {
      ...(record.state.startedAt === neverTimestamp ? {} : { Runtime: 'runc' }), // see newRecord
      ...record.hostConfig,
      Links: inspectedLinks(registry, record),
    },
    GraphDriver: graphDriver,
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
