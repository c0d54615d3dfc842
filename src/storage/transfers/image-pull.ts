// transfers/: pull, push and what a registry has.
//
// Pulls images: manifests, configuration and layers of a registry into the stores, with Docker's progress lines.

import { Readable } from 'node:stream';
import { DaemonError } from '../../errors';
import { familiarName, familiarReference, type Reference } from '../../registry/reference';
import type { RegistryOptions, RepositoryName } from '../../registry/registry-client';
import type { ImageIndex } from '../images/image-index';
import { holdingLayers } from '../images/layer-garbage';
import { repositoryOf } from '../layers/layer-origins';
import { requireLayerDepth, type SquashfsLayerStore } from '../layers/layer-store';
import {
  pullEach,
  repositoryName,
  resolveImage,
  type PulledImage,
  type PullOptions,
  type RegistryQuestion,
} from './image-resolution';
import type { Descriptor } from './manifest';
import { progressLine, ProgressReport } from './progress-report';
import type { SharedTransfers } from './shared-transfers';
import type { ProgressSink } from '../contract/stores';

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
export type Pull = PullContext & RegistryQuestion;

export interface LayerJob {
  descriptor: Descriptor;
  diffId: string;
}

const shortDigest = (digest: string): string => digest.slice('sha256:'.length, 'sha256:'.length + 12);

export async function pullImages(
  context: PullContext,
  text: string,
  options: PullOptions,
  progress: ProgressSink,
  signal: AbortSignal,
): Promise<void> {
  await pullEach(context.registry, text, options, progress, signal, (question, reference) =>
    pullOne({ ...context, ...question }, reference),
  );
}

async function pullOne(pull: Pull, reference: Reference): Promise<PulledImage> {
  const { index, progress } = pull;
  const name = repositoryName(reference);
  const familiar = familiarReference(reference);
  const before = index.nameTarget(familiar);
  const { digest, config, layers } = await resolveImage(pull, reference, (id) => index.configText(id));
  const diffIds = config.parsed.rootfs.diff_ids;
  requireLayerDepth(diffIds, 'failed to register layer: ');
  return holdingLayers(pull, diffIds, async () => {
    const isWhole = diffIds.every((diffId) => pull.layers.find(diffId) !== undefined);
    // dockerd doesn't look at the layers of an image that it has.
    if (index.configText(config.id) === undefined || !isWhole) {
      await pullLayers(
        pull,
        name,
        layers.map((descriptor, i) => ({ descriptor, diffId: diffIds[i] ?? '' })),
      );
    }
    noteOrigins(pull, reference, layers, diffIds);
    const { id } = index.add(config.text);
    progress({ status: `Digest: ${digest}` });
    index.setName(`${familiarName(reference)}@${digest}`, id, false);
    if (reference.digest === undefined) index.setName(familiar, id, true);
    pull.publish('pull', name.familiar, { name: name.familiarName });
    return { isNew: before !== id, config: config.parsed };
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
