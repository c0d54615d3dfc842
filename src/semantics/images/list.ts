// `docker images`.

import type { Filters } from '../../api/v1.41/backend';
import type { ImageSummary } from '../../docker/types';
import type { Image } from '../../storage/contract/image';
import type { ImageStore } from '../../storage/contract/stores';
import { imageCreatedMs, imageFilter } from '../filters/image-filter';
import { summarizeImage } from './inspect';

/** Newest first. Throws Docker's errors for filters it refuses. */
export function listImages(
  images: Pick<ImageStore, 'get' | 'list'>,
  options: { all: boolean; filters: Filters },
): ImageSummary[] {
  const filter = imageFilter(options.filters, images);
  const all = images.list().sort((a, b) => imageCreatedMs(b) - imageCreatedMs(a));
  const parents = new Set(all.map((image) => image.parentId));
  // an index is shown as the image that its name leads to
  const isShown = ({ id, isOfIndex }: Image): boolean => !parents.has(id) && isOfIndex !== true;
  return all.flatMap((image) => summarizeImage(image, filter, options.all || isShown(image)) ?? []);
}
