// A Dockerfile that was read, with all that its build is given, and its conversion for one platform.

import { BuildError } from '../../contract/errors';
import type { Bridge, FrontendRequest } from '../../contract/frontend';
import type { Platform } from '../../contract/llb';
import type { SourceInfo } from '../../messages/ops';
import type { BuildInputs } from '../contexts/build-inputs';
import { Externals } from '../contexts/externals';
import type { BuildOptions } from '../options/build-options';
import { GraphWriter } from '../graph/graph-writer';
import { Linter, readLintSettings } from '../lint/linter';
import { lintStructure } from '../lint/structure';
import { Program } from '../stages/program';
import type { Dockerfile } from '../syntax/instruction';
import { parseDockerfile } from '../syntax/read-dockerfile';
import { buildErrorOf } from '../text/problem';
import { Conversion, type Converted } from './conversion';

export interface Build {
  readonly bridge: Bridge;
  readonly options: BuildOptions;
  readonly dockerfile: Dockerfile;
  readonly info: SourceInfo;
  readonly inputs: BuildInputs;
  readonly externals: Externals;
  readonly linter: Linter;
  readonly native: Platform;
  readonly signal: AbortSignal;
}

/** Reads the Dockerfile. Throws BuildError. */
export function openBuild(
  bridge: Bridge,
  request: FrontendRequest,
  { options, inputs, info, signal }: Pick<Build, 'options' | 'inputs' | 'info' | 'signal'>,
): Build {
  const [native] = bridge.platforms;
  if (native === undefined) throw new BuildError('Internal', 'no platform can be built');
  try {
    const dockerfile = parseDockerfile(info.data.toString());
    const linter = new Linter(readLintSettings(options.check ?? dockerfile.check?.value ?? ''));
    lintStructure(dockerfile, linter);
    const externals = new Externals(bridge, options, request, signal);
    return { bridge, options, dockerfile, info, inputs, externals, linter, native, signal };
  } catch (error) {
    throw buildErrorOf(error, info);
  }
}

/** The program for one platform. Throws BuildError. */
export function programOf(build: Build, target: Platform): Program {
  const { dockerfile, options, externals, linter, native, info } = build;
  try {
    return new Program(dockerfile, {
      options,
      linter,
      platforms: { build: native, target },
      hasContext: (name) => externals.has(name),
    });
  } catch (error) {
    throw buildErrorOf(error, info);
  }
}

/** With `allStages` also those that the target doesn't need: for their checks. */
export async function convertFor(
  build: Build,
  platform: Platform,
  { allStages = false, isMultiPlatform = false } = {},
): Promise<Converted & { writer: GraphWriter }> {
  const { inputs, externals, info, bridge, signal } = build;
  const program = programOf(build, platform);
  const ignored = await inputs.ignored(info.filename);
  const writer = new GraphWriter();
  const conversion = new Conversion(program, {
    externals,
    writer,
    info,
    capabilities: bridge.capabilities,
    context: (paths) => inputs.context(writer, paths, info.filename),
    ignored,
    isMultiPlatform,
    onlyChecks: allStages,
    signal,
  });
  const roots = allStages ? program.heads.map((_head, index) => index) : [];
  return { ...(await conversion.run({ roots })), writer };
}
