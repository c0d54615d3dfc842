// Frontends make graphs of texts. Ours (src/buildkit/frontend) runs in the daemon; a client's or a container's speaks to the same
// Bridge through gRPC.

import type { Definition, Platform, SourceOp, SourcePolicy } from './llb';
import type { BuildWarning } from './progress';
import type { FileStat } from './session';
import type { ExecOutput } from './executor';
import type {
  CacheSource,
  ContainerRun,
  ImageConfigResult,
  Ref,
  ResolveOptions,
  Result,
  SourceMetadata,
} from './solver';

export interface Frontend {
  /** `dockerfile.v0`, `gateway.v0`. */
  readonly name: string;
  /**
   * Converts: no step runs but those whose files it reads. Rejects with BuildError, with `source` details where a line is at fault.
   * It keeps nothing; refs belong to the build.
   */
  solve(bridge: Bridge, request: FrontendRequest, signal: AbortSignal): Promise<Result>;
}

export interface FrontendRequest {
  /** `filename`, `target`, `build-arg:…`, `context:…`, `requestid`, … as clients send them. */
  readonly options: ReadonlyMap<string, string>;
  /** Graphs of named contexts. */
  readonly inputs: ReadonlyMap<string, Definition>;
}

/** What a frontend may ask of the daemon. All of it belongs to one build. */
export interface Bridge {
  /** LLB capabilities that the solver has: what isn't here must not be in a graph. */
  readonly capabilities: ReadonlySet<string>;
  readonly platforms: readonly Platform[];
  /** The client's first session: the default of local sources. */
  readonly sessionId: string;
  solve(request: SolveRequest, signal: AbortSignal): Promise<Result>;
  resolveImageConfig(ref: string, options: ResolveOptions, signal: AbortSignal): Promise<ImageConfigResult>;
  resolveSource(source: SourceOp, options: ResolveOptions, signal: AbortSignal): Promise<SourceMetadata>;
  /**
   * Paths of these are below the ref's root; links are followed, never out of it. They reject with NotFound in Go's words
   * (`open x: no such file or directory`). `length` 0 or absent is to the end; at most 16 MiB.
   */
  readFile(
    ref: Ref,
    path: string,
    range: { offset?: number; length?: number },
    signal: AbortSignal,
  ): Promise<Buffer>;
  /** Entries by their names, in order; with a pattern only those it matches. */
  readDir(ref: Ref, path: string, pattern: string, signal: AbortSignal): Promise<FileStat[]>;
  /** Of a link itself. */
  statFile(ref: Ref, path: string, signal: AbortSignal): Promise<FileStat>;
  /** See BuildSolver. */
  runContainer(container: ContainerRun, output: ExecOutput, signal: AbortSignal): Promise<number>;
  warn(warning: BuildWarning): void;
}

export interface SolveRequest {
  /** A graph, or a frontend to ask. */
  readonly what:
    | { readonly kind: 'definition'; readonly definition: Definition }
    | { readonly kind: 'frontend'; readonly name: string; readonly request: FrontendRequest };
  /** Runs it before answering. */
  readonly evaluate?: boolean;
  readonly cacheImports?: readonly CacheSource[];
  /** Of a graph's sources, besides the build's own. */
  readonly policies?: readonly SourcePolicy[];
}
