// archives/: save, load and import.
//
// `docker load`: docker-archives (what `docker save` writes) and OCI layouts. Layers go from the spooled archive into the
// layer store.

import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { DaemonError, errorMessage } from '../../errors';
import { log } from '../../log';
import { list, named, string, stringList, struct } from '../../go/json-schema';
import { familiarReference, fullString, parseReference } from '../../registry/reference';
import { spoolArchive, type ArchivedImage, type ArchiveFile } from './archive-file';
import type { Image } from '../contract/image';
import { parseConfig } from '../images/image-config';
import { manifestsOf, requireBlobs } from '../images/image-contents';
import { imageSchema } from '../images/image-schema';
import { holdingLayers } from '../images/layer-garbage';
import { requireLayerDepth } from '../layers/layer-store';
import { loadLegacyArchive } from './legacy-archive';
import {
  decodeAs,
  parsedJson,
  setLoadedName,
  storeLayer,
  type LoadContext,
  type LoadOptions,
} from './load-steps';
import { readOciLayout } from './oci-layout';
import type { ProgressSink } from '../contract/stores';

interface ManifestItem {
  Config?: string;
  RepoTags?: string[];
  Layers?: string[];
  Parent?: string;
}

const manifestItem = struct<ManifestItem>('tarexport.manifestItem', {
  Config: string,
  RepoTags: stringList,
  Layers: stringList,
  Parent: named('image.ID'),
});
const manifestSchema = list(manifestItem, '[]tarexport.manifestItem');

export async function loadArchive(
  context: LoadContext,
  source: NodeJS.ReadableStream,
  options: { quiet: boolean },
  progress: ProgressSink,
  signal: AbortSignal,
): Promise<void> {
  const spool = join(context.temporaryDir, `load-${randomBytes(8).toString('hex')}`);
  try {
    const archive = await spoolArchive(source, spool, signal);
    try {
      const loadOptions = { ...options, progress, signal };
      if (!archive.has('manifest.json') && !archive.has('index.json')) {
        await loadLegacyArchive(context, archive, loadOptions);
        return;
      }
      let ids = '';
      let tagged = 0;
      const loaded: LoadedImage[] = [];
      for (const image of await readImages(archive)) {
        const id = await loadImage(context, archive, image, loadOptions);
        ids += `Loaded image ID: ${id}\n`;
        tagged = image.repoTags.length;
        loaded.push({ id, parentId: image.parentId ?? '' });
      }
      setParents(context, loaded);
      // As dockerd: when the last one has no name, of all of them.
      if (tagged === 0) progress(ids === '' ? {} : { stream: ids });
    } finally {
      await archive.close();
    }
  } finally {
    await rm(spool, { force: true });
  }
}

async function loadImage(
  context: LoadContext,
  archive: ArchiveFile,
  image: ArchivedImage,
  options: LoadOptions,
): Promise<string> {
  const configText = await archive.text(image.config);
  requireConfig(configText);
  const config = parseConfig(configText);
  if (config.os !== '' && config.os !== 'linux') {
    throw new DaemonError('Internal', `cannot load ${config.os} image on linux`);
  }
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== image.layers.length) {
    throw new DaemonError(
      'Internal',
      `invalid manifest, layers length mismatch: expected ${image.layers.length}, got ${diffIds.length}`,
    );
  }
  requireLayerDepth(diffIds);
  return holdingLayers(context, diffIds, async (hold) => {
    await loadLayers(context, archive, { image, diffIds }, options);
    const { id } = context.index.add(configText);
    const contents = await loadIndex(context, archive, image, { id, hold }, options);
    for (const tag of image.repoTags) tagLoaded(context, { id, contents }, tag, options.progress);
    context.publish('load', id, { name: id });
    return id;
  });
}

async function loadLayers(
  context: LoadContext,
  archive: ArchiveFile,
  { image, diffIds }: { image: ArchivedImage; diffIds: readonly string[] },
  options: LoadOptions,
): Promise<void> {
  for (const [i, layer] of image.layers.entries())
    await loadLayer(context, archive, { ...layer, position: i, diffId: diffIds[i] ?? '' }, options);
}

