// Solves graphs. Implemented by src/buildkit/solver, called by control and by the bridge of frontends.
//
// Nothing runs until somebody wants the layers or files of a ref. Equal vertexes run once, whichever builds want them, and are
// cancelled when no build does any more.

import type { FileTree } from '../../builder/file-tree';
import type { CacheRecords } from './cache-records';
import type { ExecOutput } from './executor';
import type { ExecOp, ImageResolveMode, Definition, Op, Platform, SourceOp, SourcePolicy } from './llb';
import type { Progress } from './progress';

/** What a build may do besides: asked for by its client, granted by the daemon. */
export type Entitlement = 'network.host' | 'security.insecure' | 'device';

/** One build as the solver sees it. */
export interface BuildScope {
  /** Unique: the client's ref. */
  readonly id: string;
  /** Sessions to ask for local files, secrets and credentials, in this order. */
  readonly sessionIds: readonly string[];
  readonly progress: Progress;
  readonly entitlements: ReadonlySet<Entitlement>;
  readonly cacheImports: readonly CacheSource[];
  /** What sources it may use, and which instead of others. */
  readonly sourcePolicy?: SourcePolicy | undefined;
  /** The build is over, for whatever reason. */
  readonly signal: AbortSignal;
}

/** `--cache-from`. Types: registry, local, inline, … */
export interface CacheSource {
  readonly type: string;
  readonly attributes: ReadonlyMap<string, string>;
}

export interface Solver {
  /** LLB capabilities that work (`source.image`, `exec.mount.cache`, …): told to clients, which refuse or fall back by them. */
  readonly capabilities: readonly string[];
  /** Platforms that can be built, the native one first. */
  readonly platforms: readonly Platform[];
  readonly records: CacheRecords;
  /** Begins a build. `close` it. */
  open(scope: BuildScope): BuildSolver;
}

export interface ResolveOptions {
  readonly platform?: Platform;
  readonly mode: ImageResolveMode;
  readonly logName: string;
  /** Besides the build's own. */
  readonly policies?: readonly SourcePolicy[];
}

export interface BuildSolver {
  /**
   * Checks a graph, and gives its result lazily; undefined for an empty one (`FROM scratch` and nothing else). Rejects with
   * InvalidArgument for what is no graph, Unimplemented or PermissionDenied for what may not run. `cacheImports` and `policies` count
   * besides the build's.
   */
  solve(
    definition: Definition,
    options: { cacheImports?: readonly CacheSource[]; policies?: readonly SourcePolicy[] },
    signal: AbortSignal,
  ): Promise<Ref | undefined>;
  /** The configuration of an image, without its layers; shown as a step `logName`, if there is one. */
  resolveImageConfig(ref: string, options: ResolveOptions, signal: AbortSignal): Promise<ImageConfigResult>;
  /** What a source is pinned to. */
  resolveSource(source: SourceOp, options: ResolveOptions, signal: AbortSignal): Promise<SourceMetadata>;
  /**
   * Runs a frontend's process in a container and a VM of its own, to its end; resolves with its exit code. Nothing of it is kept. Rejects
   * with PermissionDenied for what the build may not do.
   */
  runContainer(container: ContainerRun, output: ExecOutput, signal: AbortSignal): Promise<number>;
  /** Frees its refs, ends the VMs of its steps and whatever only this build wanted. Resolves when that is so. */
  close(): Promise<void>;
}

/** A frontend's container: a step that is no part of a graph. */
export interface ContainerRun {
  /** Inputs of its mounts are numbers of `refs`; outputs are of no account. */
  readonly op: ExecOp;
  /** Refs of this build; undefined: an empty file system. */
  readonly refs: readonly (Ref | undefined)[];
  readonly platform: Platform | undefined;
  readonly terminal: boolean;
  /** Besides its mounts. */
  readonly files: readonly { readonly path: string; readonly content: Buffer; readonly mode: number }[];
}

export interface ImageConfigResult {
  /** As it was pinned: with a digest. */
  readonly ref: string;
  readonly digest: string;
  /** The configuration's JSON. */
  readonly config: Buffer;
}

export interface SourceMetadata {
  /** With what was pinned. */
  readonly source: SourceOp;
  readonly image?: { digest: string; config: Buffer };
  readonly git?: { checksum: string; ref: string; commitChecksum: string };
  readonly http?: { checksum: string; filename: string; lastModifiedMs?: number };
}

