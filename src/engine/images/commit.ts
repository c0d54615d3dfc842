// docker commit: what a container changed becomes a layer, and its configuration an image's.

import type { CommitOptions } from '../../api/v1.41/backend';
import type { ContainerConfig, FilledContainerConfig } from '../../docker/types';
import { DaemonError, errorMessage } from '../../errors';
import { log } from '../../log';
import { familiarReference, parseReference } from '../../registry/reference';
import { applyChanges } from '../../dockerfile/image-changes';
import type { ImageConfig, ImageRunConfig } from '../../docker/image-config';
import { caissonVersion } from '../../versions';
import { mergeImageConfig } from '../../semantics/create/defaults';
import { withFiles, type FileJobAccess } from '../files/container-files';
import { nonEmptyLayer } from '../files/empty-layer';
import { eventAttributes } from '../../semantics/containers/container-record';
import type { Container } from '../core/container-registry';
import { tagTarget } from '../../semantics/images/tag-target';
import { pauseContainer, unpauseContainer, type PauseNeeds } from '../lifecycle/stop';
import type { ImageStore, LayerStore } from '../../storage/contract/stores';

/** What a commit works with. */
export type CommitNeeds = FileJobAccess &
  PauseNeeds & {
    readonly images: ImageStore;
    readonly layers: LayerStore;
  };

/** Returns the image's id. */
export async function commitContainer(
  engine: CommitNeeds,
  container: Container,
  options: CommitOptions,
): Promise<{ Id: string }> {
  requireCommittable(container);
  const { record } = container;
  // Checked before anything is done: a mistake in it must not cost a pause.
  const config = committedConfig(record.config, options);
  const imageRef = options.repo === '' ? '' : familiarReference(parseReference(tagTarget(options)));
  const resume = await pauseFor(engine, container, options.pause);
  // The container may be removed meanwhile, and the image that it was made of has perhaps gone already.
  const releases = [engine.layers.hold(record.layers)];
  let diffId: string | undefined;
  try {
    diffId = await addChangesLayer(engine, container, {
      onDiffId: (added) => releases.push(engine.layers.hold([added])),
    });
    const image = await engine.images.create(imageConfig(engine, container, config, options, diffId), {
      parentId: engine.images.find(record.imageId) === undefined ? '' : record.imageId,
    });
    if (imageRef !== '') engine.images.tag(image.id, imageRef);
    engine.events.publish('container', 'commit', container.id, {
      ...eventAttributes(record),
      comment: options.comment,
      imageID: image.id,
      imageRef,
    });
    return { Id: image.id };
  } finally {
    for (const release of releases) release();
    await resume(); // after the event, as dockerd does
    await engine.images.removeUnusedLayers([...record.layers, ...(diffId === undefined ? [] : [diffId])]);
  }
}

/** What the container changed, as a layer of the store that `onDiffId` may hold; undefined if nothing. */
async function addChangesLayer(
  engine: FileJobAccess & Pick<CommitNeeds, 'layers'>,
  container: Container,
  { onDiffId }: { onDiffId: (diffId: string) => void },
): Promise<string | undefined> {
  const { signal } = new AbortController();
  return withFiles(engine, container, async (agent) => {
    const job = await engine.fileJobs.start(agent, container.id, { kind: 'layer' }, signal);
    const layer = await nonEmptyLayer(job.output);
    return layer === undefined ? undefined : (await engine.layers.add(layer, { signal, onDiffId })).diffId;
  });
}

function requireCommittable(container: Container): void {
  const refuse = (why: string): never => {
    throw new DaemonError('Conflict', `You cannot commit container ${container.id} which is ${why}`);
  };
  if (container.state.kind === 'dead') refuse('Dead');
  if (container.state.kind === 'removing') refuse('being removed');
}

/**
 * Returns what makes it run again. As with dockerd neither is a reason to fail: it may have been paused by somebody else
 * meanwhile, or have come to its end.
 */
async function pauseFor(
  engine: PauseNeeds,
  container: Container,
  wanted: boolean,
): Promise<() => Promise<void>> {
  const attempt = (what: string, work: () => Promise<void>): Promise<boolean> =>
    container.operations.run(work).then(
      () => true,
      (error: unknown) => {
        log.info(`container is not ${what} for a commit`, {
          containerId: container.id,
          error: errorMessage(error),
        });
        return false;
      },
    );
  if (!wanted || container.state.kind !== 'running') return () => Promise.resolve();
  const isPaused = await attempt('paused', () => pauseContainer(engine, container));
  return async () => {
    if (isPaused) await attempt('unpaused', () => unpauseContainer(engine, container));
  };
}

/** Without a configuration of the client's the container's own is changed, else the client's is laid over it. */
function committedConfig(
  own: FilledContainerConfig,
  { config, changes }: CommitOptions,
): FilledContainerConfig {
  const base = Object.keys(config).length === 0 ? own : config;
  const changed = applyChanges(base as ImageRunConfig, changes) as ContainerConfig;
  return mergeImageConfig(changed, own as ImageRunConfig, changed.Hostname ?? '');
}

function imageConfig(
  engine: Pick<CommitNeeds, 'images'>,
  { record }: Container,
  config: FilledContainerConfig,
  options: CommitOptions,
  diffId: string | undefined,
): ImageConfig {
  const parent = engine.images.find(record.imageId)?.config;
  const created = new Date().toISOString();
  const { author, comment } = options;
  const createdBy = (record.config.Cmd ?? []).join(' ');
  return {
    architecture: parent?.architecture ?? 'amd64',
    ...(parent?.variant === undefined ? {} : { variant: parent.variant }),
    os: parent?.os ?? 'linux',
    created,
    ...(author === '' ? {} : { author }),
    ...(comment === '' ? {} : { comment }),
    docker_version: caissonVersion(),
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
