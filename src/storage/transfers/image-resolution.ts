// What a registry has under a name, resolved down to an image's configuration and layers; and the course of a pull, whatever it then
// brings in.

import { DaemonError } from '../../errors';
import {
  familiarName,
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
import { chooseManifest, parseManifest, type Descriptor, type Manifest } from './manifest';
import type { ProgressSink } from '../contract/stores';
import type { Platform } from '../../registry/platform';
import type { RegistryAuth } from '../../registry/auth';

export interface PullOptions {
  platform?: Platform;
  auth?: RegistryAuth;
  allTags?: boolean;
}

/** Whom to ask, for which platform, and who hears how far it is. */
export interface RegistryQuestion {
  client: RegistryClient;
  platform: Platform | undefined;
  progress: ProgressSink;
  signal: AbortSignal;
}

export interface ResolvedImage {
  /** Of what the name leads to: a manifest, or an index. */
  digest: string;
  /** `id` is its digest, `text` as it came. */
  config: { id: string; text: string; parsed: ImageConfig };
  /** Lowest first, as many as the configuration has diff IDs. */
  layers: Descriptor[];
}

export interface PulledImage {
  /** The name led elsewhere before, or nowhere. */
  isNew: boolean;
  config: ImageConfig;
}

const maxIndexDepth = 3;

/** Pulls what `text` names by `pullOne`; with `allTags`, every tag of a repository that is named alone. Throws in Docker's words. */
export async function pullEach(
  registry: RegistryOptions,
  text: string,
  options: PullOptions,
  progress: ProgressSink,
  signal: AbortSignal,
  pullOne: (question: RegistryQuestion, reference: Reference) => Promise<PulledImage>,
): Promise<void> {
  const reference = parseReference(text);
  const client = new RegistryClient(reference.domain, options.auth ?? {}, registry);
  const question: RegistryQuestion = { client, platform: options.platform, progress, signal };
  const isAll = options.allTags === true && reference.tag === undefined && reference.digest === undefined;
  const name = repositoryName(reference);
  const targets = isAll
    ? (await client.tags(name, signal)).map((tag) => ({ ...reference, tag }))
    : [reference];
  let isNew = false;
  let last: ImageConfig | undefined;
  for (const target of targets) {
    const pulled = await pullOne(question, target);
    isNew ||= pulled.isNew;
    last = pulled.config;
  }
  const status = isNew ? 'Downloaded newer image' : 'Image is up to date';
  progress({ status: `Status: ${status} for ${isAll ? name.familiarName : name.familiar}` });
  if (last !== undefined) warnOfPlatform(last, options.platform, reference, progress);
}

/** `known` gives a configuration that is here already, by its digest. Tells the begin of the pull. Throws in Docker's words. */
export async function resolveImage(
  question: RegistryQuestion,
  reference: Reference,
  known: (id: string) => string | undefined,
): Promise<ResolvedImage> {
  const { client, progress, signal } = question;
  const name = repositoryName(reference);
  const top = await client.manifest(name, reference.digest ?? reference.tag ?? 'latest', signal);
  const parsed = parseManifest(top);
  progress({
    status: `Pulling from ${reference.path}`,
    id: reference.digest === undefined ? (reference.tag ?? 'latest') : fullString(reference),
  });
  const { config, layers } = await imageManifest(question, name, parsed);
  const configText = known(config.digest) ?? (await client.config(name, config.digest, signal)).toString();
  const imageConfig = parseConfig(configText);
  if (imageConfig.os !== '' && imageConfig.os !== 'linux') {
    throw new DaemonError(
      'Internal',
      `image operating system ${JSON.stringify(imageConfig.os)} cannot be used on this platform`,
    );
  }
  if (imageConfig.rootfs.diff_ids.length !== layers.length) {
    throw new DaemonError('Internal', `layers from manifest don't match image configuration`);
  }
  return {
    digest: top.digest,
    config: { id: config.digest, text: configText, parsed: imageConfig },
    layers,
  };
}

/** The image's manifest itself, or the one of the platform's that an index leads to. */
export async function imageManifest(
  question: Pick<RegistryQuestion, 'client' | 'platform' | 'signal'>,
  name: RepositoryName,
  top: Manifest,
): Promise<Extract<Manifest, { kind: 'image' }>> {
  let manifest = top;
  for (let depth = 0; manifest.kind === 'index'; depth += 1) {
    if (depth >= maxIndexDepth) throw new DaemonError('Internal', 'invalid manifest: indexes too deep');
    const { digest } = chooseManifest(manifest.manifests, question.platform);
    const fetched: FetchedManifest = await question.client.manifest(name, digest, question.signal);
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

/** As messages of a pull name it. */
export function repositoryName(reference: Reference): RepositoryName {
  const isBare = reference.tag === undefined && reference.digest === undefined;
  const familiar = familiarString(isBare ? { ...reference, tag: 'latest' } : reference);
  return { path: reference.path, familiarName: familiarName(reference), familiar };
}
