// Which version of the API a request asked for.

import type { IncomingMessage } from 'node:http';
import type { ApiVersion } from './backend';

const contract: ApiVersion = { major: 1, minor: 41 };
const versions = new WeakMap<IncomingMessage, ApiVersion>();

/** Negative if `left` is the older one. */
export function compareVersions(left: ApiVersion, right: ApiVersion): number {
  return left.major - right.major || left.minor - right.minor;
}

/** `1.41` → numbers; what is missing or not a number is 0. */
export function parseVersion(text: string): ApiVersion {
  const [major = '', minor = ''] = text.split('.');
  return { major: Number(major) || 0, minor: Number(minor) || 0 };
}

/** Remembers the version in the request's path. */
export function setRequestVersion(request: IncomingMessage, version: ApiVersion): void {
  versions.set(request, version);
}

/** The version in the path; the contract's where there was none. */
export function requestVersion(request: IncomingMessage): ApiVersion {
  return versions.get(request) ?? contract;
}

/** True if the request asked for 1.`minor` or newer. */
export function isAtLeast(request: IncomingMessage, minor: number): boolean {
  return compareVersions(requestVersion(request), { major: 1, minor }) >= 0;
}
