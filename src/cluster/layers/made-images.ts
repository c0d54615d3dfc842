// Images that are made here: into the registry first, then into the records of the cluster, so that a record never leads to nothing.

import { createHash } from 'node:crypto';
import { DaemonError } from '../../errors';
import type { Image } from '../../storage/contract/image';
import { parseConfig } from '../../storage/images/image-config';
import { requireLayerDepth } from '../../storage/layers/layer-store';
import type { ImageCatalog, ImageView } from '../images/image-catalog';
import type { LayerPlaces, OwnRegistry, StoredImage } from './own-registry';

export interface MadeImage {
  configText: string;
  /** '' for none. */
  parentId: string;
  /** In familiar form: they lead to it from now on. */
  names: readonly string[];
}

/**
 * Their layers are in the workshop, or in registries already. Resolves with them in the same order, and with the images that there are
 * then. Throws in the registry's words.
 */
export async function keepImages(
  { catalog, own }: { catalog: ImageCatalog; own: OwnRegistry },
  places: Omit<LayerPlaces, 'view'>,
  made: readonly MadeImage[],
  signal: AbortSignal,
): Promise<{ images: Image[]; view: ImageView }> {
  const view = await catalog.read();
  const stored: (MadeImage & StoredImage)[] = [];
  for (const each of made) {
    const { configText } = each;
    const id = `sha256:${createHash('sha256').update(configText).digest('hex')}`;
    const { sources: [source] = [], layers = [] } = view.record(id) ?? {};
    const image = { id, configText, config: parseConfig(configText) };
    requireLayerDepth(image.config.rootfs.diff_ids);
    const where =
      source === undefined ? await own.put(image, { ...places, view }, signal) : { source, layers };
    stored.push({ ...each, ...where });
  }
  return catalog.change((change) => {
    const { index, add } = change;
    const images = stored.map(({ configText, parentId, names, source, layers }) => {
      const { id } = add({ configText, layers, source });
      if (parentId !== '' && index.byId(parentId) !== undefined) index.setParent(id, parentId);
      for (const name of names) index.setName(name, id, true);
      return index.get(id);
    });
    return { images, view: change };
  });
}

/** One of them. */
export async function keepImage(
  needs: Parameters<typeof keepImages>[0],
  places: Omit<LayerPlaces, 'view'>,
  made: MadeImage,
  signal: AbortSignal,
): Promise<{ image: Image; view: ImageView }> {
  const { images, view } = await keepImages(needs, places, [made], signal);
  const [image] = images;
  if (image === undefined) throw new DaemonError('Internal', 'an image was not kept');
  return { image, view };
}
