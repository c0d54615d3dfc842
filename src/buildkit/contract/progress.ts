// What a build tells while it runs. A sink takes and never throws; control keeps it for late subscribers, puts it into
// messages and bounds it.

import type { ProgressGroup, Range, SourceInfo } from '../messages/ops';

/** The whole of a vertex as it stands; told again whenever something of it changes. */
export interface VertexState {
  readonly digest: string;
  readonly name: string;
  /** Digests. */
  readonly inputs: readonly string[];
  /** Milliseconds since the epoch, as all times here. */
  readonly startedMs?: number;
  /** Set when it ended, however. */
  readonly completedMs?: number;
  readonly cached?: boolean;
  /** Why it failed. */
  readonly error?: string;
  readonly group?: ProgressGroup;
}

/** A counter of a vertex, known by `id` within it: `transferring context:`. */
export interface VertexCounter {
  readonly vertex: string;
  readonly id: string;
  /** Shown instead of `id`. */
  readonly name?: string;
  /** Bytes. */
  readonly current: number;
  /** 0 where it isn't known. */
  readonly total: number;
  readonly startedMs: number;
  readonly completedMs?: number;
}

export interface BuildWarning {
  /** Digest; '' for one of the whole build. */
  readonly vertex: string;
  /** Lower is more urgent; linters use 1. */
  readonly level: number;
  readonly short: string;
  readonly detail: readonly string[];
  readonly url: string;
  readonly info?: SourceInfo;
  readonly ranges: readonly Range[];
}

export interface Progress {
  vertex(state: VertexState): void;
  counter(counter: VertexCounter): void;
  /** Raw output of a step. Bytes are copied; what is past the step's limit is dropped and said once. */
  log(vertex: string, stream: 'stdout' | 'stderr', bytes: Uint8Array): void;
  warning(warning: BuildWarning): void;
}
