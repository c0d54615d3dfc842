// `docker push`: from the registry that an image was pulled from into another one, or under another name; the daemon passes on what
// the registry can't take over by itself. The manifest stays as it was, byte for byte, so its digest does too.

import { PassThrough, Readable } from 'node:stream';
import { DaemonError } from '../../errors';
import type { RegistryAuth } from '../../registry/auth';
import { familiarName, familiarReference, parseReference, type Reference } from '../../registry/reference';
import {
  RegistryClient,
  type FetchedManifest,
  type RegistryOptions,
  type RepositoryName,
} from '../../registry/registry-client';
import { RegistryUpload } from '../../registry/registry-upload';
import type { ProgressSink } from '../../storage/contract/stores';
import { repositoryName } from '../../storage/transfers/image-resolution';
import {
  chooseManifest,
  parseManifest,
  type Descriptor,
  type Manifest,
} from '../../storage/transfers/manifest';
import { ProgressReport } from '../../storage/transfers/progress-report';
import type { ImageCatalog, ImageRecord, ImageSource, ImageView } from './image-catalog';
import { sourceFor } from './image-pull';
import type { PullSecrets } from './pull-secrets';

export interface ClusterPushContext {
  catalog: ImageCatalog;
  registry: RegistryOptions;
  secrets: PullSecrets;
  publish: (action: string, id: string, attributes: Record<string, string>) => Promise<void>;
}

/** One push: what all its steps need. */
interface Push extends ClusterPushContext {
  reference: Reference;
  upload: RegistryUpload;
  progress: ProgressSink;
  signal: AbortSignal;
}

/** Where the bytes are. */
export interface Origin {
  client: RegistryClient;
  name: RepositoryName;
  reference: Reference;
}

const maxIndexDepth = 3;

/** The tag, or every tag of the repository where the reference has none. Throws in Docker's words. */
export async function pushImages(
  context: ClusterPushContext,
  text: string,
  options: { auth: RegistryAuth },
  progress: ProgressSink,
  signal: AbortSignal,
): Promise<void> {
  const reference = parseReference(text);
  const name = familiarName(reference);
  progress({ status: `The push refers to repository [${reference.domain}/${reference.path}]` });
  const view = await context.catalog.read();
  const own = tagsOfRepository(view, name);
  const client = new RegistryClient(reference.domain, options.auth, { ...context.registry, mirrors: [] });
  await client.connect(signal);
  if (reference.digest !== undefined) throw new DaemonError('Internal', 'cannot push a digest reference');
  const wanted = familiarReference(reference);
  const chosen = reference.tag === undefined ? own : own.filter((tag) => tag === wanted);
  if (chosen.length === 0) {
    const why = reference.tag === undefined ? `no tags to push for ${name}` : `tag does not exist: ${wanted}`;
    throw new DaemonError('NotFound', why);
  }
  const upload = new RegistryUpload(client, reference.path);
  const push: Push = { ...context, reference, upload, progress, signal };
  for (const tag of chosen) await pushTag(push, view, tag);
  await context.publish('push', reference.tag === undefined ? name : wanted, { name });
}

/** Throws NotFound where the repository has no image here. */
function tagsOfRepository({ index }: ImageView, name: string): string[] {
  const isOfRepository = (candidate: string): boolean => familiarName(parseReference(candidate)) === name;
  const images = index.list();
  const own = images.flatMap(({ repoTags }) => repoTags.filter(isOfRepository)).sort();
  const isKnown = images.some(({ repoDigests }) => repoDigests.some(isOfRepository));
  if (own.length > 0 || isKnown) return own;
  throw new DaemonError('NotFound', `An image does not exist locally with the tag: ${name}`);
}

async function pushTag(push: Push, view: ImageView, fullTag: string): Promise<void> {
  const { progress, upload, reference, signal } = push;
  const imageId = view.index.nameTarget(fullTag) ?? '';
  const record = view.record(imageId);
  const source = record === undefined ? undefined : sourceFor(record.sources, fullTag);
  if (record === undefined || source === undefined)
    throw new DaemonError('Internal', `no registry is known that has ${fullTag}`);
  const origin = await originOf(push, source);
  const { fetched, manifest } = await manifestOf(push, origin);
  await pushLayers(push, origin, record, manifest.layers);
  await pushBlob(push, origin, manifest.config, () => undefined);
  const tag = parseReference(fullTag).tag ?? '';
  await upload.putManifest(tag, fetched.mediaType, fetched.body, signal);
  const { digest, body } = fetched;
  progress({ status: `${tag}: digest: ${digest} size: ${body.length}` });
  await push.catalog.change(({ index }) => {
    if (index.byId(imageId) !== undefined)
      index.setName(`${familiarName(reference)}@${digest}`, imageId, false);
  });
  progress({ progressDetail: {}, aux: { Tag: tag, Digest: digest, Size: body.length } });
}