/**
 * The file system that a graph's result is, as layers: the steps run when it is first asked for. Free until its build is
 * closed. Each method rejects with what the failing step says, as a BuildError that has `vertex` and `source` details.
 */
export interface Ref {
  /** Unique in the daemon: what clients name it by. */
  readonly id: string;
  /** The graph it is of: clients hand it on as an input of another build. */
  readonly definition: Definition;
  evaluate(signal: AbortSignal): Promise<void>;
  /** Diff IDs in the layer store, lowest first; held there as long as the build is open. A step that changed nothing has an empty layer. */
  layers(signal: AbortSignal): Promise<readonly string[]>;
  /** Its files by name, not to be changed; their contents are read by `readContents` (src/builder/file-contents.ts). */
  tree(signal: AbortSignal): Promise<FileTree>;
  /** What the cache has of the steps that it took, each with all keys that lead to it; held as long as the build is open. */
  cachedSteps(signal: AbortSignal): Promise<readonly CachedStep[]>;
  /** Diff IDs of what its steps made, by output, and of the images that were read, without empty layers: by the vertexes' digests. */
  stepLayers(signal: AbortSignal): Promise<ReadonlyMap<string, readonly (readonly string[])[]>>;
  /** What it is made of, as each source was pinned. */
  sources(signal: AbortSignal): Promise<readonly UsedSource[]>;
}

/** Which part of an operation failed: an action on files, or the checksum of an input. */
export interface FailedAt {
  readonly kind: 'file' | 'cache';
  readonly index: number;
}

/** An operation that failed, and what can be looked into: refs of the build, by its mounts or its actions; undefined where there is nothing. */
export interface FailedOperation {
  readonly op: Op;
  readonly description: ReadonlyMap<string, string>;
  readonly inputs: readonly (Ref | undefined)[];
  readonly mounts: readonly (Ref | undefined)[];
  readonly at: FailedAt | undefined;
}

/** What a frontend gives, and exporters take. */
export interface Result {
  readonly ref: Ref | undefined;
  /** Of several platforms, by their ids; then `ref` is undefined. */
  readonly refs: ReadonlyMap<string, Ref | undefined>;
  /** `containerimage.config`, `refs.platforms`, … */
  readonly metadata: ReadonlyMap<string, Buffer>;
  /** By the ids of platforms. */
  readonly attestations?: ReadonlyMap<string, readonly Attestation[]>;
  /** Likewise; exporters get none: they are read when all steps have run. */
  readonly bundles?: ReadonlyMap<string, readonly AttestationBundle[]>;
  /** By the ids of platforms: graphs, by names, of which an SBOM is to be besides. Clients don't see it. */
  readonly scanned?: ReadonlyMap<string, ReadonlyMap<string, Definition>>;
}

/** A directory of in-toto statements. */
export interface AttestationBundle {
  readonly ref: Ref;
  readonly path: string;
  /** That all have; '': any. */
  readonly predicateType: string;
  /** Of an SBOM: the name of its main statement, without extension; '': none. */
  readonly coreName: string;
  readonly inlineOnly: boolean;
}

/** A statement about a result (in-toto's), before its subject has a digest. */
export interface Attestation {
  readonly predicateType: string;
  /** Empty: the result itself. */
  readonly subjects: readonly { kind: 'self' | 'raw'; name: string; digests: readonly string[] }[];
  /** Not where it would be a file beside the result's own. */
  readonly inlineOnly: boolean;
  /** Its name as a file. */
  readonly path: string;
  /** In whose files it is, where a frontend states it. */
  readonly ref?: Ref;
  /** The predicate as JSON; asked for once, when all steps have run. `layers`: of the image, by diff ID; none of files. */
  content(signal: AbortSignal, layers?: ReadonlyMap<string, LayerDescriptor>): Promise<Buffer>;
}

/** A layer as an image's manifest has it. */
export interface LayerDescriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

export interface CachedStep {
  /** `sha256:…`: equal keys, equal outputs, on whatever machine. */
  readonly keys: readonly string[];
  /** Diff IDs, lowest first. */
  readonly outputs: readonly (readonly string[])[];
  readonly createdAtMs: number;
}

/** A source that a result was made of. */
export interface UsedSource {
  readonly op: SourceOp;
  readonly platform: Platform | undefined;
  readonly metadata: SourceMetadata;
}

export const emptyResult: Result = { ref: undefined, refs: new Map(), metadata: new Map() };
