// The reference that a name and a tag make, as dockerd takes them.

import { DaemonError, errorMessage } from '../../errors';
import { familiarName, parseReference } from '../../registry/reference';

/** dockerd answers 500 to a name or a tag that is none. */
export function tagTarget({ repo, tag }: { repo: string; tag: string }): string {
  let name: string;
  try {
    name = familiarName(parseReference(repo));
  } catch (error) {
    throw new DaemonError('Internal', errorMessage(error), { cause: error });
  }
  if (tag !== '' && !isTag(tag)) throw new DaemonError('Internal', 'invalid tag format');
  if (name === 'sha256') {
    throw new DaemonError(
      'InvalidParameter',
      'refusing to create an ambiguous tag using digest algorithm as name',
    );
  }
  return withTag(repo, tag);
}

/** The reference that a name and a tag, or a digest in the tag's place, make. */
export function withTag(name: string, tag: string): string {
  if (name === '' || tag === '') return name;
  if (/^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}$/.test(tag)) return `${name}@${tag}`;
  if (!isTag(tag)) throw new DaemonError('InvalidParameter', 'invalid tag format');
  // As in dockerd the tag counts that is given apart.
  const colon = name.lastIndexOf(':');
  return `${colon > name.lastIndexOf('/') && !name.includes('@') ? name.slice(0, colon) : name}:${tag}`;
}

export function isTag(text: string): boolean {
  return /^\w[\w.-]{0,127}$/.test(text);
}

export function hasTagOrDigest(reference: string): boolean {
  return reference.includes('@') || reference.lastIndexOf(':') > reference.lastIndexOf('/');
}

/** The tag that is to be pushed, or the name alone. dockerd answers 500 to a name or a tag that is none. */
export function pushTarget(ref: string, tag: string): string {
  try {
    parseReference(ref);
  } catch (error) {
    throw new DaemonError('Internal', errorMessage(error), { cause: error });
  }
  if (tag === '') return ref;
  if (!isTag(tag)) throw new DaemonError('Internal', 'invalid tag format');
  return `${familiarName(parseReference(ref))}:${tag}`;
}
