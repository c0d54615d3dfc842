// The service LLBBridge: frontends that are a client's, or an image's.

import { requireNoProvenance } from '../attestations/bundle';
import { BuildError, type ErrorDetail } from '../contract/errors';
import type { Bridge, SolveRequest } from '../contract/frontend';
import { sourceAttributes, type Definition, type ImageResolveMode } from '../contract/llb';
import type { Attestation, AttestationBundle, Ref, Result, Solver } from '../contract/solver';
import type { LLBBridge } from '../messages/gateway';
import {
  attestationKind,
  inTotoSubjectKind,
  type AttestationMessage,
  type AttestationsInit,
  type BridgeSolveRequest,
  type Result as ResultMessage,
  type ResultInit,
} from '../messages/gateway';
import { timestamp } from '../messages/google';
import { buildErrorOfStatus } from '../session/call-errors';
import { toStat } from '../session/file-stat';
import type { Handlers, ServerCall } from '../wire/server';
import { frontendCapabilities, graphCapabilities, workerRecord, type WorkerInfo } from './capabilities';
import { cacheSource } from './control-service';
import { execProcesses } from './exec-processes';
import type { FrontendContainers } from './frontend-containers';

/** A frontend that speaks to us through gRPC: a client's, or an image's. */
export interface BridgeCaller {
  readonly bridge: Bridge;
  /** Graphs that it was given. */
  readonly inputs: ReadonlyMap<string, Definition>;
  /** Containers of its own. */
  readonly containers: FrontendContainers;
  /** Aborted when it has no more to ask. */
  readonly signal: AbortSignal;
  /** By an id that it was told. Throws NotFound. */
  ref(id: string): Ref;
  /** From now on it may name that one. Throws ResourceExhausted. */
  add(ref: Ref): void;
  /** What it made. Throws where it was asked for none. */
  giveBack(result: Result | BuildError): void;
}

export interface BridgeServiceParts {
  readonly solver: Solver;
  readonly worker: WorkerInfo;
  /** Whose a call is; waited for, as a build's frontend may call before the build has begun. */
  readonly callerOf: (call: ServerCall) => Promise<BridgeCaller>;
}

