// A container's record as its create leaves it, whatever will run it.

import type { ImageConfig } from '../../docker/image-config';
import type { FilledContainerConfig, FilledHostConfig, MountPoint } from '../../docker/types';
import { neverTimestamp, nowTimestamp } from '../../go/timestamp';
import { cleanPath } from '../../translate/container-to-pod';
import type { ContainerRecord } from './container-record';

export interface FirstParts extends Pick<
  ContainerRecord,
  'id' | 'logPath' | 'writableDiskBytes' | 'networks' | 'warnings'
> {
  image: { id: string; config: ImageConfig };
  config: FilledContainerConfig;
  hostConfig: FilledHostConfig;
  links: ContainerRecord['links'] | undefined;
  /** Binds and volumes; those of memory are told by the configuration. */
  mounts: readonly MountPoint[];
  mountDetails: NonNullable<ContainerRecord['mountDetails']>;
}

/** All but its name, which others may want too. */
export function firstRecord(parts: FirstParts): Omit<ContainerRecord, 'name'> {
  const { id, image, config, hostConfig, links, mounts, mountDetails } = parts;
  const [path = '', ...args] = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  return {
    id,
    createdAt: nowTimestamp(),
    config,
    // Links are kept as what they mean: `links` here, or the endpoint's own on other networks.
    hostConfig: { ...hostConfig, Links: null },
    path,
    args,
    imageId: image.id,
    layers: image.config.rootfs.diff_ids,
    platform: image.config.os,
    podId: id,
    state: {
      kind: 'created',
      exitCode: 0,
      error: '',
      oomKilled: false,
      startedAt: neverTimestamp,
      finishedAt: neverTimestamp,
    },
    restartCount: 0,
    manuallyStopped: false,
    logPath: parts.logPath,
    writableDiskBytes: parts.writableDiskBytes,
    mounts: [...mounts, ...tmpfsMountPoints(hostConfig)],
    mountDetails,
    networks: parts.networks,
    ...(links === undefined ? {} : { links }),
    publishedPorts: [],
    warnings: parts.warnings,
  };
}

export function tmpfsMountPoints(hostConfig: Pick<FilledHostConfig, 'Mounts'>): MountPoint[] {
  return (hostConfig.Mounts ?? [])
    .filter((mount) => mount.Type === 'tmpfs')
    .map((mount) => ({
      Type: 'tmpfs',
      Source: '',
      Destination: cleanPath(mount.Target ?? ''),
      Mode: '',
      RW: !(mount.ReadOnly ?? false),
      Propagation: '',
    }));
}
