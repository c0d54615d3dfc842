// `docker push`: layers and configuration of an image into a registry, then its manifest (Docker's schema 2), with
// Docker's progress lines.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { PassThrough, pipeline, type Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { DaemonError } from '../../errors';
import { familiarName, familiarReference, parseReference, type Reference } from '../../registry/reference';
import { manifestTypes, RegistryClient } from '../../registry/registry-client';
import { RegistryUpload, type BlobDescriptor, type BlobSource } from '../../registry/registry-upload';
import type { Image } from '../contract/image';
import type { TransferSettings } from './image-pull';
import type { ImageIndex } from '../images/image-index';
import { holdingLayers } from '../images/layer-garbage';
import { repositoryOf, type LayerOrigin } from '../layers/layer-origins';
import type { LayerRecord, SquashfsLayerStore } from '../layers/layer-store';
import { pushDocuments } from './contents-push';
import { progressLine, ProgressReport } from './progress-report';
import type { ImageContents, ProgressSink, TransferCounter } from '../contract/stores';
import type { RegistryAuth } from '../../registry/auth';

export interface PushContext {
  index: ImageIndex;
  layers: SquashfsLayerStore;
  registry: TransferSettings;
  publish: (action: string, id: string, attributes: Record<string, string>) => void;
}

/** What sending a layer takes. */
export interface LayerPush {
  layers: SquashfsLayerStore;
  reference: Reference;
  upload: RegistryUpload;
  progress: ProgressSink;
  signal: AbortSignal;
}

/** One push: what all its steps need. */
type Push = PushContext & LayerPush;

const configType = 'application/vnd.docker.container.image.v1+json';
const layerType = 'application/vnd.docker.image.rootfs.diff.tar.gzip';
/** As dockerd: more than this is not tried before the bytes are sent. */
const maxMounts = 4;
const maxChecks = 3;

/** Pushes the tag, or every tag of the repository where the reference has none. */
export async function pushImages(
  context: PushContext,
  text: string,
  options: { auth: RegistryAuth },
  progress: ProgressSink,
  signal: AbortSignal,
): Promise<void> {
  const reference = parseReference(text);
  const name = familiarName(reference);
  progress({ status: `The push refers to repository [${repositoryOf(reference)}]` });
  const isOfRepository = (candidate: string): boolean => familiarName(parseReference(candidate)) === name;
  const tags = context.index.list().flatMap((image) => image.repoTags.map((tag) => ({ tag, image })));
  const own = tags
    .filter(({ tag }) => isOfRepository(tag))
    .sort((one, other) => (one.tag < other.tag ? -1 : 1));
  const isKnown = context.index.list().some((image) => image.repoDigests.some(isOfRepository));
  if (own.length === 0 && !isKnown) {
    throw new DaemonError('NotFound', `An image does not exist locally with the tag: ${name}`);
  }
  // Mirrors only give.
  const client = new RegistryClient(reference.domain, options.auth, { ...context.registry, mirrors: [] });
  await client.connect(signal);
  if (reference.digest !== undefined) throw new DaemonError('Internal', 'cannot push a digest reference');
  const wanted = familiarReference(reference);
  const chosen = reference.tag === undefined ? own : own.filter(({ tag }) => tag === wanted);
  if (chosen.length === 0) {
    const why = reference.tag === undefined ? `no tags to push for ${name}` : `tag does not exist: ${wanted}`;
    throw new DaemonError('NotFound', why);
  }
  const upload = new RegistryUpload(client, reference.path);
  const push: Push = { ...context, reference, upload, progress, signal };
  for (const { tag, image } of chosen) await pushTag(push, parseReference(tag).tag ?? '', image);
  context.publish('push', reference.tag === undefined ? name : wanted, { name });
}

function pushTag(push: Push, tag: string, image: Image): Promise<void> {
  // the image may go meanwhile
  return holdingLayers(push, image.config.rootfs.diff_ids, () => pushHeld(push, tag, image));
}

