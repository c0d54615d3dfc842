// OCI image layouts (image-spec image-layout.md) in an archive: index.json leads to manifests, those to blobs.

import { createHash } from 'node:crypto';
import { DaemonError } from '../../errors';
import type { ImageContents } from '../contract/stores';
import type { ArchiveFile, ArchivedImage, ArchivedIndex } from './archive-file';
import { parsedJson } from './load-steps';
import { noMatchingManifest } from '../transfers/manifest';

interface LayoutDescriptor {
  digest: string;
  /** Anything: it is nobody's word yet. */
  mediaType?: unknown;
  platform?: { os?: string; architecture?: string };
  annotations?: Record<string, string>;
}

interface IndexOrManifest {
  manifests?: LayoutDescriptor[];
  config?: LayoutDescriptor;
  layers?: LayoutDescriptor[];
}

const maxDepth = 4;
const maxManifests = 100;

/** The images of the layout that can run here. Their names come from annotations. Throws NotFound if all are for others. */
export async function readOciLayout(archive: ArchiveFile): Promise<ArchivedImage[]> {
  const images: ArchivedImage[] = [];
  const others: LayoutDescriptor[] = [];
  const visit = async (
    descriptors: LayoutDescriptor[],
    inherited: string | undefined,
    depth: number,
    index: ArchivedImage['index'],
  ) => {
    if (depth > maxDepth) throw new DaemonError('Internal', 'invalid archive: indexes too deep');
    for (const descriptor of descriptors) {
      const { digest, platform, annotations } = descriptor;
      if (platform !== undefined && (platform.os !== 'linux' || platform.architecture !== 'amd64')) {
        others.push(descriptor);
        continue;
      }
      const name =
        annotations?.['io.containerd.image.name'] ??
        annotations?.['org.opencontainers.image.ref.name'] ??
        inherited;
      const document = await readBlob(archive, digest);
      const { manifests, config, layers } = document;
      if (manifests !== undefined)
        await visit(manifests, name, depth + 1, () => readIndex(archive, descriptor, document));
      else if (config !== undefined) {
        // A bare tag is a name only within the layout.
        const repoTags = name !== undefined && /[/:]/.test(name) ? [withTag(name)] : [];
        const image = archivedImage(config, layers ?? [], repoTags);
        images.push(index === undefined ? image : { ...image, index });
      }
    }
  };
  const { manifests } = asDocument(await archive.json('index.json'));
  await visit(manifests ?? [], undefined, 0, undefined);
  if (images.length === 0 && others.length > 0) throw noMatchingManifest('linux/amd64');
  return images;
}

function archivedImage(
  config: LayoutDescriptor,
  layers: readonly LayoutDescriptor[],
  repoTags: readonly string[],
): ArchivedImage {
  return {
    config: blobName(config.digest),
    repoTags,
    layers: layers.map(({ digest }) => ({ name: blobName(digest), blobDigest: digest })),
  };
}

function withTag(name: string): string {
  return /:[^/]*$/.test(name) ? name : `${name}:latest`;
}

async function readBlob(archive: ArchiveFile, digest: string): Promise<IndexOrManifest> {
  const text = await archive.text(blobName(digest));
  if (`sha256:${createHash('sha256').update(text).digest('hex')}` !== digest) {
    throw new DaemonError('Internal', `manifest verification failed for digest ${digest}`);
  }
  return asDocument(parsedJson(text));
}

function asDocument(value: unknown): IndexOrManifest {
  const { manifests, config, layers } = Object(value) as Record<string, unknown>;
  const all = [manifests ?? [], config === undefined ? [] : [config], layers ?? []];
  if (!all.every((list) => Array.isArray(list) && list.every(isDescriptor))) {
    throw new DaemonError('Internal', 'invalid archive: a manifest is malformed');
  }
  return value as IndexOrManifest; // just checked, as far as it is used
}

function isDescriptor(value: unknown): value is LayoutDescriptor {
  return typeof (Object(value) as Record<string, unknown>)['digest'] === 'string';
}

/** Its path in a layout. Throws Internal for what is no digest. */
export function blobName(digest: string): string {
  if (!/^sha256:[a-f0-9]{64}$/.test(digest)) throw new DaemonError('Internal', `invalid digest ${digest}`);
  return `blobs/sha256/${digest.slice('sha256:'.length)}`;
}

/**
 * An index kept whole: images of other platforms too, and what is stated of them. Undefined for one that is incomplete, or of one image and nothing else.
 */
async function readIndex(
  archive: ArchiveFile,
  descriptor: LayoutDescriptor,
  { manifests = [] }: IndexOrManifest,
): Promise<ArchivedIndex | undefined> {
  if (manifests.length < 2 || manifests.length > maxManifests) return undefined;
  const documents: ImageContents['manifests'][number][] = [];
  const blobs: Buffer[] = [];
  const images: ArchivedImage[] = [];
  for (const each of manifests) {
    if (!archive.has(blobName(each.digest))) return undefined;
    const { config, layers = [] } = await readBlob(archive, each.digest);
    const named = config === undefined ? [] : [config, ...layers];
    if (config === undefined || !named.every(({ digest }) => archive.has(blobName(digest)))) return undefined;
    documents.push({ mediaType: textOf(each.mediaType), body: await checked(archive, each.digest) });
    blobs.push(await checked(archive, config.digest));
    const isImage = each.platform !== undefined && each.platform.os !== 'unknown';
    if (isImage) images.push(archivedImage(config, layers, []));
    else for (const { digest } of layers) blobs.push(await checked(archive, digest));
  }
  const top = { mediaType: textOf(descriptor.mediaType), body: await checked(archive, descriptor.digest) };
  return { contents: { top, manifests: documents, blobs }, images };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** A small one. Throws Internal for what is not what its name says. */
async function checked(archive: ArchiveFile, digest: string): Promise<Buffer> {
  const bytes = Buffer.from(await archive.text(blobName(digest)));
  if (`sha256:${createHash('sha256').update(bytes).digest('hex')}` !== digest)
    throw new DaemonError('Internal', `manifest verification failed for digest ${digest}`);
  return bytes;
}
