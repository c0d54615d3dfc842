// Platforms as people write them, `os/architecture[/variant]`, and as LLB has them.

import { isDaemonError } from '../../../errors';
import { parsePlatform } from '../../../registry/platform';
import type { Platform } from '../../contract/llb';
import { DockerfileProblem } from '../text/problem';

/** Throws DockerfileProblem in Docker's words. */
export function readPlatform(text: string): Platform {
  try {
    const parsed = parsePlatform(text);
    if (parsed === undefined) throw new DockerfileProblem('empty platform');
    const { os, architecture, variant = '' } = parsed;
    return platformOf(os, architecture, plainVariant(architecture, variant));
  } catch (error) {
    if (!isDaemonError(error)) throw error;
    throw new DockerfileProblem(error.message, undefined, { cause: error });
  }
}

export function platformOf(os: string, architecture: string, variant = ''): Platform {
  return { OS: os, Architecture: architecture, Variant: variant, OSVersion: '', OSFeatures: [] };
}

/** The variant that an architecture has anyway is none. */
function plainVariant(architecture: string, variant: string): string {
  if (architecture === 'arm64' && ['v8', '8'].includes(variant)) return '';
  if (architecture === 'amd64' && variant === 'v1') return '';
  if (architecture === 'arm') return variant === '' ? 'v7' : variant.replace(/^(\d)$/, 'v$1');
  return variant;
}

/** `linux/arm64/v8`. */
export function platformText({ OS, Architecture, Variant }: Platform): string {
  return [OS, Architecture, Variant].filter((part) => part !== '').join('/');
}

export function isSamePlatform(a: Platform, b: Platform): boolean {
  return platformText(a) === platformText(b);
}
