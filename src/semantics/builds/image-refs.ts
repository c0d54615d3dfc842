// How builds name images, whatever keeps them.

import { BuildError } from '../../buildkit/contract/errors';
import type { ImageRequest, RegistryAccess } from '../../buildkit/contract/host';
import type { Platform as BuildPlatform } from '../../buildkit/contract/llb';
import type { ImageConfigResult } from '../../buildkit/contract/solver';
import { errorMessage } from '../../errors';
import type { RegistryAuth } from '../../registry/auth';
import type { Platform } from '../../registry/platform';
import { fullString, parseReference } from '../../registry/reference';
import type { Image } from '../../storage/contract/image';

/** The host of Docker Hub's registry, by which clients know their credentials for it. */
const hubHost = 'registry-1.docker.io';

interface FoundImages {
  find(ref: string, platform?: Platform): Image | undefined;
}

/** By what is here, unless a registry is to be asked, and then by what one has. */
export async function resolveConfig(
  request: Pick<ImageRequest, 'ref' | 'platform' | 'mode'>,
  images: FoundImages,
  remote: () => Promise<{ digest: string; config: Buffer }>,
): Promise<ImageConfigResult> {
  const local = request.mode === 'pull' ? undefined : localImage(images, request);
  if (local !== undefined) {
    const config = Buffer.from(JSON.stringify(local.config));
    return { ref: canonical(request.ref), digest: local.id, config };
  }
  const { digest, config } = await remote();
  return { ref: pinned(request.ref, digest), digest, config };
}

/** By which the registry knows what was pushed; '' where it was not told. */
export async function pushedDigest(
  push: (progress: (line: object) => void) => Promise<void>,
): Promise<string> {
  let digest = '';
  await push((line) => {
    const { aux } = line as { aux?: { Digest?: unknown } };
    if (typeof aux?.Digest === 'string') digest = aux.Digest;
  });
  return digest;
}

/** One that is here, of the platform that is wanted; another one's is none. */
function localImage(
  images: FoundImages,
  { ref, platform }: Pick<ImageRequest, 'ref' | 'platform'>,
): Image | undefined {
  const image = images.find(ref, platformOf(platform)) ?? byPinnedId(images, ref);
  if (image === undefined) return undefined;
  const { os, architecture } = image.config;
  return os === platform.OS && architecture === platform.Architecture ? image : undefined;
}

/** What no registry has is pinned to its id, whatever its name. */
function byPinnedId(images: FoundImages, ref: string): Image | undefined {
  const [, id] = /@(sha256:[a-f0-9]{64})$/.exec(ref) ?? [];
  return id === undefined ? undefined : images.find(id);
}

export async function authFor(
  text: string,
  access: RegistryAccess,
  signal: AbortSignal,
): Promise<RegistryAuth> {
  const { domain } = referenceOf(text);
  const found = await access.credentials(domain === 'docker.io' ? hubHost : domain, signal);
  if (found === undefined) return {};
  const { username, secret } = found;
  return username === '' ? { identitytoken: secret } : { username, password: secret };
}

/** Throws BuildError for what names no image. */
export function referenceOf(text: string): ReturnType<typeof parseReference> {
  try {
    return parseReference(text);
  } catch (error) {
    throw new BuildError('InvalidArgument', errorMessage(error), { cause: error });
  }
}

/** With domain and tag; an id stays one. */
function canonical(text: string): string {
  if (/^(sha256:)?[a-f0-9]{64}$/.test(text)) return text;
  const reference = referenceOf(text);
  const isBare = reference.tag === undefined && reference.digest === undefined;
  return fullString(isBare ? { ...reference, tag: 'latest' } : reference);
}

export function pinned(text: string, digest: string): string {
  return canonical(text).replace(/@.*$/, '') + `@${digest}`;
}

/** Of what a registry had. */
export function keyOf(digest: string, { OS, Architecture, Variant }: BuildPlatform): string {
  return [digest, OS, Architecture, Variant].join(' ');
}

export function platformOf({ OS, Architecture, Variant }: BuildPlatform): Platform {
  return { os: OS, architecture: Architecture, ...(Variant === '' ? {} : { variant: Variant }) };
}
