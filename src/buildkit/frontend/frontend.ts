// `dockerfile.v0`: graphs and configurations of Dockerfiles. It sees the daemon through its bridge alone, and keeps nothing.

import { BuildError } from '../contract/errors';
import type { Bridge, Frontend, FrontendRequest } from '../contract/frontend';
import type { Definition, Platform } from '../contract/llb';
import type { Ref, Result } from '../contract/solver';
import type { SourceInfo } from '../messages/ops';
import { answerRequest, describesRequests, isKnownRequest } from './answers/answers';
import { BuildInputs } from './contexts/build-inputs';
import { convertFor, openBuild, type Build } from './conversion/build';
import { ruleUrl, rules } from './lint/rules';
import { createdAt, readOptions } from './options/build-options';
import { platformText } from './options/platforms';
import { otherFrontend } from './syntax-frontend';
import { buildErrorOf } from './text/problem';
import { rangesOf } from './text/statement';

export function createDockerfileFrontend(): Frontend {
  return { name: 'dockerfile.v0', solve };
}

async function solve(bridge: Bridge, request: FrontendRequest, signal: AbortSignal): Promise<Result> {
  const options = readOptions(request);
  if (options.requestId !== '' && !isKnownRequest(options.requestId)) {
    throw new BuildError('Unimplemented', `unsupported request ${options.requestId}`, {
      details: [{ kind: 'subrequest', name: options.requestId }],
    });
  }
  if (describesRequests(options.requestId)) return answerRequest(options.requestId, undefined);
  const inputs = new BuildInputs(bridge, options, request, signal);
  const { filename, bytes } = await inputs.dockerfile();
  const info: SourceInfo = { filename, data: bytes, definition: Buffer.alloc(0), language: 'Dockerfile' };
  if (bytes.length === 0) throw new BuildError('Unknown', 'the Dockerfile cannot be empty');
  const other = otherFrontend(options, info, request);
  if (other !== undefined) return bridge.solve({ what: other }, signal);
  const build = openBuild(bridge, request, { options, inputs, info, signal });
  if (options.requestId !== '') return answerRequest(options.requestId, build);
  return convert(build);
}

async function convert(build: Build): Promise<Result> {
  const { bridge, options, info, native, signal } = build;
  const platforms = options.platforms ?? [native];
  const isMultiPlatform = options.isMultiPlatform ?? platforms.length > 1;
  if (!isMultiPlatform && platforms.length > 1)
    throw new BuildError('InvalidArgument', 'only one target platform is allowed');
  const created = createdAt(options.epochSeconds);
  const refs = new Map<string, Ref | undefined>();
  const metadata = new Map<string, Buffer>();
  const scanned = new Map<string, ReadonlyMap<string, Definition>>();
  const told: object[] = [];
  for (const platform of platforms) {
    const converted = await convertFor(build, platform, { isMultiPlatform });
    const { output, image, baseConfig, writer } = converted;
    const what = { kind: 'definition' as const, definition: writer.definition(output, info) };
    const { ref } = await bridge.solve({ what, cacheImports: options.cacheImports }, signal);
    const id = platformText(platform);
    refs.set(id, ref);
    const extras = [...converted.scanned].map(
      ([name, made]) => [name, writer.definition(made, info)] as const,
    );
    if (extras.length > 0) scanned.set(id, new Map(extras));
    const suffix = isMultiPlatform ? `/${id}` : '';
    metadata.set(`containerimage.config${suffix}`, image.toJson(created));
    if (baseConfig !== undefined) metadata.set(`containerimage.base.config${suffix}`, baseConfig);
    told.push({ ID: id, Platform: platformJson(platform) });
  }
  finishLint(build);
  metadata.set('refs.platforms', Buffer.from(JSON.stringify({ Platforms: told })));
  if (isMultiPlatform) return { ref: undefined, refs, metadata, scanned };
  const [ref] = refs.values();
  return { ref, refs: new Map(), metadata, scanned };
}

/** Warnings go to the client; where they are to be errors the build ends. */
function finishLint({ linter, bridge, info }: Build): void {
  for (const { rule, message, lines } of linter.warnings()) {
    bridge.warn({
      vertex: '',
      level: 1,
      short: `${rule}: ${message}${lines === undefined ? '' : ` (line ${lines.first})`}`,
      detail: [rules[rule]],
      url: ruleUrl(rule),
      info,
      ranges: lines === undefined ? [] : rangesOf(lines),
    });
  }
  try {
    linter.requireNone();
  } catch (error) {
    throw buildErrorOf(error, info);
  }
}

/** As OCI writes platforms. */
function platformJson({ OS, Architecture, Variant, OSVersion }: Platform): Record<string, string> {
  return {
    architecture: Architecture,
    os: OS,
    ...(OSVersion === '' ? {} : { 'os.version': OSVersion }),
    ...(Variant === '' ? {} : { variant: Variant }),
  };
}
