// What is told of an image by its layers' sizes: Docker's `history`, and `system df`.

import type { Image } from '../contract/image';
import type { ImageStore } from '../contract/stores';
import type { ImageIndex } from './image-index';

/** Newest first. Throws NotFound in Docker's words. */
export function imageHistory(
  index: ImageIndex,
  layerSize: (diffId: string) => number,
  ref: string,
): ReturnType<ImageStore['history']> {
  const image = index.get(ref);
  const entries: ReturnType<ImageStore['history']> = [];
  let layer = 0;
  for (const item of image.config.history ?? []) {
    const diffId = item.empty_layer === true ? undefined : image.config.rootfs.diff_ids[layer];
    if (item.empty_layer !== true) layer += 1;
    entries.unshift({
      Id: '<missing>',
      Created: Math.floor(Date.parse(item.created ?? '0001-01-01T00:00:00Z') / 1000),
      CreatedBy: item.created_by ?? '',
      Tags: null,
      Size: diffId === undefined ? 0 : layerSize(diffId),
      Comment: item.comment ?? '',
    });
  }
  // Those that were made here are known by their own ids: the image, its parent, and so on.
  let known: Image | undefined = image;
  for (const entry of entries) {
    if (known === undefined) break;
    entry.Id = known.id;
    entry.Tags = known.repoTags.length === 0 ? null : known.repoTags;
    known = known.parentId === '' ? undefined : index.byId(known.parentId);
  }
  return entries;
}

/** Bytes of the layers that no other image has, and of those that others have too. */
export function imageUsage(
  index: ImageIndex,
  layerSize: (diffId: string) => number,
): ReturnType<ImageStore['diskUsage']> {
  const images = index.list();
  const users = new Map<string, number>();
  for (const image of images) {
    for (const diffId of new Set(image.config.rootfs.diff_ids))
      users.set(diffId, (users.get(diffId) ?? 0) + 1);
  }
  return images.map((image) => {
    const sum = (shared: boolean): number =>
      [...new Set(image.config.rootfs.diff_ids)]
        .filter((diffId) => (users.get(diffId) ?? 0) > 1 === shared)
        .reduce((total, diffId) => total + layerSize(diffId), 0);
    return { imageId: image.id, uniqueBytes: sum(false), sharedBytes: sum(true) };
  });
}
