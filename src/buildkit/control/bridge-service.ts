// The service LLBBridge: a client plays the frontend of its build. Which build it is says the metadata of each call.

import { BuildError } from '../contract/errors';
import type { SolveRequest } from '../contract/frontend';
import { sourceAttributes, type ImageResolveMode } from '../contract/llb';
import type { Attestation, Result, Solver } from '../contract/solver';
import type { LLBBridge } from '../messages/gateway';
import {
  attestationKind,
  inTotoSubjectKind,
  type AttestationMessage,
  type BridgeSolveRequest,
  type Result as ResultMessage,
  type ResultInit,
} from '../messages/gateway';
import { timestamp } from '../messages/google';
import { buildErrorOfStatus } from '../session/call-errors';
import { toStat } from '../session/file-stat';
import type { Handlers, ServerCall } from '../wire/server';
import type { Build } from './build';
import type { BuildBridge } from './build-bridge';
import type { Builds } from './builds';
import { frontendCapabilities, graphCapabilities, workerRecord, type WorkerInfo } from './capabilities';
import { cacheSource } from './control-service';

export interface BridgeServiceParts {
  readonly builds: Builds;
  readonly solver: Solver;
  readonly worker: WorkerInfo;
}

export function bridgeHandlers({
  builds,
  solver,
  worker,
}: BridgeServiceParts): Handlers<(typeof LLBBridge)['methods']> {
  /** Calls with the build they are of; its end is theirs. */
  async function withBuild<T>(
    call: ServerCall,
    work: (build: Build, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const [id = ''] = call.metadata.get('buildkit-controlapi-buildid') ?? [];
    const build = await builds.running(id, call.signal);
    return work(build, AbortSignal.any([call.signal, build.signal]));
  }

  return {
    Ping: (_request, call) =>
      withBuild(call, () =>
        Promise.resolve({
          FrontendAPICaps: frontendCapabilities(),
          LLBCaps: graphCapabilities(solver),
          Workers: [workerRecord(worker, solver)],
        }),
      ),

    Solve: (request, call) =>
      withBuild(call, async ({ bridge }, signal) => {
        const result = await bridge.solve(solveRequest(request), signal);
        if (request.allowResultReturn) return { result: resultMessage(result) };
        if (result.refs.size > 0)
          throw new BuildError('Unimplemented', 'the frontend takes a single result only');
        return { ref: result.ref?.id ?? '' };
      }),

    Return: ({ result, error }, call) =>
      withBuild(call, (build) => {
        const isFailed = error !== undefined && error.code !== 0;
        build.giveBack(isFailed ? buildErrorOfStatus(error) : resultOf(result, build.bridge));
        return Promise.resolve({});
      }),

    Inputs: (_request, call) =>
      withBuild(call, ({ bridge }) => Promise.resolve({ Definitions: bridge.inputs })),

    Evaluate: ({ Ref }, call) =>
      withBuild(call, async ({ bridge }, signal) => {
        if (Ref !== '') await bridge.ref(Ref).evaluate(signal);
        return {};
      }),

    ReadFile: ({ Ref, FilePath, Range: range }, call) =>
      withBuild(call, async ({ bridge }, signal) => ({
        Data: await bridge.readFile(
          bridge.ref(Ref),
          FilePath,
          { offset: range?.Offset ?? 0, length: range?.Length ?? 0 },
          signal,
        ),
      })),

    ReadDir: ({ Ref, DirPath, IncludePattern }, call) =>
      withBuild(call, async ({ bridge }, signal) => {
        const entries = await bridge.readDir(bridge.ref(Ref), DirPath, IncludePattern, signal);
        return { entries: entries.map(toStat) };
      }),

    StatFile: ({ Ref, Path }, call) =>
      withBuild(call, async ({ bridge }, signal) => ({
        stat: toStat(await bridge.statFile(bridge.ref(Ref), Path, signal)),
      })),

    ResolveImageConfig: (request, call) =>
      withBuild(call, async ({ bridge }, signal) => {
        refusePolicies(request.SourcePolicies);
        const options = {
          ...(request.Platform === undefined ? {} : { platform: request.Platform }),
          mode: resolveMode(request.ResolveMode),
          logName: request.LogName,
        };
        if (request.ResolverType === resolverTypes.ociLayout) {
          const { image } = await bridge.resolveSource(ociLayout(request), options, signal);
          return { Ref: request.Ref, Digest: image?.digest ?? '', Config: image?.config };
        }
        const { ref, digest, config } = await bridge.resolveImageConfig(request.Ref, options, signal);
        return { Ref: ref, Digest: digest, Config: config };
      }),

    ResolveSourceMeta: (request, call) =>
      withBuild(call, async ({ bridge }, signal) => {
        if (request.Source === undefined) throw new BuildError('InvalidArgument', 'source is required');
        refusePolicies(request.SourcePolicies);
        const { source, image, git, http } = await bridge.resolveSource(
          request.Source,
          {
            ...(request.Platform === undefined ? {} : { platform: request.Platform }),
            mode: resolveMode(request.ResolveMode),
            logName: request.LogName,
          },
          signal,
        );
        return {
          Source: source,
          Image: image === undefined ? undefined : { Digest: image.digest, Config: image.config },
          Git:
            git === undefined
              ? undefined
              : { Checksum: git.checksum, Ref: git.ref, CommitChecksum: git.commitChecksum },
          HTTP:
            http === undefined
              ? undefined
              : {
                  Checksum: http.checksum,
                  Filename: http.filename,
                  LastModified:
                    http.lastModifiedMs === undefined ? undefined : timestamp(http.lastModifiedMs),
                },
        };
      }),

    Warn: (request, call) =>
      withBuild(call, ({ bridge }) => {
        bridge.warn({
          vertex: request.digest,
          level: request.level,
          short: request.short.toString('utf8'),
          detail: request.detail.map((line) => line.toString('utf8')),
          url: request.url,
          ranges: request.ranges,
          ...(request.info === undefined ? {} : { info: request.info }),
        });
        return Promise.resolve({});
      }),
  };
}

const resolverTypes = { registry: 0, ociLayout: 1 };

function ociLayout(request: {
  Ref: string;
  SessionID: string;
  StoreID: string;
}): Parameters<BuildBridge['resolveSource']>[0] {
  const attrs = new Map([
    [sourceAttributes.ociSession, request.SessionID],
    [sourceAttributes.ociStore, request.StoreID],
  ]);
  return { identifier: `oci-layout://${request.Ref}`, attrs };
}

function solveRequest(request: BridgeSolveRequest): SolveRequest {
  refusePolicies(request.SourcePolicies);
  const cacheImports = request.CacheImports.map(cacheSource);
  const { Frontend: name, FrontendOpt: options, FrontendInputs: inputs, Evaluate: evaluate } = request;
  if (name !== '') {
    return { what: { kind: 'frontend', name, request: { options, inputs } }, evaluate, cacheImports };
  }
  const definition = request.Definition ?? { def: [], metadata: new Map(), Source: undefined };
  return { what: { kind: 'definition', definition }, evaluate, cacheImports };
}

function resultMessage(result: Result): ResultInit {
  const { metadata } = result;
  if (result.refs.size === 0 && result.ref === undefined) return { metadata };
  if (result.refs.size === 0) return { result: { kind: 'ref', value: refMessage(result.ref) }, metadata };
  const refs = [...result.refs].map(([platform, ref]) => [platform, refMessage(ref)] as const);
  return { result: { kind: 'refs', value: { refs } }, metadata };
}

function refMessage(ref: Result['ref']): { id?: string; def?: NonNullable<Result['ref']>['definition'] } {
  return ref === undefined ? {} : { id: ref.id, def: ref.definition };
}

function resultOf(message: ResultMessage | undefined, bridge: BuildBridge): Result {
  const refOf = (id: string): Result['ref'] => (id === '' ? undefined : bridge.ref(id));
  const metadata = message?.metadata ?? new Map<string, Buffer>();
  const attestations = new Map(
    [...(message?.attestations ?? [])].map(([id, { attestation }]) => [
      id,
      attestation.map((each) => attestationOf(each, bridge)),
    ]),
  );
  const none = { ref: undefined, refs: new Map<string, Result['ref']>(), metadata, attestations };
  const given = message?.result;
  switch (given?.kind) {
    case undefined:
      return none;
    case 'ref':
      return { ...none, ref: refOf(given.value.id) };
    case 'refDeprecated':
      return { ...none, ref: refOf(given.value) };
    case 'refs':
      return { ...none, refs: new Map([...given.value.refs].map(([key, { id }]) => [key, refOf(id)])) };
    case 'refsDeprecated':
      return { ...none, refs: new Map([...given.value.refs].map(([key, id]) => [key, refOf(id)])) };
  }
}

/** What a client's frontend states: a predicate in a file of one of its refs. */
function attestationOf(
  { kind, metadata, ref, path, inTotoPredicateType, inTotoSubjects }: AttestationMessage,
  bridge: BuildBridge,
): Attestation {
  if (kind !== attestationKind.inToto)
    throw new BuildError('Unimplemented', 'bundles of attestations are not supported');
  const of = bridge.ref(ref?.id ?? '');
  return {
    predicateType: inTotoPredicateType,
    subjects: inTotoSubjects.map(({ kind: about, name, digest }) => ({
      kind: about === inTotoSubjectKind.raw ? 'raw' : 'self',
      name,
      digests: digest,
    })),
    inlineOnly: metadata.get('inline-only')?.toString() === 'true',
    path,
    content: (signal) => bridge.readFile(of, path, {}, signal),
  };
}

function resolveMode(text: string): ImageResolveMode {
  switch (text) {
    case '':
    case 'default':
      return 'default';
    case 'pull':
    case 'local':
      return text;
    default:
      throw new BuildError('InvalidArgument', `invalid resolvemode: ${text.slice(0, 100)}`);
  }
}

function refusePolicies(policies: readonly unknown[]): void {
  if (policies.length > 0) throw new BuildError('Unimplemented', 'source policies are not supported');
}
