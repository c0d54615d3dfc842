// `docker load`: docker-archives (what `docker save` writes) and OCI layouts. Layers go from the spooled archive into the
// layer store.

import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DaemonError, errorMessage } from '../errors';
import { parseWholeValue } from '../go-json';
import { decode, list, string, stringList, struct, type Schema } from '../go-json-schema';
import { familiarReference, parseReference } from '../registry/reference';
import { spoolArchive, type ArchiveFile } from './archive-file';
import { parseConfig } from './image-config';
import type { ImageIndex } from './image-index';
import { holdingLayers } from './layer-garbage';
import { requireLayerDepth, type SquashfsLayerStore } from './layer-store';
import { readOciLayout } from './oci-layout';
import { progressLine, ProgressReport } from './progress-report';
import type { ProgressSink } from './stores';

export interface LoadContext {
  index: ImageIndex;
  layers: SquashfsLayerStore;
  /** Where the archive is spooled. */
  temporaryDir: string;
  publish: (action: string, id: string, attributes: Record<string, string>) => void;
}

/** One image of an archive: names of members. */
export interface ArchivedImage {
  config: string;
  repoTags: readonly string[];
  layers: readonly { name: string; blobDigest?: string }[];
}

interface ManifestItem {
  Config?: string;
  RepoTags?: string[];
  Layers?: string[];
}

const manifestItem = struct<ManifestItem>('tarexport.manifestItem', {
  Config: string,
  RepoTags: stringList,
  Layers: stringList,
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
      let ids = '';
      let tagged = 0;
      for (const image of await readImages(archive)) {
        const id = await loadImage(context, archive, image, { ...options, progress, signal });
        ids += `Loaded image ID: ${id}\n`;
        tagged = image.repoTags.length;
      }
      // As dockerd: when the last one has no name, of all of them.
      if (tagged === 0) progress(ids === '' ? {} : { stream: ids });
    } finally {
      await archive.close();
    }
  } finally {
    await rm(spool, { force: true });
  }
}

interface LoadOptions {
  quiet: boolean;
  progress: ProgressSink;
  signal: AbortSignal;
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
  return holdingLayers(context, diffIds, async () => {
    for (const [i, layer] of image.layers.entries()) {
      await loadLayer(context, archive, { ...layer, position: i, diffId: diffIds[i] ?? '' }, options);
    }
    const { id } = context.index.add(configText);
    for (const tag of image.repoTags) tagLoaded(context, id, tag, options.progress);
    context.publish('load', id, { name: id });
    return id;
  });
}

/** In dockerd's words, what it says of a configuration that is none. */
function requireConfig(text: string): void {
  let config: unknown;
  try {
    config = parseWholeValue(text);
  } catch (error) {
    throw new DaemonError('Internal', errorMessage(error), { cause: error });
  }
  decodeAs(struct('image.Image', {}), config);
  const { rootfs } = Object(config) as Record<string, unknown>;
  if ((rootfs ?? undefined) === undefined)
    throw new DaemonError('Internal', 'invalid image JSON, no RootFS key');
}

function tagLoaded(context: LoadContext, id: string, tag: string, progress: ProgressSink): void {
  const reference = parseReference(tag);
  if (reference.digest !== undefined || !/:[^/]*$/.test(tag))
    throw new DaemonError('Internal', `invalid tag ${JSON.stringify(tag)}`);
  const name = familiarReference(reference);
  const before = context.index.nameTarget(name);
  if (before !== undefined && before !== id) {
    const stream = `The image ${name} already exists, renaming the old one with ID ${before} to empty string\n`;
    progress({ stream });
  }
  context.index.setName(name, id, true);
  progress({ stream: `Loaded image: ${name}\n` });
}

async function loadLayer(
  context: LoadContext,
  archive: ArchiveFile,
  layer: { name: string; blobDigest?: string; position: number; diffId: string },
  { quiet, progress, signal }: LoadOptions,
): Promise<void> {
  const { name, diffId, position } = layer;
  if (context.layers.find(diffId) !== undefined) return;
  const id = diffId.slice('sha256:'.length, 'sha256:'.length + 12);
  const total = archive.sizeOf(name);
  const report = new ProgressReport('Loading layer', id, total, quiet ? () => undefined : progress);
  const source = archive.open(name);
  source.on('error', (error) => report.destroy(error));
  report.on('close', () => source.destroy());
  await context.layers.add(source.pipe(report), {
    blobDigest: layer.blobDigest,
    diffId,
    wrongDiffId: (actual) =>
      new DaemonError(
        'Internal',
        `invalid diffID for layer ${position}: expected ${JSON.stringify(diffId)}, got ${JSON.stringify(actual)}`,
      ),
    signal,
  });
  if (!quiet) progress(progressLine('Loading layer', id, total, total));
}

async function readImages(archive: ArchiveFile): Promise<ArchivedImage[]> {
  if (!archive.has('manifest.json')) {
    if (archive.has('index.json')) return readOciLayout(archive);
    const isOld = archive.has('repositories');
    throw new DaemonError(
      'Internal',
      isOld
        ? 'invalid archive: it has no manifest.json, as written before Docker 1.10'
        : 'open repositories: no such file or directory',
    );
  }
  const items = decodeAs(manifestSchema, await archive.json('manifest.json')) as ManifestItem[] | undefined;
  return (items ?? []).map(({ Config = '', RepoTags = [], Layers = [] }) => ({
    config: Config,
    repoTags: RepoTags,
    layers: Layers.map((name) => ({ name })),
  }));
}

/** Throws Internal in the words of Go's encoding/json. */
function decodeAs(schema: Schema, value: unknown): unknown {
  try {
    return decode(schema, value);
  } catch (error) {
    throw new DaemonError('Internal', errorMessage(error), { cause: error });
  }
}
