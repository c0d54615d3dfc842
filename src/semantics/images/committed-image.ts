// `docker commit`: the configuration of an image that a container becomes.

import type { CommitOptions } from '../../api/v1.41/backend';
import { applyChanges } from '../../dockerfile/image-changes';
import type { ImageConfig, ImageRunConfig } from '../../docker/image-config';
import type { ContainerConfig, FilledContainerConfig } from '../../docker/types';
import { DaemonError } from '../../errors';
import { familiarReference, parseReference } from '../../registry/reference';
import type { ContainerRecord } from '../containers/container-record';
import { mergeImageConfig } from '../create/defaults';
import { tagTarget } from './tag-target';

/** Throws Conflict in Docker's words. */
export function requireCommittable({ id, state }: Pick<ContainerRecord, 'id' | 'state'>): void {
  const refuse = (why: string): never => {
    throw new DaemonError('Conflict', `You cannot commit container ${id} which is ${why}`);
  };
  if (state.kind === 'dead') refuse('Dead');
  if (state.kind === 'removing') refuse('being removed');
}

/** The name that the image gets, in familiar form; '' for none. Throws what dockerd says of one that is none. */
export function committedName(options: Pick<CommitOptions, 'repo' | 'tag'>): string {
  return options.repo === '' ? '' : familiarReference(parseReference(tagTarget(options)));
}

/** Without a configuration of the client's the container's own is changed, else the client's is laid over it. */
export function committedConfig(
  own: FilledContainerConfig,
  { config, changes }: Pick<CommitOptions, 'config' | 'changes'>,
): FilledContainerConfig {
  const base = Object.keys(config).length === 0 ? own : config;
  const changed = applyChanges(base as ImageRunConfig, changes) as ContainerConfig;
  return mergeImageConfig(changed, own as ImageRunConfig, changed.Hostname ?? '');
}

/** `parent`: undefined where the container's image is gone. `diffId`: of what the container has changed; undefined: nothing. */
export function committedImage(
  record: ContainerRecord,
  { parent, config, diffId, version }: CommittedParts,
  { author, comment }: Pick<CommitOptions, 'author' | 'comment'>,
): ImageConfig {
  const created = new Date().toISOString();
  const createdBy = (record.config.Cmd ?? []).join(' ');
  return {
    architecture: parent?.architecture ?? 'amd64',
    ...(parent?.variant === undefined ? {} : { variant: parent.variant }),
    os: parent?.os ?? 'linux',
    created,
    ...(author === '' ? {} : { author }),
    ...(comment === '' ? {} : { comment }),
    docker_version: version,
    container: record.id,
    config: config as ImageRunConfig,
    container_config: record.config as ImageRunConfig,
    rootfs: { type: 'layers', diff_ids: [...record.layers, ...(diffId === undefined ? [] : [diffId])] },
    history: [
      // of an image that was removed by force only the layers are known
      ...(parent === undefined
        ? record.layers.map(() => ({ created: record.createdAt }))
        : (parent.history ?? [])),
      {
        created,
        ...(createdBy === '' ? {} : { created_by: createdBy }),
        ...(author === '' ? {} : { author }),
        ...(comment === '' ? {} : { comment }),
        ...(diffId === undefined ? { empty_layer: true } : {}),
      },
    ],
  };
}

export interface CommittedParts {
  parent: ImageConfig | undefined;
  config: FilledContainerConfig;
  diffId: string | undefined;
  /** The engine's. */
  version: string;
}