/** As it was built or loaded: byte for byte, with all that its index has. */
async function pushContents(push: Push, tag: string, image: Image, contents: ImageContents): Promise<void> {
  const { index, layers, progress, reference, registry, upload, signal } = push;
  const name = `${familiarName(reference)}:${tag}`;
  const digest = index.contentsDigestOf(name) ?? '';
  const diffIds = index.imagesOfIndex(name).flatMap((id) => index.byId(id)?.config.rootfs.diff_ids ?? []);
  await holdingLayers(push, diffIds, async () => {
    const counter = contentsProgress(progress);
    const { parallelUploads } = registry;
    await pushDocuments({ layers, upload, reference, parallelUploads, counter, signal }, contents, tag);
    const size = contents.top.body.length;
    progress({ status: `${tag}: digest: ${digest} size: ${size}` });
    // the contents go with the last name, which may have been removed meanwhile
    if (index.contentsDigestOf(name) === digest)
      index.setName(`${familiarName(reference)}@${digest}`, image.id, false, digest);
    progress({ progressDetail: {}, aux: { Tag: tag, Digest: digest, Size: size } });
  });
}

/** As the lines of layers are. */
function contentsProgress(progress: ProgressSink): TransferCounter {
  const begun = new Set<string>();
  return ({ id, currentBytes, totalBytes, done }) => {
    const known = begun.has(id);
    begun.add(id);
    if (!done) progress(progressLine('Pushing', shortId(id), currentBytes, totalBytes));
    else tell(progress, known ? 'Pushed' : 'Layer already exists', id);
  };
}

async function pushHeld(push: Push, tag: string, image: Image): Promise<void> {
  const { index, progress, signal, upload, reference } = push;
  const contents = index.contentsOf(`${familiarName(reference)}:${tag}`);
  if (contents !== undefined) {
    await pushContents(push, tag, image, contents);
    return;
  }
  const diffIds = image.config.rootfs.diff_ids;
  const pushed = await pushLayers(push, diffIds);
  const layers = diffIds.map((diffId) => pushed.get(diffId) ?? { digest: '', size: 0 });
  const configText = index.configText(image.id) ?? '';
  const { digest, size } = await pushManifest(upload, { id: image.id, configText, layers }, tag, signal);
  progress({ status: `${tag}: digest: ${digest} size: ${size}` });
  index.setName(`${familiarName(reference)}@${digest}`, image.id, false);
  progress({ progressDetail: {}, aux: { Tag: tag, Digest: digest, Size: size } });
}

/** Configuration and manifest of an image whose layers are there. Resolves with what the manifest is. */
export async function pushManifest(
  upload: RegistryUpload,
  { id, configText, layers }: { id: string; configText: string; layers: readonly BlobDescriptor[] },
  tag: string,
  signal: AbortSignal,
): Promise<BlobDescriptor> {
  const config = Buffer.from(configText);
  if ((await upload.stat(id, signal)) === undefined) {
    const known = { digest: id, size: config.length };
    await upload.upload({ known, open: (start) => bytes(config.subarray(start)) }, signal);
  }
  const manifest = {
    schemaVersion: 2,
    mediaType: manifestTypes.schema2,
    config: { mediaType: configType, size: config.length, digest: id },
    layers: layers.map(({ size, digest }) => ({ mediaType: layerType, size, digest })),
  };
  // As dockerd writes it: the same image has the same digest, whoever pushes it.
  const body = Buffer.from(JSON.stringify(manifest, undefined, 3));
  await upload.putManifest(tag, manifestTypes.schema2, body, signal);
  return { digest: `sha256:${createHash('sha256').update(body).digest('hex')}`, size: body.length };
}

/** By diff ID, what stands for each layer in the registry. One that fails ends the others. */
async function pushLayers(push: Push, diffIds: readonly string[]): Promise<Map<string, BlobDescriptor>> {
  const { progress } = push;
  const { parallelUploads } = push.registry;
  const topFirst = [...diffIds].reverse();
  for (const diffId of topFirst) tell(progress, 'Preparing', diffId);
  const queue = [...new Set(topFirst)];
  for (const diffId of queue.slice(parallelUploads)) tell(progress, 'Waiting', diffId);
  const pushed = new Map<string, BlobDescriptor>();
  const stop = new AbortController();
  const signal = AbortSignal.any([push.signal, stop.signal]);
  let failure: Error | undefined;
  const worker = async (): Promise<void> => {
    for (let diffId = queue.shift(); diffId !== undefined; diffId = queue.shift()) {
      if (failure !== undefined) return;
      try {
        pushed.set(diffId, await pushLayer({ ...push, signal }, diffId));
      } catch (error) {
        failure ??= error as Error; // nothing else is thrown there
        stop.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: parallelUploads }, worker));
  if (failure !== undefined) throw failure;
  return pushed;
}

