// Which names of frontend images mean our own frontend: no image is pulled for those.

import { isDaemonError } from '../../../errors';
import { parseReference } from '../../../registry/reference';

const official = ['docker/dockerfile', 'docker/dockerfile-upstream'];
/** The newest syntax that we claim. */
const newest = [1, 20] as const;

/** Not by digest: who gives one wants that program and no other. */
export function isOurFrontend(image: string): boolean {
  try {
    const { domain, path, tag = 'latest', digest } = parseReference(image);
    if (domain !== 'docker.io' || digest !== undefined || !official.includes(path)) return false;
    if (tag === 'latest' || tag === 'master') return true;
    const [, major, minor] = /^(\d{1,3})(?:\.(\d{1,3})(?:\.\d{1,3})?)?$/.exec(tag) ?? [];
    if (major === undefined) return false;
    return Number(major) === newest[0] && Number(minor ?? 0) <= newest[1];
  } catch (error) {
    if (isDaemonError(error)) return false;
    throw error;
  }
}
