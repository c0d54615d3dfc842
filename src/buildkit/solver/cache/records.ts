// What of the cache may go, and in which order.

import { statfs } from 'node:fs/promises';
import type { CacheRecord, CacheRecords, PruneOptions } from '../../contract/cache-records';
import type { CacheMounts } from './cache-mounts';
import type { CachedResults } from './results';

/** Free bytes of the file system that a directory is in. */
export async function freeBytesOf(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

export class BuildCache implements CacheRecords {
  readonly #results: CachedResults;
  readonly #mounts: CacheMounts;
  readonly #freeBytes: () => Promise<number>;

  constructor(results: CachedResults, mounts: CacheMounts, freeBytes: () => Promise<number>) {
    this.#results = results;
    this.#mounts = mounts;
    this.#freeBytes = freeBytes;
  }

  async list(signal: AbortSignal): Promise<CacheRecord[]> {
    const mounts = await this.#mounts.list();
    signal.throwIfAborted();
    return [...this.#results.list(), ...mounts];
  }

  async *prune(options: PruneOptions, signal: AbortSignal): AsyncGenerator<CacheRecord, void, undefined> {
    const now = Date.now();
    const records = await this.list(signal);
    const usedAt = (record: CacheRecord): number => record.lastUsedAtMs ?? record.createdAtMs;
    let totalBytes = records.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const keepBytes = await this.#keepBytes(options, totalBytes);
    for (const record of [...records].sort((a, b) => usedAt(a) - usedAt(b))) {
      signal.throwIfAborted();
      if (keepBytes !== undefined && totalBytes <= keepBytes) return;
      if (record.inUse || !options.matches(record)) continue;
      const isHidden = record.shared || record.type === 'internal' || record.type === 'frontend';
      if (isHidden && !options.all) continue;
      if (options.keepDurationMs > 0 && now - usedAt(record) < options.keepDurationMs) continue;
      const removed = record.mutable
        ? await this.#mounts.remove(record.id)
        : await this.#results.remove(record.id);
      if (!removed) continue;
      totalBytes -= record.sizeBytes;
      yield record;
    }
  }

  /** What may stay; undefined: nothing has to, but what other options keep. */
  async #keepBytes(
    { maxUsedBytes, minFreeBytes, reservedBytes }: PruneOptions,
    totalBytes: number,
  ): Promise<number | undefined> {
    if (maxUsedBytes === 0 && minFreeBytes === 0 && reservedBytes === 0) return undefined;
    let keep = maxUsedBytes === 0 ? undefined : maxUsedBytes;
    if (minFreeBytes > 0) {
      const missing = minFreeBytes - (await this.#freeBytes());
      if (missing > 0 || keep === undefined)
        keep = Math.min(keep ?? totalBytes, totalBytes - Math.max(0, missing));
    }
    return Math.max(keep ?? 0, reservedBytes);
  }
}
