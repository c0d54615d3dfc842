// The credentials that come with a build, by their server's address.

import type { AuthConfig } from '../docker/types';
import { parseReference, serverHost } from '../registry/reference';

/** Those for an image's registry. Docker Hub's address is an old URL, and old clients have those of others too. */
export function loginFor(auths: Readonly<Record<string, AuthConfig>>, image: string): AuthConfig | undefined {
  const { domain } = parseReference(image);
  if (domain === 'docker.io') return auths['https://index.docker.io/v1/'];
  const old = Object.keys(auths).find((key) => serverHost(key) === domain);
  return auths[domain] ?? (old === undefined ? undefined : auths[old]);
}
