// `# syntax=` and BUILDKIT_SYNTAX: which frontend a Dockerfile wants. The official one's names mean ours, with no pull.

import { isDaemonError } from '../../errors';
import { parseReference } from '../../registry/reference';
import { BuildError } from '../contract/errors';
import type { Bridge, FrontendRequest, SolveRequest } from '../contract/frontend';
import type { Result } from '../contract/solver';
import type { SourceInfo } from '../messages/ops';
import type { BuildOptions } from './options/build-options';
import { syntaxOf } from './text/directives';
import { buildErrorOf, withLines } from './text/problem';

type OtherFrontend = Extract<SolveRequest['what'], { kind: 'frontend' }>;

const gateway = 'gateway.v0';
const official = ['docker/dockerfile', 'docker/dockerfile-upstream'];
/** The newest syntax that we claim. */
const newest = [1, 20] as const;

/** Undefined where it is ours. Throws BuildError for directives that are none. */
export function otherFrontend(
  options: BuildOptions,
  info: SourceInfo,
  request: FrontendRequest,
): OtherFrontend | undefined {
  // the image that was asked for asks us: it is in charge
  if (request.options.has('cmdline')) return undefined;
  const line = options.syntax === '' ? syntaxOfFile(info) : options.syntax;
  const [image = ''] = line.trim().split(/\s+/, 1);
  if (image === '' || isOurs(image)) return undefined;
  const asked = new Map(request.options).set('source', image).set('cmdline', line);
  return { kind: 'frontend', name: gateway, request: { ...request, options: asked } };
}

/** Rejects with what to do where such images can't be run. */
export async function askOther(
  bridge: Bridge,
  other: OtherFrontend,
  info: SourceInfo,
  signal: AbortSignal,
): Promise<Result> {
  try {
    return await bridge.solve({ what: other }, signal);
  } catch (error) {
    if (!(error instanceof BuildError) || error.message !== `invalid frontend: ${gateway}`) throw error;
    const image = other.request.options.get('source') ?? '';
    const lines = syntaxOf(info.data.toString())?.lines;
    const refused = new BuildError(
      'Unimplemented',
      `frontend image ${image} is not supported: remove "# syntax" and BUILDKIT_SYNTAX, or name docker/dockerfile:1`,
      { cause: error },
    );
    throw lines === undefined ? refused : withLines(refused, lines, info);
  }
}

function syntaxOfFile(info: SourceInfo): string {
  try {
    return syntaxOf(info.data.toString())?.value ?? '';
  } catch (error) {
    throw buildErrorOf(error, info);
  }
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
