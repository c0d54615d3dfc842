// The filters of `docker images` and of `docker image prune`.

import type { Filters } from '../../api/v1.41/backend';
import type { Image } from '../../storage/contract/image';
import type { ImageStore } from '../../storage/contract/stores';
import { booleanFilter, globMatcher, matchLabels, validateFilters } from './filters';
import { pruneFilter } from './prune-filter';

const acceptedFilters = ['before', 'dangling', 'label', 'reference', 'since'];

export interface ImageFilter {
  /** True: only images without a name; false: only those with one; undefined: both. */
  dangling: boolean | undefined;
  /** Whether the image itself is asked for. */
  matches(image: Image): boolean;
  /** Whether this name of it is asked for; undefined: every name is. */
  matchesReference: ((reference: string) => boolean) | undefined;
}

/** Milliseconds since the epoch; 0 when the image doesn't say. */
export function imageCreatedMs(image: Image): number {
  const time = Date.parse(image.config.created ?? '');
  return Number.isNaN(time) ? 0 : time;
}

/** Throws Docker's errors for filters it refuses, and NotFound for `before` and `since`. */
export function imageFilter(filters: Filters, images: Pick<ImageStore, 'get'>): ImageFilter {
  validateFilters(filters, acceptedFilters);
  const dangling = booleanFilter(filters, 'dangling');
  const created = (name: string): number[] =>
    (filters.get(name) ?? []).map((ref) => imageCreatedMs(images.get(ref)));
  const before = created('before');
  const since = created('since');
  const labels = filters.get('label');
  const patterns = filters.get('reference');
  return {
    dangling,
    matches: (image) => {
      const time = imageCreatedMs(image);
      if (before.some((limit) => time >= limit) || since.some((limit) => time <= limit)) return false;
      return matchLabels(labels, image.config.config?.Labels);
    },
    matchesReference: patterns === undefined ? undefined : referenceMatcher(patterns),
  };
}

/** Compares the whole reference, then its repository alone, with each pattern. */
function referenceMatcher(patterns: readonly string[]): (reference: string) => boolean {
  const matchers = patterns.map(globMatcher);
  return (reference) => {
    const repository = repositoryOf(reference);
    return matchers.some((matches) => matches(reference) || matches(repository));
  };
}

/** `127.0.0.1:5000/debian` of `127.0.0.1:5000/debian:12` or of `…/debian@sha256:…`. */
export function repositoryOf(reference: string): string {
  const [name = ''] = reference.split('@', 1);
  const colon = name.lastIndexOf(':');
  return colon > name.lastIndexOf('/') ? name.slice(0, colon) : name;
}

/** Which images prune may delete; `all`: not only dangling ones. */
export function imagePruneFilter(filters: Filters): { all: boolean; matches: (image: Image) => boolean } {
  const matches = pruneFilter('images', filters);
  return {
    all: isFalse(filters),
    matches: (image) => matches(image.config.config?.Labels ?? {}, imageCreatedMs(image)),
  };
}

/** Of several values `false` counts, and no value counts as false: as dockerd asks for it first here. */
function isFalse(filters: Filters): boolean {
  const values = filters.get('dangling') ?? ['true'];
  if (values.length === 0 || values.includes('false') || values.includes('0')) return true;
  return booleanFilter(filters, 'dangling', { digits: true }) === false;
}
