// An image as inspect and list show it.

import type { FilledContainerConfig, GraphDriverData, ImageInspect, ImageSummary } from '../../docker/types';
import type { Image } from '../../storage/contract/image';
import type { ImageRunConfig } from '../../docker/image-config';
import { imageCreatedMs, type ImageFilter } from '../filters/image-filter';
import { formatMilliseconds, neverTimestamp } from '../../go/timestamp';

const emptyConfig: FilledContainerConfig = {
  Hostname: '',
  Domainname: '',
  User: '',
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Env: null,
  Cmd: null,
  Image: '',
  Volumes: null,
  WorkingDir: '',
  Entrypoint: null,
  OnBuild: null,
  Labels: null,
};

/** With every member Docker always shows, and none of those it omits when empty. */
export function filledImageConfig(config: ImageRunConfig | null | undefined): FilledContainerConfig {
  const filled: FilledContainerConfig = { ...emptyConfig };
  for (const [name, value] of Object.entries(config ?? {})) {
    const isOptional = !(name in emptyConfig);
    if (value === undefined || (isOptional && isEmpty(value))) continue;
    // Members that a later version of the specification adds are shown as they are.
    Object.assign(filled, { [name]: value as unknown });
  }
  return filled;
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === '' || value === false) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/** `graphDriver` tells where layers (diff IDs, lowest first) lie. */
export function inspectImage(
  image: Image,
  graphDriver: (diffIds: readonly string[]) => GraphDriverData,
): ImageInspect {
  const { config } = image;
  const diffIds = config.rootfs.diff_ids;
  return {
    Id: image.id,
    RepoTags: image.repoTags,
    RepoDigests: image.repoDigests,
    Parent: image.parentId,
    Comment: config.comment ?? '',
    Created: config.created ?? neverTimestamp,
    Container: config.container ?? '',
    ContainerConfig: filledImageConfig(config.container_config),
    DockerVersion: config.docker_version ?? '',
    Author: config.author ?? '',
    Config: (config.config ?? null) === null ? null : filledImageConfig(config.config),
    Architecture: config.architecture,
    ...(isEmpty(config.variant ?? '') ? {} : { Variant: config.variant ?? '' }),
    Os: config.os,
    ...(isEmpty(config['os.version'] ?? '') ? {} : { OsVersion: config['os.version'] ?? '' }),
    Size: image.sizeBytes,
    VirtualSize: image.sizeBytes,
    GraphDriver: graphDriver(diffIds),
    RootFS: { Type: 'layers', ...(diffIds.length === 0 ? {} : { Layers: diffIds }) },
    Metadata: {
      LastTagTime: image.lastTagTimeMs === 0 ? neverTimestamp : formatMilliseconds(image.lastTagTimeMs),
    },
  };
}

/**
 * The image's line of `docker images`; undefined if the filter leaves nothing of it. `showUnnamed`: also without a
 * name (it is no mere step of another image's build).
 */
export function summarizeImage(
  image: Image,
  filter: ImageFilter,
  showUnnamed: boolean,
): ImageSummary | undefined {
  if (!filter.matches(image)) return undefined;
  const named = (references: string[]): string[] =>
    filter.matchesReference === undefined ? references : references.filter(filter.matchesReference);
  let repoTags: string[] | null = nullIfEmpty(named(image.repoTags));
  let repoDigests: string[] | null = nullIfEmpty(named(image.repoDigests));
  if (repoTags === null && repoDigests === null) {
    if (!showUnnamed || filter.dangling === false || filter.matchesReference !== undefined) return undefined;
    repoDigests = ['<none>@<none>'];
    repoTags = ['<none>:<none>'];
  } else if (filter.dangling === true && repoTags !== null) {
    return undefined;
  }
  return {
    Containers: -1,
    Created: Math.floor(imageCreatedMs(image) / 1000),
    Id: image.id,
    Labels: image.config.config?.Labels ?? null,
    ParentId: image.parentId,
    RepoDigests: repoDigests,
    RepoTags: repoTags,
    SharedSize: -1,
    Size: image.sizeBytes,
    VirtualSize: image.sizeBytes,
  };
}

function nullIfEmpty(list: string[]): string[] | null {
  return list.length === 0 ? null : list;
}
