// transfers/: pull, push and what a registry has.
//
// Pulls images: manifests, configuration and layers of a registry into the stores, with Docker's progress lines.

import { Readable } from 'node:stream';
import { DaemonError } from '../../errors';
import {
  familiarName,
  familiarReference,
  familiarString,
  fullString,
  parseReference,
  type Reference,
} from '../../registry/reference';
import {
  RegistryClient,
  type FetchedManifest,
  type RegistryOptions,
  type RepositoryName,
} from '../../registry/registry-client';
import type { ImageConfig } from '../../docker/image-config';
import { parseConfig } from '../images/image-config';
import type { ImageIndex } from '../images/image-index';
import { holdingLayers } from '../images/layer-garbage';
import { repositoryOf } from '../layers/layer-origins';
import { requireLayerDepth, type SquashfsLayerStore } from '../layers/layer-store';
import { chooseManifest, parseManifest, type Descriptor, type Manifest } from './manifest';
import { progressLine, ProgressReport } from './progress-report';
import type { SharedTransfers } from './shared-transfers';
import type { ProgressSink } from '../contract/stores';
import type { Platform } from '../../registry/platform';
import type { RegistryAuth } from '../../registry/auth';

export interface TransferSettings extends RegistryOptions {
  /** How many layers a pull fetches at a time, and a push sends. */
  readonly parallelDownloads: number;
  readonly parallelUploads: number;
}

export interface PullContext {
  index: ImageIndex;
  layers: SquashfsLayerStore;
  registry: TransferSettings;
  /** Of layers, by the digest of their blob. */
  transfers: SharedTransfers;
  publish: (action: string, id: string, attributes: Record<string, string>) => void;
}

/** One pull: what all its steps need. */
export interface Pull extends PullContext {
  client: RegistryClient;
  platform: Platform | undefined;
  progress: ProgressSink;
  signal: AbortSignal;
}

export interface LayerJob {
  descriptor: Descriptor;
  diffId: string;
}

const maxIndexDepth = 3;
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
  const pull: Pull = { ...context, client, platform: options.platform, progress, signal };
  const isAll = options.allTags === true && reference.tag === undefined && reference.digest === undefined;
  const name = repositoryName(reference);
  const targets = isAll
    ? (await client.tags(name, signal)).map((tag) => ({ ...reference, tag }))
    : [reference];
  let isNew = false;
  let last: ImageConfig | undefined;
  for (const target of targets) {
    const pulled = await pullOne(pull, target);
    isNew ||= pulled.isNew;
    last = pulled.config;
  }
  const status = isNew ? 'Downloaded newer image' : 'Image is up to date';
  progress({ status: `Status: ${status} for ${isAll ? name.familiarName : name.familiar}` });
  if (last !== undefined) warnOfPlatform(last, options.platform, reference, progress);
}

async function pullOne(pull: Pull, reference: Reference): Promise<{ isNew: boolean; config: ImageConfig }> {
  const { client, index, progress, signal } = pull;
  const name = repositoryName(reference);
  const familiar = familiarReference(reference);
  const before = index.nameTarget(familiar);
  const top = await client.manifest(name, reference.digest ?? reference.tag ?? 'latest', signal);
  const parsed = parseManifest(top);
  progress({
    status: `Pulling from ${reference.path}`,
    id: reference.digest === undefined ? (reference.tag ?? 'latest') : fullString(reference),
  });
  const { config, layers } = await imageManifest(pull, name, parsed);
  const configText =
    index.configText(config.digest) ?? (await client.config(name, config.digest, signal)).toString();
  const imageConfig = parseConfig(configText);
  if (imageConfig.os !== '' && imageConfig.os !== 'linux') {
    throw new DaemonError(
      'Internal',
      `image operating system ${JSON.stringify(imageConfig.os)} cannot be used on this platform`,
    );
  }
  const diffIds = imageConfig.rootfs.diff_ids;
  if (diffIds.length !== layers.length) {
    throw new DaemonError('Internal', `layers from manifest don't match image configuration`);
  }
  requireLayerDepth(diffIds, 'failed to register layer: ');
  return holdingLayers(pull, diffIds, async () => {
    const isWhole = diffIds.every((diffId) => pull.layers.find(diffId) !== undefined);
    // dockerd doesn't look at the layers of an image that it has.
    if (index.configText(config.digest) === undefined || !isWhole) {
      await pullLayers(
        pull,
        name,
        layers.map((descriptor, i) => ({ descriptor, diffId: diffIds[i] ?? '' })),
      );
    }
    noteOrigins(pull, reference, layers, diffIds);
    const { id } = index.add(configText);
    progress({ status: `Digest: ${top.digest}` });
    index.setName(`${familiarName(reference)}@${top.digest}`, id, false);
    if (reference.digest === undefined) index.setName(familiar, id, true);
    pull.publish('pull', name.familiar, { name: name.familiarName });
    return { isNew: before !== id, config: imageConfig };
  });
}

