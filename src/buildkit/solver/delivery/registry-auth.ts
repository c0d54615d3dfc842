// Who a build's clients are to a registry.

import type { RegistryAuth } from '../../../registry/auth';
import { parseReference } from '../../../registry/reference';
import type { RegistryAccess } from '../../contract/host';

/** The client's credentials for the registry of a name. */
export async function authFor(
  name: string,
  access: RegistryAccess,
  signal: AbortSignal,
): Promise<RegistryAuth> {
  const { domain } = parseReference(name);
  const found = await access.credentials(domain === 'docker.io' ? 'registry-1.docker.io' : domain, signal);
  if (found === undefined) return {};
  const { username, secret } = found;
  return username === '' ? { identitytoken: secret } : { username, password: secret };
}
