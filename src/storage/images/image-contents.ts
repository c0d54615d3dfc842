// Manifests and indexes that somebody made: which images they are of, checked to be whole before a name leads to them.

import { createHash } from 'node:crypto';
import { DaemonError } from '../../errors';
import type { ContentDocument, ImageContents } from '../contract/stores';

export interface ContentDescriptor {
  readonly digest: string;
  readonly size: number;
}

/** A manifest, as far as it is looked at. */
export interface ContentManifest {
  readonly document: ContentDocument;
  readonly config: ContentDescriptor;
  readonly layers: readonly ContentDescriptor[];
  /** The configuration's bytes. */
  readonly configBlob: Buffer;
  /** Its configuration is that of an image which could run: not one of attestations or of a cache. */
  readonly isImage: boolean;
}

/** All blobs that they name, manifests apart: of images, and of what is no image (caches). Throws Internal for what is malformed. */
export function blobsNamedBy({ top, manifests }: ImageContents): ContentDescriptor[] {
  const documents = new Set(manifests.map(({ body }) => digestOf(body)));
  const named = [top, ...manifests].flatMap((document) => {
    const { config, layers = [], manifests: entries = [] } = parsed(document);
    const blobs = entries.filter(({ digest }) => !documents.has(digest));
    return [...blobs, ...(config === undefined ? [] : [config]), ...layers];
  });
  return [...new Map(named.map((each) => [each.digest, each])).values()];
}

/** Throws Internal where a layer of it can't be sent: neither a blob of the contents nor of a layer that is here. */
export function requireBlobs(
  { blobs }: ImageContents,
  manifests: readonly ContentManifest[],
  layers: { openAnyBlob(digest: string): object | undefined },
): void {
  const own = new Set(blobs.map(digestOf));
  for (const { digest } of manifests.flatMap((manifest) => manifest.layers))
    if (!own.has(digest) && layers.openAnyBlob(digest) === undefined) throw incomplete(digest);
}

export function digestOf(body: Buffer): string {
  return `sha256:${createHash('sha256').update(body).digest('hex')}`;
}

/** Those of the contents, in the index's order. Throws Internal where something is missing that they name. */
export function manifestsOf({ top, manifests, blobs }: ImageContents): ContentManifest[] {
  const byDigest = new Map(blobs.map((blob) => [digestOf(blob), blob]));
  const documents = new Map(manifests.map((document) => [digestOf(document.body), document]));
  const { manifests: entries, ...single } = parsed(top);
  if (entries === undefined) return [manifestOf(top, single, byDigest)];
  return entries.map(({ digest }) => {
    const document = documents.get(digest);
    if (document === undefined) throw incomplete(digest);
    return manifestOf(document, parsed(document), byDigest);
  });
}

function manifestOf(
  document: ContentDocument,
  { config, layers = [] }: Parsed,
  blobs: ReadonlyMap<string, Buffer>,
): ContentManifest {
  if (config === undefined) throw new DaemonError('Internal', 'invalid manifest: it has no configuration');
  const configBlob = blobs.get(config.digest);
  if (configBlob === undefined) throw incomplete(config.digest);
  return { document, config, layers, configBlob, isImage: isImageConfig(config, configBlob) };
}

interface Parsed {
  config?: ContentDescriptor & { mediaType?: unknown };
  layers?: readonly ContentDescriptor[];
  manifests?: readonly ContentDescriptor[];
}

function parsed({ body }: ContentDocument): Parsed {
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch (error) {
    throw new DaemonError('Internal', 'invalid manifest: not JSON', { cause: error });
  }
  const { config, layers, manifests } = Object(value) as Record<string, unknown>;
  return {
    ...(isDescriptor(config) ? { config } : {}),
    ...(layers === undefined ? {} : { layers: descriptors(layers) }),
    ...(manifests === undefined ? {} : { manifests: descriptors(manifests) }),
  };
}

function descriptors(value: unknown): ContentDescriptor[] {
  if (!Array.isArray(value) || !value.every(isDescriptor))
    throw new DaemonError('Internal', 'invalid manifest: a descriptor is malformed');
  return value;
}

function isDescriptor(value: unknown): value is ContentDescriptor {
  const { digest, size } = Object(value) as Record<string, unknown>;
  return (
    typeof digest === 'string' &&
    /^sha256:[a-f0-9]{64}$/.test(digest) &&
    typeof size === 'number' &&
    Number.isSafeInteger(size) &&
    size >= 0
  );
}

const imageConfigTypes = [
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
];

/** Attestations have the configuration of an image for `unknown/unknown`. */
function isImageConfig({ mediaType }: { mediaType?: unknown }, blob: Buffer): boolean {
  if (typeof mediaType !== 'string' || !imageConfigTypes.includes(mediaType)) return false;
  const { os } = Object(JSON.parse(blob.toString())) as { os?: unknown };
  return os !== 'unknown';
}

function incomplete(digest: string): DaemonError {
  return new DaemonError('Internal', `content ${digest} is missing`);
}
