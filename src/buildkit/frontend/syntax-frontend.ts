// `# syntax=` and BUILDKIT_SYNTAX: which frontend a Dockerfile wants. The official one's names mean ours, with no pull.

import type { FrontendRequest, SolveRequest } from '../contract/frontend';
import type { SourceInfo } from '../messages/ops';
import type { BuildOptions } from './options/build-options';
import { syntaxOf } from './text/directives';
import { isOurFrontend } from './options/our-names';
import { buildErrorOf } from './text/problem';

type OtherFrontend = Extract<SolveRequest['what'], { kind: 'frontend' }>;

const gateway = 'gateway.v0';

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
  if (image === '' || isOurFrontend(image)) return undefined;
  const asked = new Map(request.options).set('source', image).set('cmdline', line);
  return { kind: 'frontend', name: gateway, request: { ...request, options: asked } };
}

function syntaxOfFile(info: SourceInfo): string {
  try {
    return syntaxOf(info.data.toString())?.value ?? '';
  } catch (error) {
    throw buildErrorOf(error, info);
  }
}
