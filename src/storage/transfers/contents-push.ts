// Sends manifests and indexes as they are, with the blobs that they name: what `docker push` makes anew of an image without any is
// image-push.ts.

import { PassThrough, type Readable } from 'node:stream';
import { DaemonError } from '../../errors';
import type { Reference } from '../../registry/reference';
import type { RegistryUpload } from '../../registry/registry-upload';
import type { ImageContents, TransferCounter } from '../contract/stores';
import { blobsNamedBy, digestOf, type ContentDescriptor } from '../images/image-contents';
import { repositoryOf } from '../layers/layer-origins';
import type { SquashfsLayerStore } from '../layers/layer-store';
import { ProgressReport } from './progress-report';

/** As dockerd: more than this is not tried before the bytes are sent. */
const maxMounts = 4;

export interface ContentsPush {
  readonly layers: SquashfsLayerStore;
  readonly upload: RegistryUpload;
  readonly reference: Reference;
  readonly parallelUploads: number;
  readonly counter: TransferCounter;
  readonly signal: AbortSignal;
}

/** `tag` undefined: under the digest alone. What is named comes before what names it. */
export async function pushDocuments(
  push: ContentsPush,
  contents: ImageContents,
  tag: string | undefined,
): Promise<void> {
  const { upload, signal } = push;
  const blobs = new Map(contents.blobs.map((blob) => [digestOf(blob), blob]));
  await inParallel(blobsNamedBy(contents), push.parallelUploads, signal, (each, own) =>
    pushBlob({ ...push, signal: own }, each, blobs.get(each.digest)),
  );
  for (const { mediaType, body } of contents.manifests) {
    await upload.putManifest(digestOf(body), mediaType, body, signal);
  }
  const { top } = contents;
  await upload.putManifest(tag ?? digestOf(top.body), top.mediaType, top.body, signal);
}

async function pushBlob(
  push: ContentsPush,
  { digest, size }: ContentDescriptor,
  own: Buffer | undefined,
): Promise<void> {
  const { layers, upload, reference, signal, counter } = push;
  const tell = (currentBytes: number, done: boolean): void =>
    counter({ id: digest, currentBytes, totalBytes: size, done });
  if ((await upload.stat(digest, signal)) !== undefined) {
    tell(size, true);
    return;
  }
  const layer = layers.findByBlob(digest);
  const repository = repositoryOf(reference);
  if (own === undefined && layer !== undefined) {
    const others = layers.origins
      .of(layer.diffId)
      .filter((origin) => origin.digest === digest && origin.repository !== repository)
      .filter((origin) => origin.repository.startsWith(`${reference.domain}/`));
    for (const { repository: from } of others.slice(0, maxMounts)) {
      if (!(await upload.mount(digest, from.slice(reference.domain.length + 1), signal))) continue;
      layers.origins.note(layer.diffId, { digest, size }, repository);
      tell(size, true);
      return;
    }
  }
  const source =
    own === undefined ? layers.openAnyBlob(digest) : { sizeBytes: own.length, open: bytesOf(own) };
  if (source === undefined)
    throw new DaemonError('Internal', `content ${digest} is missing: build or pull its image again`);
  // a plain tar is read through a decompressor: it begins anew
  const isPlain = layers.find(digest) !== undefined;
  await upload.upload(
    {
      ...(isPlain ? {} : { known: { digest, size: source.sizeBytes } }),
      open: (start) => {
        const told = ({ progressDetail }: { progressDetail?: { current?: number } }): void =>
          tell(progressDetail?.current ?? 0, false);
        const report = new ProgressReport('', digest, source.sizeBytes, told, start);
        const stream = source.open(start);
        stream.on('error', (error) => report.destroy(error));
        report.on('close', () => stream.destroy());
        return stream.pipe(report);
      },
    },
    signal,
  );
  if (layer !== undefined && !isPlain && /gzip|zstd/.test(layer.blob.compression))
    layers.origins.note(layer.diffId, { digest, size }, repository);
  tell(size, true);
}

function bytesOf(data: Buffer): (start: number) => Readable {
  return (start) => new PassThrough().end(data.subarray(start));
}

/** One that fails ends the others. */
async function inParallel<T>(
  items: readonly T[],
  workers: number,
  signal: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  let failure: Error | undefined;
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined && failure === undefined; item = queue.shift()) {
      try {
        await work(item, both);
      } catch (error) {
        failure ??= error as Error; // nothing else is thrown there
        stop.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: workers }, worker));
  if (failure !== undefined) throw failure;
}
