// `# syntax=` and BUILDKIT_SYNTAX: which frontend a Dockerfile wants. The official one's names mean ours, with no pull.

import { isDaemonError } from '../../errors';
import { parseReference } from '../../registry/reference';
import type { FrontendRequest, SolveRequest } from '../contract/frontend';
import type { SourceInfo } from '../messages/ops';
import type { BuildOptions } from './options/build-options';
import { syntaxOf } from './text/directives';

type OtherFrontend = Extract<SolveRequest['what'], { kind: 'frontend' }>;

const official = ['docker/dockerfile', 'docker/dockerfile-upstream'];
/** The newest syntax that we claim. */
const newest = [1, 20] as const;

/** Undefined where it is ours. */
export function syntaxFrontend(
  options: BuildOptions,
  text: string,
  _info: SourceInfo,
  request: FrontendRequest,
): OtherFrontend | undefined {
  // the image that was asked for asks us: it is in charge
  if (request.options.has('cmdline')) return undefined;
  const line = options.syntax === '' ? (syntaxOf(text)?.value ?? '') : options.syntax;
  const [image = ''] = line.trim().split(/\s+/, 1);
  if (image === '' || isOurs(image)) return undefined;
  const asked = new Map(request.options).set('source', image).set('cmdline', line);
  return { kind: 'frontend', name: 'gateway.v0', request: { ...request, options: asked } };
}

function isOurs(image: string): boolean {
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