/** Where the layers are already: they need not be pushed there. */
export function noteOrigins(
  { layers: store }: Pick<PullContext, 'layers'>,
  reference: Reference,
  layers: readonly Descriptor[],
  diffIds: readonly string[],
): void {
  for (const [i, { digest, size, mediaType }] of layers.entries()) {
    // Others can't be pushed as they are.
    const isGzip = mediaType === undefined || /[.+]gzip$/.test(mediaType);
    if (isGzip) store.origins.note(diffIds[i] ?? '', { digest, size }, repositoryOf(reference));
  }
}

/** The image's manifest itself, or the one of the platform's that an index leads to. */
export async function imageManifest(
  pull: Pull,
  name: RepositoryName,
  top: Manifest,
): Promise<Extract<Manifest, { kind: 'image' }>> {
  let manifest = top;
  for (let depth = 0; manifest.kind === 'index'; depth += 1) {
    if (depth >= maxIndexDepth) throw new DaemonError('Internal', 'invalid manifest: indexes too deep');
    const { digest } = chooseManifest(manifest.manifests, pull.platform);
    const fetched: FetchedManifest = await pull.client.manifest(name, digest, pull.signal);
    manifest = parseManifest(fetched);
  }
  return manifest;
}

/** dockerd 20.10 keeps an image of another platform when it is not asked for one of several, and says so. */
function warnOfPlatform(
  { os, architecture, variant }: ImageConfig,
  wanted: Platform | undefined,
  reference: Reference,
  progress: ProgressSink,
): void {
  if (wanted === undefined) return;
  const text = (platform: Platform): string =>
    [platform.os, platform.architecture, platform.variant].filter(Boolean).join('/');
  const sameVariant = wanted.variant === undefined || variant === undefined || variant === wanted.variant;
  if (os === wanted.os && architecture === wanted.architecture && sameVariant) return;
  const actual = text({ os, architecture, ...(variant === undefined ? {} : { variant }) });
  progress({
    status:
      `WARNING: image with reference ${familiarName(reference)} was found but does not match the specified ` +
      `platform: wanted ${text(wanted)}, actual: ${actual}`,
  });
}

/** Those of them that are missing. The caller holds them all. */
export async function pullLayers(pull: Pull, name: RepositoryName, jobs: readonly LayerJob[]): Promise<void> {
  const { layers, progress } = pull;
  const missing = new Map<string, LayerJob>();
  for (const job of jobs) {
    const id = shortDigest(job.descriptor.digest);
    const isHere = layers.find(job.diffId) !== undefined;
    progress({ status: isHere ? 'Already exists' : 'Pulling fs layer', progressDetail: {}, id });
    if (!isHere) missing.set(job.diffId, job);
  }
  const queue = [...missing.values()];
  const { parallelDownloads } = pull.registry;
  for (const job of queue.slice(parallelDownloads)) {
    progress({ status: 'Waiting', progressDetail: {}, id: shortDigest(job.descriptor.digest) });
  }
  // One that fails ends the others.
  const stop = new AbortController();
  const both = AbortSignal.any([pull.signal, stop.signal]);
  let failure: Error | undefined;
  const worker = async (): Promise<void> => {
    for (let job = queue.shift(); job !== undefined && failure === undefined; job = queue.shift()) {
      try {
        await pullLayer({ ...pull, signal: both }, name, job);
      } catch (error) {
        failure ??= error as Error; // nothing else is thrown there
        stop.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: parallelDownloads }, worker));
  if (failure !== undefined) throw failure;
}

async function pullLayer(pull: Pull, name: RepositoryName, { descriptor, diffId }: LayerJob): Promise<void> {
  const { digest, size } = descriptor;
  const id = shortDigest(digest);
  const { layers, client } = pull;
  await pull.transfers.join(digest, pull.progress, pull.signal, async (progress, signal) => {
    const onRetry = (seconds: number): void => {
      const status = `Retrying in ${seconds} second${seconds === 1 ? '' : 's'}`;
      progress({ status, progressDetail: {}, id });
    };
    const blob = Readable.from(client.openBlob(name, digest, signal, onRetry), { objectMode: false });
    const report = new ProgressReport('Downloading', id, size, progress);
    blob.on('error', (error) => report.destroy(error));
    report.on('end', () => {
      progress({ status: 'Verifying Checksum', progressDetail: {}, id });
    });
    report.on('close', () => blob.destroy());
    await layers.add(blob.pipe(report), {
      blobDigest: digest,
      blobBytes: size,
      diffId,
      onVerified: () => {
        progress({ status: 'Download complete', progressDetail: {}, id });
        progress(progressLine('Extracting', id, size, size));
      },
      processingPrefix: 'failed to register layer: ',
      signal,
    });
    progress({ status: 'Pull complete', progressDetail: {}, id });
  });
  // The other pull's image has claimed another diff ID for the blob.
  if (layers.find(diffId) === undefined) {
    throw new DaemonError('Internal', `layers from manifest don't match image configuration`);
  }
}

/** As messages of a pull name it. */
export function repositoryName(reference: Reference): RepositoryName {
  const isBare = reference.tag === undefined && reference.digest === undefined;
  const familiar = familiarString(isBare ? { ...reference, tag: 'latest' } : reference);
  return { path: reference.path, familiarName: familiarName(reference), familiar };
}
