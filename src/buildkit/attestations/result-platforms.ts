// Which platforms a result has, and what of it belongs to each.

import { BuildError } from '../contract/errors';
import type { Attestation, Ref, Result } from '../contract/solver';

/** OCI's names. */
export interface OciPlatform {
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  readonly 'os.version'?: string;
}

export interface PlatformResult {
  /** As the frontend names it; `linux/amd64` where it names none. */
  readonly id: string;
  readonly platform: OciPlatform;
  readonly ref: Ref | undefined;
  readonly attestations: readonly Attestation[];
}

export const hostPlatform: OciPlatform = { architecture: 'amd64', os: 'linux' };

/** Throws InvalidArgument in BuildKit's words for what doesn't fit together. */
export function platformsOf(result: Result): PlatformResult[] {
  const { ref, refs, attestations } = result;
  const named = namedPlatforms(result);
  if (refs.size > 0 && named === undefined)
    throw new BuildError('InvalidArgument', 'unable to export multiple refs, missing platforms mapping');
  const platforms = named ?? [onlyPlatform(result)];
  if (refs.size === 0 && platforms.length > 1)
    throw new BuildError(
      'InvalidArgument',
      'cannot export multiple platforms without multi-platform enabled',
    );
  return platforms.map(({ id, platform }) => {
    if (refs.size > 0 && !refs.has(id))
      throw new BuildError('InvalidArgument', `failed to find ref for ID ${id.slice(0, 100)}`);
    return {
      id,
      platform,
      ref: refs.size > 0 ? refs.get(id) : ref,
      attestations: attestations?.get(id) ?? [],
    };
  });
}

/** By the platforms' ids. Throws as `platformsOf`. */
export function refsByPlatform(result: Result): [string, Ref | undefined][] {
  return platformsOf(result).map(({ id, ref }) => [id, ref]);
}

/** What the frontend says of a platform, or of all of them: `containerimage.config/linux/arm64`. */
export function metadataOf({ metadata }: Result, key: string, id: string): Buffer | undefined {
  return metadata.get(`${key}/${id}`) ?? metadata.get(key);
}

/** `linux/arm64/v8`. */
export function platformName({ os, architecture, variant }: OciPlatform): string {
  return [os, architecture, variant].filter((part) => part !== undefined && part !== '').join('/');
}

function namedPlatforms({ metadata }: Result): { id: string; platform: OciPlatform }[] | undefined {
  const text = metadata.get('refs.platforms');
  if (text === undefined) return undefined;
  const { Platforms: list } = objectIn(text, 'platforms');
  if (!Array.isArray(list) || list.length === 0)
    throw new BuildError('InvalidArgument', 'invalid empty platforms index for exporter');
  return list.map((each: unknown) => {
    const { ID: id, Platform: platform } = Object(each) as Record<string, unknown>;
    if (typeof id !== 'string' || id === '')
      throw new BuildError('InvalidArgument', 'invalid empty platform key for exporter');
    return { id, platform: platformIn(platform) };
  });
}

function onlyPlatform(result: Result): { id: string; platform: OciPlatform } {
  const text = result.metadata.get('containerimage.config');
  const config = text === undefined ? {} : objectIn(text, 'image config');
  const { os = '', architecture = '' } = config;
  const platform = os === '' && architecture === '' ? hostPlatform : platformIn(config);
  return { id: platformName(platform), platform };
}

/** Normalized: arm64 has no variant v8, arm has v7. */
function platformIn(value: unknown): OciPlatform {
  const { os, architecture, variant, ...rest } = Object(value) as Record<string, unknown>;
  if (typeof os !== 'string' || typeof architecture !== 'string' || os === '' || architecture === '')
    throw new BuildError('InvalidArgument', 'invalid platform value for exporter');
  const own = typeof variant === 'string' ? variant : '';
  const plain =
    architecture === 'arm64' && own === 'v8' ? '' : architecture === 'arm' && own === '' ? 'v7' : own;
  const version = rest['os.version'];
  return {
    architecture,
    os,
    ...(typeof version === 'string' && version !== '' ? { 'os.version': version } : {}),
    ...(plain === '' ? {} : { variant: plain }),
  };
}

function objectIn(text: Buffer, what: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text.toString())) as Record<string, unknown>;
  } catch (error) {
    throw new BuildError('InvalidArgument', `failed to parse ${what}`, { cause: error });
  }
}
