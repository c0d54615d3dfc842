// A daemon as the frontend sees it: files of the client by name, images by name, and what it was asked.

import { BuildError } from '../../../../src/buildkit/contract/errors';
import type { Bridge, FrontendRequest, SolveRequest } from '../../../../src/buildkit/contract/frontend';
import type { Definition, Op, Platform } from '../../../../src/buildkit/contract/llb';
import type { BuildWarning } from '../../../../src/buildkit/contract/progress';
import { emptyResult, type Ref, type Result } from '../../../../src/buildkit/contract/solver';
import { createDockerfileFrontend } from '../../../../src/buildkit/frontend/frontend';
import { loadGraph, vertexesOf } from '../../../../src/buildkit/llb/graph';

export const native: Platform = {
  OS: 'linux',
  Architecture: 'amd64',
  Variant: '',
  OSVersion: '',
  OSFeatures: [],
};
const never = new AbortController().signal;

/** A vertex by what it is: its name, its operation, the names of its inputs. */
export interface Shown {
  readonly name: string;
  readonly op: NonNullable<Op['op']>;
  readonly platform: string;
  readonly inputs: readonly string[];
  readonly ignoresCache: boolean;
}

export class FakeBridge implements Bridge {
  readonly capabilities = new Set(['mergeop', 'file.copy.modestring']);
  readonly platforms = [native];
  readonly sessionId = 'session-1';
  /** By the source they are in: `local://dockerfile`. */
  readonly files = new Map<string, Map<string, string | Buffer>>();
  readonly images = new Map<string, object>();
  readonly warnings: BuildWarning[] = [];
  readonly definitions: Definition[] = [];
  readonly asked: string[] = [];
  readonly frontends: { name: string; request: FrontendRequest }[] = [];

  constructor(dockerfile: string, context: Record<string, string> = {}) {
    this.files.set('local://dockerfile', new Map([['Dockerfile', dockerfile]]));
    this.files.set('local://context', new Map(Object.entries(context)));
    this.images.set('docker.io/library/base:latest', {
      os: 'linux',
      config: { Env: ['PATH=/bin'], Cmd: ['/bin/sh'] },
      rootfs: { type: 'layers', diff_ids: ['sha256:1'] },
      history: [{ created_by: 'base' }],
    });
  }

  solve({ what }: SolveRequest): Promise<Result> {
    if (what.kind === 'frontend') {
      this.frontends.push(what);
      return Promise.resolve(emptyResult);
    }
    this.definitions.push(what.definition);
    const edge = loadGraph(what.definition);
    if (edge === undefined) return Promise.resolve(emptyResult);
    const ref = { id: String(this.definitions.length), definition: what.definition } as Ref;
    return Promise.resolve({ ...emptyResult, ref });
  }

  resolveImageConfig(
    ref: string,
    { platform, logName }: Parameters<Bridge['resolveImageConfig']>[1],
  ): ReturnType<Bridge['resolveImageConfig']> {
    this.asked.push(logName);
    const config = this.images.get(ref);
    if (config === undefined) return Promise.reject(new BuildError('NotFound', `${ref}: not found`));
    const { Architecture = 'amd64' } = platform ?? {};
    const bytes = Buffer.from(JSON.stringify({ architecture: Architecture, ...config }));
    return Promise.resolve({ ref, digest: 'sha256:0', config: bytes });
  }

  resolveSource(): ReturnType<Bridge['resolveSource']> {
    return Promise.reject(new BuildError('Unimplemented', 'not here'));
  }

  readFile(ref: Ref, path: string): Promise<Buffer> {
    const edge = loadGraph(ref.definition);
    const op = edge?.vertex.op.op;
    const source = op?.kind === 'source' ? op.value.identifier : '';
    const content = this.files.get(source)?.get(path);
    if (content === undefined)
      return Promise.reject(new BuildError('NotFound', `open ${path}: no such file or directory`));
    return Promise.resolve(Buffer.from(content));
  }

  readDir(): ReturnType<Bridge['readDir']> {
    return Promise.resolve([]);
  }

  statFile(): ReturnType<Bridge['statFile']> {
    return Promise.reject(new BuildError('NotFound', 'not here'));
  }

  runContainer: Bridge['runContainer'] = () => Promise.reject(new BuildError('Unimplemented', 'not here'));

  warn(warning: BuildWarning): void {
    this.warnings.push(warning);
  }
}

export interface Built {
  readonly bridge: FakeBridge;
  readonly result: Result;
  /** In the order of their needs. */
  readonly vertexes: readonly Shown[];
  readonly names: readonly string[];
  readonly config: { config: Record<string, unknown>; history: Record<string, unknown>[] } & Record<
    string,
    unknown
  >;
}

/** Converts a Dockerfile with a client's options. */
export async function build(
  dockerfile: string | FakeBridge,
  options: Record<string, string> = {},
  inputs: Record<string, Definition> = {},
): Promise<Built> {
  const bridge = typeof dockerfile === 'string' ? new FakeBridge(dockerfile) : dockerfile;
  const request = { options: new Map(Object.entries(options)), inputs: new Map(Object.entries(inputs)) };
  const result = await createDockerfileFrontend().solve(bridge, request, never);
  const [ref = result.ref] = result.refs.values();
  const vertexes = ref === undefined ? [] : shown(ref.definition);
  const config = result.metadata.get('containerimage.config');
  return {
    bridge,
    result,
    vertexes,
    names: vertexes.map(({ name }) => name),
    config: (config === undefined ? {} : JSON.parse(config.toString())) as Built['config'],
  };
}

export function shown(definition: Definition): Shown[] {
  const edge = loadGraph(definition);
  if (edge === undefined) return [];
  const nameOf = (digest: string): string =>
    definition.metadata.get(digest)?.description.get('llb.customname') ?? digest;
  return vertexesOf(edge).flatMap(({ digest, op, inputs, metadata }) =>
    op.op === undefined
      ? []
      : [
          {
            name: nameOf(digest),
            op: op.op,
            platform: op.platform === undefined ? '' : `${op.platform.OS}/${op.platform.Architecture}`,
            inputs: inputs.map(({ vertex }) => nameOf(vertex.digest)),
            ignoresCache: metadata?.ignore_cache === true,
          },
        ],
  );
}

/** The fault that the conversion ends with. */
export async function failureOf(...parameters: Parameters<typeof build>): Promise<BuildError> {
  const error: unknown = await build(...parameters).catch((reason: unknown) => reason);
  if (error instanceof BuildError) return error;
  throw new Error(`no BuildError: ${error instanceof Error ? (error.stack ?? '') : JSON.stringify(error)}`);
}
