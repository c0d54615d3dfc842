// docker commit: what a container has changed, as its supervisor tells it, becomes a layer in the registry, and its configuration an image's.

import type { CommitOptions } from '../../api/v1.41/backend';
import { DaemonError } from '../../errors';
import { eventAttributes } from '../../semantics/containers/container-record';
import {
  committedConfig,
  committedImage,
  committedName,
  requireCommittable,
} from '../../semantics/images/committed-image';
import { caissonVersion } from '../../versions';
import type { ClusterContext } from '../containers/context';
import type { ClusterImageBackend } from '../images/image-backend';
import type { ImageCatalog } from '../images/image-catalog';
import { keepImage } from '../layers/made-images';
import { needsRegistry, type OwnRegistry } from '../layers/own-registry';
import type { Workshops } from '../layers/workshop';
import { changedLayer } from '../streams/changes';
import type { ContainerReach } from '../streams/reach';

export interface CommitNeeds {
  events: ClusterContext['events'];
  catalog: ImageCatalog;
  images: Pick<ClusterImageBackend, 'tag'>;
  /** Undefined: the operator has named none. */
  own: OwnRegistry | undefined;
  workshops: Workshops;
  reach: ContainerReach;
}

/** Returns the image's id. It runs on meanwhile: no Pod can be paused. */
export async function commitContainer(needs: CommitNeeds, options: CommitOptions): Promise<{ Id: string }> {
  const { catalog, own, reach, workshops, events, images } = needs;
  const container = await reach.get(options.container);
  requireCommittable(container.record);
  const { record, id } = container;
  const config = committedConfig(record.config, options);
  const imageRef = committedName(options);
  if (own === undefined) throw needsRegistry('docker commit');
  if (reach.supervisor(container) === undefined && record.state.kind !== 'created')
    throw new DaemonError('Conflict', `what container ${id} has written is lost with its Pod`);
  return workshops.use(async (workshop) => {
    const { signal } = new AbortController();
    const layer = await changedLayer(reach, container, signal);
    const diffId = layer === undefined ? undefined : (await workshop.layers.add(layer, { signal })).diffId;
    const parent = (await catalog.read()).index.byId(record.imageId);
    const parts = { parent: parent?.config, config, diffId, version: caissonVersion() };
    const made = {
      configText: JSON.stringify(committedImage(record, parts, options)),
      parentId: parent === undefined ? '' : record.imageId,
      names: [],
    };
    const { image } = await keepImage({ catalog, own }, { workshop }, made, signal);
    if (imageRef !== '') await images.tag(image.id, { repo: imageRef, tag: '' });
    events.publish('container', 'commit', id, {
      ...eventAttributes(record),
      comment: options.comment,
      imageID: image.id,
      imageRef,
    });
    await events.flush();
    return { Id: image.id };
  });
}
