// `docker pull`: the registry tells what the image is, a record keeps it. Layers are the nodes' business, at the first start there.

import type { ImageConfig } from '../../docker/image-config';
import { familiarName, familiarReference, parseReference, type Reference } from '../../registry/reference';
import type { RegistryAuth } from '../../registry/auth';
import type { ProgressSink } from '../../storage/contract/stores';
import {
  pullEach,
  repositoryName,
  resolveImage,
  type PulledImage,
  type PullOptions,
  type RegistryQuestion,
  type ResolvedImage,
} from '../../storage/transfers/image-resolution';
import type { RegistryOptions } from '../../registry/registry-client';
import type { ImageCatalog, ImageChange, ImageSource } from './image-catalog';
import type { PullSecrets } from './pull-secrets';

export interface ClusterPullContext {
  catalog: ImageCatalog;
  registry: RegistryOptions;
  secrets: PullSecrets;
  publish: (action: string, id: string, attributes: Record<string, string>) => Promise<void>;
}

const shortDigest = (digest: string): string => digest.slice('sha256:'.length, 'sha256:'.length + 12);

/** Throws in Docker's words. */
export async function pullImages(
  context: ClusterPullContext,
  text: string,
  options: PullOptions,
  progress: ProgressSink,
  signal: AbortSignal,
): Promise<void> {
  const auth = options.auth ?? {};
  await pullEach(context.registry, text, options, progress, signal, (question, reference) =>
    pullOne(context, question, reference, auth),
  );
}

async function pullOne(
  context: ClusterPullContext,
  question: RegistryQuestion,
  reference: Reference,
  auth: RegistryAuth,
): Promise<PulledImage> {
  const { index } = await context.catalog.read();
  const resolved = await resolveImage(question, reference, (id) => index.configText(id));
  const known = index.byId(resolved.config.id);
  if (known === undefined) {
    const isHere = (diffId: string): boolean => index.usesLayer(diffId);
    tellLayers(resolved, isHere, question.progress);
  }
  const source = await sourceOf(context.secrets, reference, resolved.digest, auth);
  const isNew = await context.catalog.change((change) => keep(change, reference, resolved, source));
  // Until it was written that this image needs the Secret, another daemon may have found it needless.
  await context.secrets.keep(reference.domain, auth);
  question.progress({ status: `Digest: ${resolved.digest}` });
  const name = repositoryName(reference);
  await context.publish('pull', name.familiar, { name: name.familiarName });
  return { isNew, config: resolved.config.parsed };
}

/** True if the name led elsewhere before. */
function keep(
  { index, add }: ImageChange,
  reference: Reference,
  { digest, config, layers }: ResolvedImage,
  source: ImageSource,
): boolean {
  const familiar = familiarReference(reference);
  const before = index.nameTarget(familiar);
  const { id } = add({
    configText: config.text,
    layers: layers.map((layer, i) => ({
      diffId: diffIdAt(config.parsed, i),
      digest: layer.digest,
      bytes: layer.size,
    })),
    source,
  });
  const byDigest = `${familiarName(reference)}@${digest}`;
  if (index.nameTarget(byDigest) !== id) index.setName(byDigest, id, false);
  if (reference.digest === undefined && before !== id) index.setName(familiar, id, true);
  return before !== id;
}

function diffIdAt(config: ImageConfig, i: number): string {
  return config.rootfs.diff_ids[i] ?? '';
}

/** As dockerd's lines for what is as good as here: the nodes can have it from now on. */
function tellLayers(
  { config, layers }: ResolvedImage,
  isHere: (diffId: string) => boolean,
  progress: ProgressSink,
): void {
  const missing: string[] = [];
  for (const [i, { digest }] of layers.entries()) {
    const id = shortDigest(digest);
    const here = isHere(diffIdAt(config.parsed, i));
    progress({ status: here ? 'Already exists' : 'Pulling fs layer', progressDetail: {}, id });
    if (!here) missing.push(id);
  }
  for (const id of missing) progress({ status: 'Pull complete', progressDetail: {}, id });
}

/** Where nodes find the image, and by which Secret: what is asked for is what let us in. */
async function sourceOf(
  secrets: PullSecrets,
  reference: Reference,
  digest: string,
  auth: RegistryAuth,
): Promise<ImageSource> {
  const secret = await secrets.keep(reference.domain, auth);
  const full = `${reference.domain}/${reference.path}@${digest}`;
  return { reference: full, ...(secret === undefined ? {} : { secret }) };
}

/** The reference by which a node pulls what a name leads to, of the registry that the name is in if it is known from there. */
export function sourceFor(sources: readonly ImageSource[], name: string): ImageSource | undefined {
  let repository: string | undefined;
  try {
    const { domain, path } = parseReference(name);
    repository = `${domain}/${path}`;
  } catch {
    // an id
  }
  const ofRepository = sources.find(({ reference }) => reference.startsWith(`${repository ?? ''}@`));
  return ofRepository ?? sources[0];
}
