import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { shardCount } from '../../support/shards';
import { projectDir } from '../../support/process/project-dir';

const { dear, leftOut } = jest.requireActual<{
  dear: Record<'odd' | 'even', string[]>;
  leftOut: (shard?: string) => string[];
}>('../../support/dear-files.cjs');
const both = [...dear.odd, ...dear.even];
const shards = Array.from({ length: shardCount }, (_, index) => String(index + 1));

test.each(both)('%s is a file of tests, named once', (file) => {
  expect(existsSync(join(projectDir, 'test', `${file}.test.ts`))).toBe(true);
  expect(both.filter((other) => other === file)).toHaveLength(1);
});

test('each shard takes one half, a run of everything both, one of the main cases none', () => {
  const counts = [...shards, 'all', 'core'].map((shard) => leftOut(shard).length);
  const { odd, even } = dear;
  expect(counts.slice(0, 2)).toEqual([even.length, odd.length]);
  expect(counts.slice(-2)).toEqual([0, both.length]);
  for (const pattern of both) {
    const takers = shards.filter(
      (shard) => !leftOut(shard).some((left) => new RegExp(left).test(`/x/test/${pattern}.test.ts`)),
    );
    expect(takers).toHaveLength(shardCount / 2);
  }
});
