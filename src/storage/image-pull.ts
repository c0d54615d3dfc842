// Pulls images: manifests, configuration and layers of a registry into the stores, with Docker's progress lines.

import { Readable, Transform, type TransformCallback } from 'node:stream';
import { DaemonError } from '../errors';
import { familiarName, familiarReference, parseReference, type Reference } from '../registry/reference';
import {
  manifestTypes,
  RegistryClient,
  type FetchedManifest,
  type RegistryOptions,
} from '../registry/registry-client';
import { parseConfig, type ImageIndex } from './image-index';
import type { SquashfsLayerStore } from './layer-store';
import { progressText } from './progress-text';
import type { Platform, ProgressSink, RegistryAuth } from './stores';

export interface PullContext {
  index: ImageIndex;
  layers: SquashfsLayerStore;
  registry: RegistryOptions;
  /** Layers that are being pulled now, by blob digest: two pulls download one layer once. */
  layersUnderWay: Map<string, Promise<void>>;
  publish: (action: string, id: string, attributes: Record<string, string>) => void;
}

interface Descriptor {
  digest: string;
  size: number;
  mediaType?: string;
  platform?: { os?: string; architecture?: string; variant?: string };
}

interface LayerJob {
  descriptor: Descriptor;
  diffId: string;
}

const parallelLayers = 3;
const progressIntervalMs = 100;
const shortDigest = (digest: string): string => digest.slice('sha256:'.length, 'sha256:'.length + 12);

export async function pullImages(
  context: PullContext,
  text: string,
  options: { platform?: Platform; auth?: RegistryAuth; allTags?: boolean },
  progress: ProgressSink,
  signal: AbortSignal,
): Promise<void> {
  const reference = parseReference(text);
  const client = new RegistryClient(reference.domain, options.auth ?? {}, context.registry);
  const single = reference.tag !== undefined || reference.digest !== undefined || options.allTags !== true;
  const targets = single ? [reference] : await allTags(client, reference, signal);
  for (const target of targets) await pullOne(context, client, target, options.platform, progress, signal);
}

async function allTags(
  client: RegistryClient,
  reference: Reference,
  signal: AbortSignal,
): Promise<Reference[]> {
  const tags = await client.tags(reference.path, signal);
  return tags.map((tag) => ({ ...reference, tag }));
}

async function pullOne(
  context: PullContext,
  client: RegistryClient,
  reference: Reference,
  platform: Platform | undefined,
  progress: ProgressSink,
  signal: AbortSignal,
): Promise<void> {
  const familiar = familiarReference(reference);
  const tagOrDigest = reference.digest ?? reference.tag ?? 'latest';
  const before = context.index.nameTarget(familiar);
  const top = await client.manifest(reference.path, tagOrDigest, familiar, signal);
  progress({ status: `Pulling from ${reference.path}`, id: tagOrDigest });
  const manifest = await choosePlatform(client, reference, top, platform, familiar, signal);
  const { config, layers } = parseManifest(manifest);
  const configText = (await client.blob(reference.path, config.digest, signal)).toString();
  const imageConfig = parseConfig(configText);
  checkPlatform(imageConfig, platform, familiar);
  const diffIds = imageConfig.rootfs.diff_ids;
  if (diffIds.length !== layers.length) {
    throw new DaemonError('InvalidParameter', `layers from manifest don't match image configuration`);
  }
  const jobs = layers.map((descriptor, i): LayerJob => ({ descriptor, diffId: diffIds[i] ?? '' }));
  // Held while the image is not recorded, so that no prune takes them away again.
  const owner = `pull-${Math.random().toString(36).slice(2)}`;
  context.layers.reference(owner, diffIds);
  try {
    await pullLayers(context, client, reference.path, jobs, progress, signal);
    const image = context.index.add(configText);
    progress({ status: `Digest: ${top.digest}` });
    context.index.setName(`${familiarName(reference)}@${top.digest}`, image.id, false);
    if (reference.digest === undefined) context.index.setName(familiar, image.id, true);
    const fresh = before !== image.id;
    progress({
      status: `Status: ${fresh ? 'Downloaded newer image' : 'Image is up to date'} for ${familiar}`,
    });
    context.publish('pull', familiar, { name: familiarName(reference) });
  } catch (error) {
    context.layers.unreference(owner);
    await removeUnused(context, diffIds);
    throw error;
  }
  context.layers.unreference(owner);
}

/** Layers that a failed pull leaves behind are of no use to anybody. */
async function removeUnused(context: PullContext, diffIds: readonly string[]): Promise<void> {
  const used = new Set(context.index.list().flatMap((image) => image.config.rootfs.diff_ids));
  for (const diffId of diffIds) if (!used.has(diffId)) await context.layers.remove(diffId);
}

async function choosePlatform(
  client: RegistryClient,
  reference: Reference,
  manifest: FetchedManifest,
  platform: Platform | undefined,
  familiar: string,
  signal: AbortSignal,
): Promise<FetchedManifest> {
  const { mediaType } = describe(manifest);
  if (mediaType !== manifestTypes.list && mediaType !== manifestTypes.ociIndex) return manifest;
  const wanted = platform ?? { os: 'linux', architecture: 'amd64' };
  const { manifests } = JSON.parse(manifest.body.toString()) as { manifests?: Descriptor[] };
  const match = (manifests ?? []).find(
    (candidate) =>
      candidate.platform?.os === wanted.os &&
      candidate.platform.architecture === wanted.architecture &&
      (wanted.variant === undefined || candidate.platform.variant === wanted.variant),
  );
  if (match === undefined) {
    const variant = wanted.variant === undefined ? '' : `/${wanted.variant}`;
    throw new DaemonError(
      'NotFound',
      `no matching manifest for ${wanted.os}/${wanted.architecture}${variant} in the manifest list entries`,
    );
  }
  return client.manifest(reference.path, match.digest, familiar, signal);
}

