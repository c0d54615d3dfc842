// An image's platform, and the one that a container's create asks for.

import { DaemonError } from '../../errors';
import { isNative, type Platform } from '../../registry/platform';
import type { Image } from '../../storage/contract/image';

/** `linux/arm64/v8`. */
export function platformOf({ config: { os, architecture, variant = '' } }: Image): string {
  return [os, architecture, ...(variant === '' ? [] : [variant])].join('/');
}

/** Throws NotFound in Docker's words when the image is of another one. */
export function requirePlatform(image: Image, ref: string, wanted: Platform | undefined): void {
  if (wanted === undefined) return;
  const { os, architecture, variant } = image.config;
  const fits =
    wanted.os === os &&
    wanted.architecture === architecture &&
    (wanted.variant === undefined || variant === undefined || wanted.variant === variant);
  if (fits) return;
  throw new DaemonError(
    'NotFound',
    `image with reference ${ref} was found but does not match the specified platform: ` +
      `wanted ${wanted.os}/${wanted.architecture}, actual: ${os}/${architecture}`,
  );
}

/** dockerd's, of an image of another processor that nobody has asked for. */
export function otherPlatformWarnings(image: Image, wanted: Platform | undefined): string[] {
  if (wanted !== undefined || isNative(image.config.architecture)) return [];
  return [
    `The requested image's platform (${platformOf(image)}) does not match the detected host platform (linux/amd64) and no ` +
      'specific platform was requested',
  ];
}
