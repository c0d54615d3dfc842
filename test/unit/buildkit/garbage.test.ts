import type { CacheRecord, CacheRecords, PruneOptions } from '../../../src/buildkit/contract/cache-records';
import { collectGarbage } from '../../../src/buildkit/garbage';

const hourMs = 3_600_000;
const record = (id: string, more: Partial<CacheRecord>): CacheRecord => ({
  ...{ id, parents: [], type: 'regular', description: '', sizeBytes: 100e6, createdAtMs: 0 },
  ...{ lastUsedAtMs: undefined, usageCount: 0, inUse: false, mutable: false, shared: false },
  ...more,
});

/** As the solver's, over a list. */
class Records implements CacheRecords {
  records: CacheRecord[];
  constructor(records: CacheRecord[]) {
    this.records = records;
  }
  list(): Promise<CacheRecord[]> {
    return Promise.resolve(this.records);
  }
  // eslint-disable-next-line @typescript-eslint/require-await -- an AsyncIterable is asked for
  async *prune(options: PruneOptions): AsyncGenerator<CacheRecord, void, undefined> {
    const used = (): number => this.records.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    for (const each of [...this.records].sort((a, b) => a.createdAtMs - b.createdAtMs)) {
      if (used() <= options.maxUsedBytes) return;
      const isYoung = Date.now() - each.createdAtMs < options.keepDurationMs;
      if (!options.matches(each) || isYoung || (each.shared && !options.all)) continue;
      this.records = this.records.filter((other) => other !== each);
      yield each;
    }
  }
}

const never = new AbortController().signal;
const ago = (hours: number): { createdAtMs: number } => ({ createdAtMs: Date.now() - hours * hourMs });

test('a cache within its bounds is left alone', async () => {
  const records = new Records([record('a', ago(9999))]);
  expect(await collectGarbage(records, 1e9, never)).toBe(0);
});

test('first goes what can be had again, then what is oldest, and what images share comes last', async () => {
  const records = new Records([
    record('old', { ...ago(61 * 24), sizeBytes: 300e6 }),
    record('mount', { ...ago(49), type: 'exec.cachemount' }),
    record('young mount', { ...ago(1), type: 'exec.cachemount' }),
    record('shared', { ...ago(9999), shared: true, sizeBytes: 300e6 }),
    record('young', ago(2)),
  ]);
  expect(await collectGarbage(records, 600e6, never)).toBe(400e6);
  expect(records.records.map(({ id }) => id)).toEqual(['young mount', 'shared', 'young']);
  expect(await collectGarbage(records, 350e6, never)).toBe(200e6);
  expect(records.records.map(({ id }) => id)).toEqual(['shared']);
});
