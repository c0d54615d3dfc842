// What the build cache holds, for `docker builder prune`, `buildx du` and `system df`. Implemented by the solver.

export type CacheRecordType =
  'regular' | 'internal' | 'frontend' | 'source.local' | 'source.git.checkout' | 'exec.cachemount';

export interface CacheRecord {
  readonly id: string;
  readonly parents: readonly string[];
  readonly type: CacheRecordType;
  readonly description: string;
  /** What its removal would free. */
  readonly sizeBytes: number;
  readonly createdAtMs: number;
  readonly lastUsedAtMs: number | undefined;
  readonly usageCount: number;
  readonly inUse: boolean;
  /** It may still change: a cache mount. */
  readonly mutable: boolean;
  /** Images have its layers too: removing it frees nothing. */
  readonly shared: boolean;
}

export interface PruneOptions {
  /** Records that may go; those in use never do. */
  readonly matches: (record: CacheRecord) => boolean;
  /** Also `internal` and `frontend` ones, and those that images share. */
  readonly all: boolean;
  /** Keeps what was used since; 0: nothing. */
  readonly keepDurationMs: number;
  /** Keeps so much of the least old; 0: nothing. */
  readonly reservedBytes: number;
  /** Ends when the cache is smaller; 0: no bound. */
  readonly maxUsedBytes: number;
  /** Ends when so much of the disk is free; 0: no bound. */
  readonly minFreeBytes: number;
}

export interface CacheRecords {
  list(signal: AbortSignal): Promise<CacheRecord[]>;
  /** Least recently used first. Gives each record when it is gone. */
  prune(options: PruneOptions, signal: AbortSignal): AsyncIterable<CacheRecord>;
}