/** One layer of the store. Throws Internal for one that it hasn't. */
export async function pushLayer(push: LayerPush, diffId: string): Promise<BlobDescriptor> {
  const { layers, upload, progress, signal, reference } = push;
  const layer = layers.find(diffId);
  if (layer === undefined)
    throw new DaemonError('Internal', `layer ${diffId} is missing: pull its image again`);
  const repository = repositoryOf(reference);
  const { origins } = layers;
  const done = (status: string, blob: BlobDescriptor): BlobDescriptor => {
    origins.note(diffId, blob, repository);
    tell(progress, status, diffId);
    return blob;
  };
  const known = knownBlobs(layer, origins.of(diffId));
  const isHere = (blob: LayerOrigin): boolean => blob.repository === repository;
  const firstChecks = known.filter(isHere).slice(0, maxChecks);
  const found = await findBlob(upload, firstChecks, signal);
  if (found !== undefined) return done('Layer already exists', found);
  const elsewhere = known.filter(
    (blob) => !isHere(blob) && blob.repository.startsWith(`${reference.domain}/`),
  );
  for (const blob of elsewhere.slice(0, maxMounts)) {
    const from = blob.repository.slice(reference.domain.length + 1);
    if (await upload.mount(blob.digest, from, signal)) return done(`Mounted from ${from}`, blob);
  }
  const checked = new Set(firstChecks.map((blob) => blob.digest));
  const others = known.filter((blob) => !checked.has(blob.digest)).slice(0, maxChecks);
  const foundLater = await findBlob(upload, others, signal);
  if (foundLater !== undefined) return done('Layer already exists', foundLater);
  const onRetry = (seconds: number): void => {
    tell(progress, `Retrying in ${seconds} second${seconds === 1 ? '' : 's'}`, diffId);
  };
  return done('Pushed', await upload.upload(layerSource(push, layer), signal, onRetry));
}

/** What a layer may be in a registry: the blob it came as, and those of pushes before. */
function knownBlobs({ blob }: LayerRecord, origins: readonly LayerOrigin[]): LayerOrigin[] {
  if (blob.compression !== 'gzip' || origins.some(({ digest }) => digest === blob.digest))
    return [...origins];
  return [...origins, { digest: blob.digest, size: blob.sizeBytes, repository: '' }];
}

async function findBlob(
  upload: RegistryUpload,
  candidates: readonly LayerOrigin[],
  signal: AbortSignal,
): Promise<BlobDescriptor | undefined> {
  const digests = new Set(candidates.map(({ digest }) => digest));
  for (const digest of digests) {
    const size = await upload.stat(digest, signal);
    if (size !== undefined) return { digest, size };
  }
  return undefined;
}

/** The blob as it came, if that was gzip; else the layer's tar, compressed anew. */
function layerSource({ layers, progress }: LayerPush, { diffId, blob, sizeBytes }: LayerRecord): BlobSource {
  const id = shortId(diffId);
  if (blob.compression === 'gzip') {
    const { digest, sizeBytes: size } = blob;
    return {
      known: { digest, size },
      open: (start) => {
        const report = new ProgressReport('Pushing', id, size, progress, start);
        const file = createReadStream(layers.blobPath(digest), { start, highWaterMark: 1 << 18 });
        return joined(file, report);
      },
    };
  }
  return {
    open: () => {
      const report = new ProgressReport('Pushing', id, sizeBytes, progress);
      return joined(joined(layers.openTar(diffId), report), createGzip({ chunkSize: 1 << 18 }));
    },
  };
}

/** A failure or the end of either is the other's too. */
function joined<T extends NodeJS.ReadWriteStream & Readable>(source: Readable, sink: T): T {
  pipeline(source, sink, () => undefined);
  return sink;
}

function bytes(data: Buffer): Readable {
  const stream = new PassThrough();
  stream.end(data);
  return stream;
}

function tell(progress: ProgressSink, status: string, diffId: string): void {
  progress({ status, progressDetail: {}, id: shortId(diffId) });
}

function shortId(diffId: string): string {
  return diffId.slice('sha256:'.length, 'sha256:'.length + 12);
}
