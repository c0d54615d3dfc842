// The long tail: cases that look at one more value of what a main case proves. A run takes all main cases and one shard of
// the tail, which scripts/test.sh chooses by the commit and names in CAISSON_TEST_SHARD; without it, everything runs.

import { createHash } from 'node:crypto';
import { appendFileSync } from 'node:fs';

// scripts/test.sh reads this line; another number moves every case to another shard
export const shardCount = 8;

/** Which shard of the tail has the case: 1 to `shardCount`, by its name alone, so that another case moves none. */
export function shardOf(name: string): number {
  return (createHash('sha256').update(name).digest().readUInt32BE(0) % shardCount) + 1;
}

/** `core` is a run without any of the tail. Throws on a value that is none. */
export function wantedShard(value = process.env['CAISSON_TEST_SHARD']): number | 'all' | 'core' {
  if (value === undefined || value === '' || value === 'all') return 'all';
  if (value === 'core') return 'core';
  const shard = Number(value);
  if (Number.isInteger(shard) && shard >= 1 && shard <= shardCount) return shard;
  throw new Error(`CAISSON_TEST_SHARD is ${value}, not 1 to ${shardCount}, core or all`);
}

/** Whether this run takes the case of the tail; one that it leaves out is noted for the total (CAISSON_TEST_LEFT_OUT). */
export function tailRuns(name: string, wanted = wantedShard()): boolean {
  const runs = wanted === 'all' || wanted === shardOf(name);
  const note = process.env['CAISSON_TEST_LEFT_OUT'];
  if (!runs && note !== undefined) appendFileSync(note, `${name}\n`);
  return runs;
}
