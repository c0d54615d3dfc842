// What a registry's manifests say (OCI image-spec manifest.md and image-index.md, Docker's schema 2), checked.

import { DaemonError } from '../../errors';
import { manifestTypes, type FetchedManifest } from '../../registry/registry-client';
import type { Platform } from '../../registry/platform';

export interface Descriptor {
  digest: string;
  size: number;
  mediaType?: string;
  platform?: { os?: string; architecture?: string; variant?: string };
}

export type Manifest =
  { kind: 'image'; config: Descriptor; layers: Descriptor[] } | { kind: 'index'; manifests: Descriptor[] };

/** Throws Internal for what is no manifest, or one of schema 1. */
export function parseManifest(fetched: FetchedManifest): Manifest {
  let value: Record<string, unknown>;
  try {
    value = Object(JSON.parse(fetched.body.toString())) as Record<string, unknown>;
  } catch (error) {
    throw new DaemonError('Internal', 'the registry sent a manifest that is not JSON', { cause: error });
  }
  const { mediaType, schemaVersion, manifests, config, layers } = value;
  const type = typeof mediaType === 'string' ? mediaType : fetched.mediaType;
  if (schemaVersion === 1 || type === manifestTypes.schema1) {
    throw new DaemonError(
      'Internal',
      'image manifest version 2, schema 1 is not supported: push the image again with a current Docker',
    );
  }
  if (type === manifestTypes.list || type === manifestTypes.ociIndex || Array.isArray(manifests)) {
    return { kind: 'index', manifests: list(manifests).map(descriptor) };
  }
  return { kind: 'image', config: descriptor(config), layers: list(layers).map(descriptor) };
}

/** The manifest for a platform; without one, linux/amd64. Throws NotFound in Docker's words. */
export function chooseManifest(manifests: readonly Descriptor[], platform: Platform | undefined): Descriptor {
  const { os, architecture, variant } = platform ?? { os: 'linux', architecture: 'amd64' };
  const fitting = manifests.filter(
    (each) => each.platform?.os === os && each.platform.architecture === architecture,
  );
  // Without a variant the plain one is meant, and any is better than none.
  const chosen =
    fitting.find((each) => (each.platform?.variant ?? '') === (variant ?? '')) ??
    (variant === undefined ? fitting[0] : undefined);
  if (chosen !== undefined) return chosen;
  const name = [os, architecture, variant].filter((part) => part !== undefined).join('/');
  throw noMatchingManifest(name);
}

/** In Docker's words: the index has no image for `platform` (`linux/amd64`). */
export function noMatchingManifest(platform: string): DaemonError {
  return new DaemonError('NotFound', `no matching manifest for ${platform} in the manifest list entries`);
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function descriptor(value: unknown): Descriptor {
  const { digest, size, platform, mediaType } = Object(value) as Record<string, unknown>;
  if (typeof digest !== 'string' || !/^sha256:[a-f0-9]{64}$/.test(digest)) {
    throw new DaemonError('Internal', 'invalid manifest: a digest is missing or malformed');
  }
  const isSize = typeof size === 'number' && Number.isSafeInteger(size) && size >= 0;
  if (!isSize) throw new DaemonError('Internal', `invalid manifest: ${digest} has no size`);
  const type = typeof mediaType === 'string' ? { mediaType } : {};
  if (platform === undefined || platform === null) return { digest, size, ...type };
  const { os, architecture, variant } = Object(platform) as Record<string, unknown>;
  return {
    digest,
    size,
    ...type,
    platform: {
      ...(typeof os === 'string' ? { os } : {}),
      ...(typeof architecture === 'string' ? { architecture } : {}),
      ...(typeof variant === 'string' ? { variant } : {}),
    },
  };
}
