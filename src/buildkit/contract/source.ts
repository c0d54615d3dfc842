// Where graphs begin: one Source per kind of URL. The solver has those for local files, git and http; images come from the host.

import type { FileTree } from '../../builder/file-tree';
import type { Platform, SourceOp } from './llb';
import type { SourceMetadata } from './solver';
import type { BuildScope } from './solver';

export interface SourceRequest {
  readonly op: SourceOp;
  readonly platform: Platform | undefined;
  /** The vertex's digest: counters and logs are told under it. */
  readonly vertex: string;
  /** Of those builds that want it: the first one's sessions and progress. */
  readonly scope: BuildScope;
}

export interface Source {
  /** Of identifiers `<scheme>://…`. */
  readonly schemes: readonly string[];
  /** LLB capabilities it brings. */
  readonly capabilities: readonly string[];
  /** What the source is right now: cheap, and without contents where that can be. Rejects in the words of who refuses it. */
  resolve(request: SourceRequest, signal: AbortSignal): Promise<ResolvedSource>;
}

export interface ResolvedSource {
  /** Equal keys: equal files. Undefined where only the contents tell (local files). */
  readonly cacheKey: string | undefined;
  readonly metadata: SourceMetadata;
  fetch(signal: AbortSignal): Promise<Snapshot>;
}

/** Immutable files. Whoever asked for it calls `release` when it needs neither. */
export interface Snapshot {
  /** Diff IDs in the layer store, lowest first; made when they are first asked for. Held until `release`. */
  layers(signal: AbortSignal): Promise<readonly string[]>;
  /** Not to be changed. */
  tree(signal: AbortSignal): Promise<FileTree>;
  release(): void;
}
