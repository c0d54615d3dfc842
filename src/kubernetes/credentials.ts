// imagePullSecrets: registries' credentials from Secrets of the type kubernetes.io/dockerconfigjson.

import type { AuthConfig } from '../docker/types';
import type { DataObjects } from './data-objects';
import { ManifestError } from './manifest-error';

const key = '.dockerconfigjson';

/** Throws ManifestError. */
export function pullCredentials(
  secrets: readonly { name: string }[],
  data: DataObjects,
  path: string,
): AuthConfig[] {
  return secrets.flatMap(({ name }, index) => {
    const place = `${path}.imagePullSecrets[${index}]`;
    const content = data.value('Secret', { name, key }, place);
    return content === undefined ? [] : parse(content.toString(), place);
  });
}

function parse(text: string, path: string): AuthConfig[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ManifestError(`${path}: its ${key} is no JSON`);
  }
  const auths = isObject(value) ? value['auths'] : undefined;
  if (!isObject(auths)) throw new ManifestError(`${path}: its ${key} has no "auths"`);
  return Object.entries(auths).map(([serveraddress, entry]) => {
    const { username, password, auth } = isObject(entry) ? entry : {};
    if (typeof username === 'string' && typeof password === 'string') {
      return { serveraddress, username, password };
    }
    const decoded = typeof auth === 'string' ? Buffer.from(auth, 'base64').toString() : '';
    const colon = decoded.indexOf(':');
    if (colon < 0)
      throw new ManifestError(`${path}: has no credentials for ${JSON.stringify(serveraddress)}`);
    return { serveraddress, username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
