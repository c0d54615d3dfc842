// What several image operations have in their requests: a name in the path, credentials in a header.

import type { Request } from 'express';
import { DaemonError } from '../../errors';
import { decodeBody, readBody } from '../http/body';
import { authConfig } from '../../docker/request-schemas';
import type { AuthConfig } from '../../docker/types';

/** The `*name` of the path: a reference with all its slashes. */
export function imageName(request: Request): string {
  const name: unknown = request.params['name'];
  return Array.isArray(name) ? name.join('/') : String(name);
}

/** The body of X-Registry-Auth for pull and search; what can't be read counts as no credentials, as with dockerd. */
export function optionalAuth(request: Request): { auth?: AuthConfig } {
  const header = authHeader(request);
  if (header === '') return {};
  try {
    return { auth: decodeAuth(header) };
  } catch {
    return {};
  }
}

/** Credentials for push: the header, or the old form in the body; one of them must be there. */
export async function requiredAuth(request: Request): Promise<AuthConfig> {
  const header = authHeader(request);
  if (header !== '') return optionalAuth(request).auth ?? {};
  try {
    return decodeBody(await readBody(request), authConfig, 'InvalidParameter', 'EOF') as AuthConfig;
  } catch (error) {
    if (!(error instanceof DaemonError)) throw error;
    throw new DaemonError(
      'InvalidParameter',
      `Bad parameters and missing X-Registry-Auth: ${error.message}`,
      {
        cause: error,
      },
    );
  }
}

/** Credentials by server address, for build: X-Registry-Config. */
export function registryConfig(request: Request): Record<string, AuthConfig> {
  const header = request.headers['x-registry-config'];
  if (typeof header !== 'string' || header === '') return {};
  try {
    const value: unknown = JSON.parse(fromBase64(header));
    if (typeof value !== 'object' || value === null) return {};
    return Object.fromEntries(
      Object.entries(value).map(([address, auth]) => [
        address,
        decodeBody(Buffer.from(JSON.stringify(auth)), authConfig, 'InvalidParameter', 'EOF') as AuthConfig,
      ]),
    );
  } catch {
    return {};
  }
}

function authHeader(request: Request): string {
  const header = request.headers['x-registry-auth'];
  return typeof header === 'string' ? header : '';
}

function decodeAuth(header: string): AuthConfig {
  // the schema decides the type
  return decodeBody(Buffer.from(fromBase64(header)), authConfig, 'InvalidParameter', 'EOF') as AuthConfig;
}

/** Either alphabet, padded or not. */
function fromBase64(text: string): string {
  return Buffer.from(text, 'base64url').toString();
}