/** The other images of an image's index, and the index itself: its digest, where it can be sent as it came. */
async function loadIndex(
  context: LoadContext,
  archive: ArchiveFile,
  image: ArchivedImage,
  loaded: { id: string; hold: (diffId: string) => void },
  options: LoadOptions,
): Promise<string | undefined> {
  const index = image.repoTags.length === 0 ? undefined : await image.index?.();
  if (index === undefined) return undefined;
  const ids = [loaded.id];
  for (const other of index.images.filter(({ config }) => config !== image.config)) {
    const text = await archive.text(other.config);
    const { diff_ids: diffIds } = parseConfig(text).rootfs;
    if (diffIds.length !== other.layers.length) return undefined;
    requireLayerDepth(diffIds);
    diffIds.forEach(loaded.hold);
    await loadLayers(context, archive, { image: other, diffIds }, options);
    ids.push(context.index.add(text).id);
  }
  try {
    requireBlobs(index.contents, manifestsOf(index.contents), context.layers);
  } catch (error) {
    log.info('an index is loaded without its form: its layers were here, compressed otherwise', {
      reason: errorMessage(error),
    });
    return undefined;
  }
  return context.index.addContents(index.contents, ids);
}

/** In dockerd's words, what it says of a configuration that is none. */
function requireConfig(text: string): void {
  const config = parsedJson(text);
  decodeAs(imageSchema, config);
  const { rootfs } = Object(config) as Record<string, unknown>;
  if ((rootfs ?? undefined) === undefined)
    throw new DaemonError('Internal', 'invalid image JSON, no RootFS key');
}

function tagLoaded(
  context: LoadContext,
  { id, contents }: { id: string; contents: string | undefined },
  tag: string,
  progress: ProgressSink,
): void {
  const reference = parseReference(tag);
  if (reference.digest !== undefined || !/:[^/]*$/.test(tag))
    throw new DaemonError('Internal', `invalid tag ${JSON.stringify(tag)}`);
  const name = familiarReference(reference);
  setLoadedName(context, { id, contents }, name, progress);
  progress({ stream: `Loaded image: ${name}\n` });
}

async function loadLayer(
  context: LoadContext,
  archive: ArchiveFile,
  layer: { name: string; blobDigest?: string; position: number; diffId: string },
  options: LoadOptions,
): Promise<void> {
  const { name, blobDigest, diffId, position } = layer;
  if (context.layers.find(diffId) !== undefined) return;
  const id = diffId.slice('sha256:'.length, 'sha256:'.length + 12);
  const wrongDiffId = (actual: string): DaemonError =>
    new DaemonError(
      'Internal',
      `invalid diffID for layer ${position}: expected ${JSON.stringify(diffId)}, got ${JSON.stringify(actual)}`,
    );
  await storeLayer(context, archive, { name, id, blobDigest, diffId, wrongDiffId }, options);
}

async function readImages(archive: ArchiveFile): Promise<ArchivedImage[]> {
  if (!archive.has('manifest.json')) return readOciLayout(archive);
  const items = decodeAs(manifestSchema, await archive.json('manifest.json')) as ManifestItem[] | undefined;
  const images: ArchivedImage[] = (items ?? []).map(
    ({ Config = '', RepoTags = [], Layers = [], Parent = '' }) => ({
      config: Config,
      repoTags: RepoTags,
      layers: Layers.map((name) => ({ name })),
      parentId: Parent,
    }),
  );
  // newer engines' archives are a layout, too: it has the indexes
  return archive.has('index.json')
    ? withIndexes(images, await readOciLayout(archive).catch(() => []))
    : images;
}

/** Of images in both, found by name. */
function withIndexes(images: readonly ArchivedImage[], layout: readonly ArchivedImage[]): ArchivedImage[] {
  return images.map((image) => {
    const names = image.repoTags.map(fullName);
    const isNamed = (tag: string): boolean => names.includes(fullName(tag));
    const index = layout.find((each) => each.config === image.config && each.repoTags.some(isNamed))?.index;
    return index === undefined ? image : { ...image, index };
  });
}

/** What is no name is told when it is to be one. */
function fullName(tag: string): string {
  try {
    return fullString(parseReference(tag));
  } catch {
    return tag;
  }
}

interface LoadedImage {
  id: string;
  /** As the archive has it; '' for none. */
  parentId: string;
}

/** Of an image that came with its parent. Throws Internal when that is none of it. */
function setParents({ index }: LoadContext, loaded: readonly LoadedImage[]): void {
  for (const { id, parentId } of loaded) {
    if (!loaded.some((other) => other.id === parentId && other.id !== id)) continue;
    if (!isParent(index.get(parentId), index.get(id)))
      throw new DaemonError('Internal', `image ${parentId} is not a valid parent for ${id}`);
    index.setParent(id, parentId);
  }
}

/** Its history is that of the parent and one step more. */
function isParent(parent: Image, image: Image): boolean {
  const [above, below] = [image.config.history ?? [], parent.config.history ?? []];
  if (above.length === 0 && below.length === 0) return true;
  return above.length === below.length + 1 && isDeepStrictEqual(above.slice(0, -1), below);
}
