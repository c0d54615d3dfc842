// The cache's own care for its size: what BuildKit's default policy is, without anybody asking.

import type { CacheRecords, CacheRecordType, PruneOptions } from './contract/cache-records';

const hourMs = 3_600_000;
/** What can be had again easily goes first. */
const cheapTypes: readonly CacheRecordType[] = ['source.local', 'exec.cachemount', 'source.git.checkout'];
const cheapKeptMs = 48 * hourMs;
const cheapBytes = 512 * 1000 * 1000;
const keptMs = 60 * 24 * hourMs;

type Policy = Pick<PruneOptions, 'matches' | 'all' | 'keepDurationMs' | 'maxUsedBytes'>;

function policies(maxUsedBytes: number): Policy[] {
  const any = { matches: () => true, all: false, keepDurationMs: 0, maxUsedBytes };
  return [
    {
      ...any,
      matches: ({ type }) => cheapTypes.includes(type),
      keepDurationMs: cheapKeptMs,
      maxUsedBytes: Math.min(cheapBytes, maxUsedBytes),
    },
    { ...any, keepDurationMs: keptMs },
    any,
    { ...any, all: true },
  ];
}

/** Removes records, those used least recently first, until the cache has no more than `maxUsedBytes`. Returns how many bytes went. */
export async function collectGarbage(
  records: CacheRecords,
  maxUsedBytes: number,
  signal: AbortSignal,
): Promise<number> {
  let bytes = 0;
  for (const policy of policies(maxUsedBytes)) {
    const options = { ...policy, reservedBytes: 0, minFreeBytes: 0 };
    for await (const { sizeBytes } of records.prune(options, signal)) bytes += sizeBytes;
  }
  return bytes;
}