function describe(manifest: FetchedManifest): { mediaType: string; schemaVersion: unknown } {
  let value: { mediaType?: string; schemaVersion?: unknown; manifests?: unknown };
  try {
    value = JSON.parse(manifest.body.toString()) as typeof value;
  } catch (error) {
    throw new DaemonError('InvalidParameter', 'the registry sent a manifest that is not JSON', {
      cause: error,
    });
  }
  const inferred = value.manifests === undefined ? manifestTypes.ociManifest : manifestTypes.ociIndex;
  const known: readonly string[] = Object.values(manifestTypes);
  const mediaType = value.mediaType ?? (known.includes(manifest.mediaType) ? manifest.mediaType : inferred);
  return { mediaType, schemaVersion: value.schemaVersion };
}

function parseManifest(manifest: FetchedManifest): { config: Descriptor; layers: Descriptor[] } {
  const { mediaType, schemaVersion } = describe(manifest);
  if (schemaVersion === 1 || mediaType === manifestTypes.schema1) {
    throw new DaemonError(
      'InvalidParameter',
      'image manifest version 2, schema 1 is not supported: push the image again with a current Docker',
    );
  }
  const { config, layers } = JSON.parse(manifest.body.toString()) as {
    config?: Descriptor;
    layers?: Descriptor[];
  };
  const all = [config, ...(layers ?? [])];
  if (all.some((part) => part === undefined || !/^sha256:[a-f0-9]{64}$/.test(part.digest))) {
    throw new DaemonError('InvalidParameter', 'invalid manifest: a digest is missing or malformed');
  }
  return { config: config ?? { digest: '', size: 0 }, layers: layers ?? [] };
}

function checkPlatform(
  config: { os: string; architecture: string },
  wanted: Platform | undefined,
  familiar: string,
): void {
  if (config.os !== '' && config.os !== (wanted?.os ?? 'linux')) {
    throw new DaemonError('InvalidParameter', `operating system "${config.os}" is not supported`);
  }
  if (wanted !== undefined && config.architecture !== wanted.architecture) {
    throw new DaemonError(
      'NotFound',
      `image with reference ${familiar} was found but does not match the specified platform: ` +
        `wanted ${wanted.os}/${wanted.architecture}, actual: ${config.os}/${config.architecture}`,
    );
  }
}

async function pullLayers(
  context: PullContext,
  client: RegistryClient,
  path: string,
  jobs: readonly LayerJob[],
  progress: ProgressSink,
  signal: AbortSignal,
): Promise<void> {
  const missing: LayerJob[] = [];
  for (const job of jobs) {
    const id = shortDigest(job.descriptor.digest);
    if (context.layers.find(job.diffId) !== undefined) {
      progress({ status: 'Already exists', progressDetail: {}, id });
    } else {
      progress({ status: 'Pulling fs layer', progressDetail: {}, id });
      missing.push(job);
    }
  }
  for (const job of missing.slice(parallelLayers)) {
    progress({ status: 'Waiting', progressDetail: {}, id: shortDigest(job.descriptor.digest) });
  }
  // One that fails ends the others.
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const queue = [...missing];
  const worker = async (): Promise<void> => {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
      try {
        await pullLayer(context, client, path, job, progress, both);
      } catch (error) {
        stop.abort();
        throw error;
      }
    }
  };
  const results = await Promise.allSettled(Array.from({ length: parallelLayers }, worker));
  const failed = results
    .filter((result) => result.status === 'rejected')
    .map((result) => result.reason as Error);
  const reason = failed.find((error) => error instanceof DaemonError) ?? failed[0];
  if (reason !== undefined) throw reason;
}

async function pullLayer(
  context: PullContext,
  client: RegistryClient,
  path: string,
  job: LayerJob,
  progress: ProgressSink,
  signal: AbortSignal,
): Promise<void> {
  const { digest, size } = job.descriptor;
  const id = shortDigest(digest);
  const running = context.layersUnderWay.get(digest);
  if (running !== undefined) {
    await running.catch(() => undefined);
    if (context.layers.find(job.diffId) !== undefined) {
      progress({ status: 'Pull complete', progressDetail: {}, id });
      return;
    }
  }
  const download = async (): Promise<void> => {
    let received = 0;
    let lastReport = 0;
    const report = new Transform({
      readableHighWaterMark: 1 << 20,
      writableHighWaterMark: 1 << 20,
      transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback) {
        received += chunk.length;
        const now = Date.now();
        if (now - lastReport >= progressIntervalMs || received === size) {
          lastReport = now;
          const detail = { current: received, total: size };
          progress({ status: 'Downloading', progressDetail: detail, progress: progressText(detail), id });
        }
        done(null, chunk);
      },
      flush(done: TransformCallback) {
        progress({ status: 'Verifying Checksum', progressDetail: {}, id });
        progress({ status: 'Download complete', progressDetail: {}, id });
        const detail = { current: received, total: size };
        progress({ status: 'Extracting', progressDetail: detail, progress: progressText(detail), id });
        done();
      },
    });
    const blob = Readable.from(client.openBlob(path, digest, signal), {
      objectMode: false,
      highWaterMark: 1 << 20,
    });
    blob.on('error', (error) => report.destroy(error));
    await context.layers.add(blob.pipe(report), { blobDigest: digest, diffId: job.diffId, signal });
    progress({ status: 'Pull complete', progressDetail: {}, id });
  };
  const work = download();
  context.layersUnderWay.set(digest, work);
  try {
    await work;
  } finally {
    context.layersUnderWay.delete(digest);
  }
}