export function bridgeHandlers({
  solver,
  worker,
  callerOf,
}: BridgeServiceParts): Handlers<(typeof LLBBridge)['methods']> {
  /** The end of what is asked for is the call's, too. */
  async function withCaller<T>(
    call: ServerCall,
    work: (caller: BridgeCaller, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const caller = await callerOf(call);
    try {
      return await work(caller, AbortSignal.any([call.signal, caller.signal]));
    } catch (error) {
      throw withNames(error, caller);
    }
  }

  return {
    Ping: (_request, call) =>
      withCaller(call, () =>
        Promise.resolve({
          FrontendAPICaps: frontendCapabilities(),
          LLBCaps: graphCapabilities(solver),
          Workers: [workerRecord(worker, solver)],
        }),
      ),

    Solve: (request, call) =>
      withCaller(call, async ({ bridge }, signal) => {
        const result = await bridge.solve(solveRequest(request), signal);
        if (request.allowResultReturn) return { result: resultMessage(result) };
        if (result.refs.size > 0)
          throw new BuildError('Unimplemented', 'the frontend takes a single result only');
        return { ref: result.ref?.id ?? '' };
      }),

    Return: ({ result, error }, call) =>
      withCaller(call, (caller) => {
        const isFailed = error !== undefined && error.code !== 0;
        caller.giveBack(isFailed ? buildErrorOfStatus(error) : resultOf(result, caller));
        return Promise.resolve({});
      }),

    Inputs: (_request, call) => withCaller(call, ({ inputs }) => Promise.resolve({ Definitions: inputs })),

    Evaluate: ({ Ref }, call) =>
      withCaller(call, async (caller, signal) => {
        if (Ref !== '') await caller.ref(Ref).evaluate(signal);
        return {};
      }),

    ReadFile: ({ Ref, FilePath, Range: range }, call) =>
      withCaller(call, async (caller, signal) => ({
        Data: await caller.bridge.readFile(
          caller.ref(Ref),
          FilePath,
          { offset: range?.Offset ?? 0, length: range?.Length ?? 0 },
          signal,
        ),
      })),

    ReadDir: ({ Ref, DirPath, IncludePattern }, call) =>
      withCaller(call, async (caller, signal) => {
        const entries = await caller.bridge.readDir(caller.ref(Ref), DirPath, IncludePattern, signal);
        return { entries: entries.map(toStat) };
      }),

    StatFile: ({ Ref, Path }, call) =>
      withCaller(call, async (caller, signal) => ({
        stat: toStat(await caller.bridge.statFile(caller.ref(Ref), Path, signal)),
      })),

    ResolveImageConfig: (request, call) =>
      withCaller(call, async ({ bridge }, signal) => {
        const options = {
          ...(request.Platform === undefined ? {} : { platform: request.Platform }),
          mode: resolveMode(request.ResolveMode),
          logName: request.LogName,
          policies: request.SourcePolicies,
        };
        if (request.ResolverType === resolverTypes.ociLayout) {
          const { image } = await bridge.resolveSource(ociLayout(request), options, signal);
          return { Ref: request.Ref, Digest: image?.digest ?? '', Config: image?.config };
        }
        const { ref, digest, config } = await bridge.resolveImageConfig(request.Ref, options, signal);
        // as it was asked for, or as a policy has it: the digest is told beside it
        const pin = `@${digest}`;
        const isPinned = request.Ref.endsWith(pin) || !ref.endsWith(pin);
        return { Ref: isPinned ? ref : ref.slice(0, -pin.length), Digest: digest, Config: config };
      }),

    ResolveSourceMeta: (request, call) =>
      withCaller(call, async ({ bridge }, signal) => {
        if (request.Source === undefined) throw new BuildError('InvalidArgument', 'source is required');
        const { source, image, git, http } = await bridge.resolveSource(
          request.Source,
          {
            ...(request.Platform === undefined ? {} : { platform: request.Platform }),
            mode: resolveMode(request.ResolveMode),
            logName: request.LogName,
            policies: request.SourcePolicies,
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
      withCaller(call, ({ bridge }) => {
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

    NewContainer: (request, call) =>
      withCaller(call, async (caller, signal) => {
        await caller.containers.create(request, (id) => caller.ref(id), signal);
        return {};
      }),

    ReleaseContainer: ({ ContainerID }, call) =>
      withCaller(call, async ({ containers }) => {
        await containers.release(ContainerID);
        return {};
      }),

    ExecProcess: (stream, call) =>
      withCaller(call, ({ containers }, signal) => execProcesses(stream, containers, signal)),
  };
}

/** What a failed step had and left has names from now on. */
function withNames(error: unknown, caller: BridgeCaller): unknown {
  if (!(error instanceof BuildError)) return error;
  const details = error.details.flatMap((detail): ErrorDetail | [] => {
    if (detail.kind !== 'failedOperation') return detail;
    const { failed } = detail;
    const idOf = (ref: Ref | undefined): string => {
      if (ref !== undefined) caller.add(ref);
      return ref?.id ?? '';
    };
    try {
      return { kind: 'solve', failed, inputIds: failed.inputs.map(idOf), mountIds: failed.mounts.map(idOf) };
    } catch {
      return []; // it has too many: the failure is what it is told of
    }
  });
  return new BuildError(error.code, error.message, { cause: error, details });
}

const resolverTypes = { registry: 0, ociLayout: 1 };

function ociLayout(request: {
  Ref: string;
  SessionID: string;
  StoreID: string;
}): Parameters<Bridge['resolveSource']>[0] {
  const attrs = new Map([
    [sourceAttributes.ociSession, request.SessionID],
    [sourceAttributes.ociStore, request.StoreID],
  ]);
  return { identifier: `oci-layout://${request.Ref}`, attrs };
}

function solveRequest(request: BridgeSolveRequest): SolveRequest {
  const cacheImports = request.CacheImports.map(cacheSource);
  const policies = request.SourcePolicies;
  const { Frontend: name, FrontendOpt: options, FrontendInputs: inputs, Evaluate: evaluate } = request;
  if (name !== '') {
    return {
      what: { kind: 'frontend', name, request: { options, inputs } },
      evaluate,
      cacheImports,
      policies,
    };
  }
  const definition = request.Definition ?? { def: [], metadata: new Map(), Source: undefined };
  return { what: { kind: 'definition', definition }, evaluate, cacheImports, policies };
}

function resultMessage(result: Result): ResultInit {
  const { metadata } = result;
  const attestations = attestationMessages(result);
  const about = { metadata, ...(attestations.length === 0 ? {} : { attestations }) };
  if (result.refs.size === 0 && result.ref === undefined) return about;
  if (result.refs.size === 0) return { result: { kind: 'ref', value: refMessage(result.ref) }, ...about };
  const refs = [...result.refs].map(([platform, ref]) => [platform, refMessage(ref)] as const);
  return { result: { kind: 'refs', value: { refs } }, ...about };
}

/** What frontends have stated, handed on to the one that asked. */
function attestationMessages({ attestations, bundles }: Result): [string, AttestationsInit][] {
  const inline = (inlineOnly: boolean): [string, Buffer][] =>
    inlineOnly ? [['inline-only', Buffer.from('true')]] : [];
  const ids = new Set([...(attestations?.keys() ?? []), ...(bundles?.keys() ?? [])]);
  return [...ids].map((id) => {
    const stated = (attestations?.get(id) ?? []).map(
      ({ ref, path, predicateType, subjects, inlineOnly }) => ({
        kind: attestationKind.inToto,
        metadata: inline(inlineOnly),
        ref: refMessage(ref),
        path,
        inTotoPredicateType: predicateType,
        inTotoSubjects: subjects.map(({ kind, name, digests: digest }) => ({
          kind: inTotoSubjectKind[kind],
          name,
          digest,
        })),
      }),
    );
    const bundled = (bundles?.get(id) ?? []).map(({ ref, path, predicateType, coreName, inlineOnly }) => ({
      kind: attestationKind.bundle,
      metadata: [
        ...inline(inlineOnly),
        ...(coreName === '' ? [] : [['sbom-core', Buffer.from(coreName)] as [string, Buffer]]),
      ],
      ref: refMessage(ref),
      path,
      inTotoPredicateType: predicateType,
    }));
    return [id, { attestation: [...stated, ...bundled] }];
  });
}

function refMessage(ref: Result['ref']): { id?: string; def?: NonNullable<Result['ref']>['definition'] } {
  return ref === undefined ? {} : { id: ref.id, def: ref.definition };
}

function resultOf(message: ResultMessage | undefined, caller: BridgeCaller): Result {
  const refOf = (id: string): Result['ref'] => (id === '' ? undefined : caller.ref(id));
  const metadata = message?.metadata ?? new Map<string, Buffer>();
  const attestations = new Map<string, Attestation[]>();
  const bundles = new Map<string, AttestationBundle[]>();
  for (const [id, { attestation }] of message?.attestations ?? []) {
    const isBundle = ({ kind }: AttestationMessage): boolean => kind === attestationKind.bundle;
    const statements = attestation.filter((each) => !isBundle(each));
    attestations.set(
      id,
      statements.map((each) => attestationOf(each, caller)),
    );
    bundles.set(
      id,
      attestation.filter(isBundle).map((each) => bundleOf(each, caller)),
    );
  }
  const none = { ref: undefined, refs: new Map<string, Result['ref']>(), metadata, attestations, bundles };
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

/** What a frontend states: a predicate in a file of one of its refs. */
function attestationOf(
  { kind, metadata, ref, path, inTotoPredicateType, inTotoSubjects }: AttestationMessage,
  caller: BridgeCaller,
): Attestation {
  if (kind !== attestationKind.inToto)
    throw new BuildError('InvalidArgument', `unknown kind of attestation ${kind}`);
  requireNoProvenance(inTotoPredicateType);
  const of = caller.ref(ref?.id ?? '');
  return {
    predicateType: inTotoPredicateType,
    subjects: inTotoSubjects.map(({ kind: about, name, digest }) => ({
      kind: about === inTotoSubjectKind.raw ? 'raw' : 'self',
      name,
      digests: digest,
    })),
    inlineOnly: metadata.get('inline-only')?.toString() === 'true',
    path,
    ref: of,
    content: (signal) => caller.bridge.readFile(of, path, {}, signal),
  };
}

function bundleOf(
  { metadata, ref, path, inTotoPredicateType: predicateType }: AttestationMessage,
  caller: BridgeCaller,
): AttestationBundle {
  return {
    ref: caller.ref(ref?.id ?? ''),
    path: path === '' ? '/' : path,
    predicateType,
    coreName: metadata.get('sbom-core')?.toString() ?? '',
    inlineOnly: metadata.get('inline-only')?.toString() === 'true',
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
