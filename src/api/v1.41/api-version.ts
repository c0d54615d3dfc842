// Versions of the API: which are served, and which one a request asked for.

import type { IncomingMessage } from 'node:http';
import type { ApiVersion } from './backend';

/** What `Api-Version` says. 1.41 is the contract; newer clients refuse a daemon below 1.44, so that is advertised. */
export const advertisedApiVersion = '1.44';
export const minimumApiVersion = '1.24';
/** Versions up to here are accepted in a path, for tools that have one built in. */
export const maximumApiVersion = '1.47';

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
