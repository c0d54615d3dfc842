// docker commit: what a container changed becomes a layer, and its configuration an image's.

import type { CommitOptions } from '../../api/v1.41/backend';
import { errorMessage } from '../../errors';
import { log } from '../../log';
import { caissonVersion } from '../../versions';
import { withFiles, type FileJobAccess } from '../files/container-files';
import { nonEmptyLayer } from '../../storage/tar/non-empty-layer';
import { eventAttributes } from '../../semantics/containers/container-record';
import type { Container } from '../core/container-registry';
import {
  committedConfig,
  committedImage,
  committedName,
  requireCommittable,
} from '../../semantics/images/committed-image';
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
  const imageRef = committedName(options);
  const resume = await pauseFor(engine, container, options.pause);
  // The container may be removed meanwhile, and the image that it was made of has perhaps gone already.
  const releases = [engine.layers.hold(record.layers)];
  let diffId: string | undefined;
  try {
    diffId = await addChangesLayer(engine, container, {
      onDiffId: (added) => releases.push(engine.layers.hold([added])),
    });
    const parent = engine.images.find(record.imageId);
    const parts = { parent: parent?.config, config, diffId, version: caissonVersion() };
    const image = await engine.images.create(committedImage(record, parts, options), {
      parentId: parent === undefined ? '' : record.imageId,
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
