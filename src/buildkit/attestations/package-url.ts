// Package URLs of images (package-url's PURL-TYPES, "docker" and "oci").

import { familiarName, parseReference, type Reference } from '../../registry/reference';

/** `pkg:docker/busybox@latest?platform=linux%2Famd64`. The name as it is where it can't be parsed: it was checked before. */
export function imageUrl(
  name: string,
  platform: { os: string; architecture: string; variant?: string } | undefined,
  type: 'docker' | 'oci' = 'docker',
): string {
  let reference: Reference;
  try {
    reference = parseReference(name);
  } catch {
    return name;
  }
  const { digest, tag = digest === undefined ? 'latest' : '' } = reference;
  const qualifiers: [string, string][] = [];
  if (digest !== undefined) qualifiers.push(['digest', digest]);
  if (platform !== undefined) {
    const { os, architecture, variant = '' } = platform;
    qualifiers.push(['platform', [os, architecture, ...(variant === '' ? [] : [variant])].join('/')]);
  }
  const path = familiarName(reference).split('/').map(escaped).join('/');
  const query = qualifiers.map(
    ([key, value]) => `${key}=${encodeURIComponent(value).replaceAll('%3A', ':')}`,
  );
  return `pkg:${type}/${path}${tag === '' ? '' : `@${escaped(tag)}`}${query.length === 0 ? '' : `?${query.join('&')}`}`;
}

/** Colons stay as they are. */
function escaped(text: string): string {
  return encodeURIComponent(text).replaceAll('%3A', ':');
}
