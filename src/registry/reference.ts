// Names of images: Docker's reference grammar (github.com/distribution/reference describes it), normalised and familiar.

import { invalid } from '../errors';

export interface Reference {
  /** `docker.io`, `127.0.0.1:5000`. */
  domain: string;
  /** `library/busybox`. */
  path: string;
  tag?: string;
  digest?: string;
}

const defaultDomain = 'docker.io';
const legacyDomain = 'index.docker.io';
const officialPrefix = 'library/';

const domainComponent = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const ipv6 = '\\[(?:[a-fA-F0-9:]+)\\]';
const domainPattern = `(?:${domainComponent}(?:\\.${domainComponent})*|${ipv6})(?::[0-9]+)?`;
const pathComponent = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const pathPattern = `${pathComponent}(?:/${pathComponent})*`;
const tagPattern = '[\\w][\\w.-]{0,127}';
const digestPattern = '[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}';
const referenceExpression = new RegExp(
  `^((?:${domainPattern}/)?${pathPattern})(?::(${tagPattern}))?(?:@(${digestPattern}))?$`,
);
const maxNameLength = 255;

/** Parses what a user types. Throws InvalidParameter in Docker's words. */
export function parseReference(text: string): Reference {
  if (/^[a-f0-9]{64}$/.test(text)) {
    throw invalid(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  }
  const { domain, remainder } = splitDomain(text);
  const [name = ''] = remainder.split(':', 1);
  if (name !== name.toLowerCase()) {
    throw invalid('invalid reference format: repository name must be lowercase');
  }
  const match = referenceExpression.exec(`${domain}/${remainder}`);
  if (match === null) throw invalid('invalid reference format');
  const [, full = '', tag, digest] = match;
  if (full.length > maxNameLength) {
    throw invalid(`repository name must not be more than ${maxNameLength} characters`);
  }
  if (digest !== undefined) checkDigest(digest);
  return {
    domain,
    path: full.slice(domain.length + 1),
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** The first component is a host only if it looks like one; else it is part of a name on Docker Hub. */
function splitDomain(text: string): { domain: string; remainder: string } {
  const slash = text.indexOf('/');
  const first = slash < 0 ? '' : text.slice(0, slash);
  const isDomain = slash >= 0 && (/[.:]/.test(first) || first === 'localhost');
  let domain = isDomain ? first : defaultDomain;
  let remainder = isDomain ? text.slice(slash + 1) : text;
  if (domain === legacyDomain) domain = defaultDomain;
  if (domain === defaultDomain && !remainder.includes('/')) remainder = officialPrefix + remainder;
  return { domain, remainder };
}

function checkDigest(digest: string): void {
  const [algorithm = '', hex = ''] = digest.split(':');
  const lengths: Record<string, number> = { sha256: 64, sha384: 96, sha512: 128 };
  const length = lengths[algorithm];
  if (length === undefined) throw invalid('unsupported digest algorithm');
  if (hex.length !== length) throw invalid('invalid checksum digest length');
  if (hex !== hex.toLowerCase()) throw invalid('invalid checksum digest format');
}

/** Name without tag and digest, as people write it: `busybox`, `127.0.0.1:5000/debian`. */
export function familiarName(reference: Reference): string {
  if (reference.domain !== defaultDomain) return `${reference.domain}/${reference.path}`;
  return reference.path.startsWith(officialPrefix) &&
    !reference.path.slice(officialPrefix.length).includes('/')
    ? reference.path.slice(officialPrefix.length)
    : reference.path;
}

/** `busybox:latest`, or `busybox@sha256:…` for one that names a digest. A name alone means `latest`. */
export function familiarReference(reference: Reference): string {
  const name = familiarName(reference);
  if (reference.digest !== undefined) return `${name}@${reference.digest}`;
  return `${name}:${reference.tag ?? 'latest'}`;
}

/** As it was written, in familiar form: `busybox`, `busybox:1`, `busybox:1@sha256:…`. */
export function familiarString(reference: Reference): string {
  return familiarName(reference) + suffix(reference);
}

/** With the default domain and path: `docker.io/library/busybox:1`. Docker sorts names by it. */
export function fullString(reference: Reference): string {
  return `${reference.domain}/${reference.path}${suffix(reference)}`;
}

function suffix({ tag, digest }: Reference): string {
  return (tag === undefined ? '' : `:${tag}`) + (digest === undefined ? '' : `@${digest}`);
}

/** Of a registry's address in a Docker configuration, which may be a URL. */
export function serverHost(address: string): string {
  const [host = ''] = address.replace(/^https?:\/\//, '').split('/');
  return host;
}