/** By what the client that pulled it, or the operator, is let in with. */
export async function originOf(
  { secrets, registry }: Pick<ClusterPushContext, 'secrets' | 'registry'>,
  source: ImageSource,
): Promise<Origin> {
  const reference = parseReference(source.reference);
  const auth = source.secret === undefined ? {} : await secrets.read(source.secret, reference.domain);
  return {
    client: new RegistryClient(reference.domain, auth, registry),
    name: repositoryName(reference),
    reference,
  };
}

/** That of the image itself, also where its name leads to an index. */
async function manifestOf(
  { signal }: Push,
  { client, name, reference }: Origin,
): Promise<{ fetched: FetchedManifest; manifest: Extract<Manifest, { kind: 'image' }> }> {
  let fetched = await client.manifest(name, reference.digest ?? '', signal);
  let manifest = parseManifest(fetched);
  for (let depth = 0; manifest.kind === 'index'; depth += 1) {
    if (depth >= maxIndexDepth) throw new DaemonError('Internal', 'invalid manifest: indexes too deep');
    fetched = await client.manifest(name, chooseManifest(manifest.manifests, undefined).digest, signal);
    manifest = parseManifest(fetched);
  }
  return { fetched, manifest };
}

/** One after the other: most are there, or are taken over. */
async function pushLayers(
  push: Push,
  origin: Origin,
  record: ImageRecord,
  layers: readonly Descriptor[],
): Promise<void> {
  const shown = new Map(record.layers.map(({ digest, diffId }) => [digest, shortId(diffId)]));
  const topFirst = [...layers].reverse();
  const idOf = ({ digest }: Descriptor): string => shown.get(digest) ?? shortId(digest);
  const tell = (status: string, layer: Descriptor): void => {
    push.progress({ status, progressDetail: {}, id: idOf(layer) });
  };
  for (const layer of topFirst) tell('Preparing', layer);
  for (const layer of topFirst) {
    const status = await pushBlob(
      push,
      origin,
      layer,
      (seconds) => {
        tell(`Retrying in ${seconds} second${seconds === 1 ? '' : 's'}`, layer);
      },
      idOf(layer),
    );
    tell(status, layer);
  }
}

/** Resolves with Docker's word for how it came to be there. `id`: under which its progress is told; nothing is without. */
export async function pushBlob(
  { upload, reference, progress, signal }: Pick<Push, 'upload' | 'reference' | 'progress' | 'signal'>,
  origin: Origin,
  { digest, size }: Descriptor,
  onRetry: (seconds: number) => void,
  id?: string,
): Promise<string> {
  if ((await upload.stat(digest, signal)) !== undefined) return 'Layer already exists';
  const from = origin.reference;
  if (from.domain === reference.domain && (await upload.mount(digest, from.path, signal)))
    return `Mounted from ${from.path}`;
  const open = (start: number): Readable => {
    const bytes = Readable.from(skipping(origin.client.openBlob(origin.name, digest, signal), start), {
      objectMode: false,
    });
    const through =
      id === undefined ? new PassThrough() : new ProgressReport('Pushing', id, size, progress, start);
    bytes.on('error', (error) => through.destroy(error));
    through.on('close', () => bytes.destroy());
    return bytes.pipe(through);
  };
  await upload.upload({ known: { digest, size }, open }, signal, onRetry);
  return 'Pushed';
}

/** All but its first bytes. */
export async function* skipping(source: AsyncIterable<Buffer>, count: number): AsyncGenerator<Buffer> {
  let left = count;
  for await (const chunk of source) {
    const useful = chunk.subarray(Math.min(left, chunk.length));
    left -= chunk.length - useful.length;
    if (useful.length > 0) yield useful;
  }
}

function shortId(digest: string): string {
  return digest.slice('sha256:'.length, 'sha256:'.length + 12);
}
