// docker diff.

import type { FilesystemChange } from '../api/v1.41/types';
import { withFiles } from './container-files';
import type { Container } from './container-registry';
import type { Engine } from './engine';
import { readJob } from './file-jobs';

/** Half a million paths of usual length. */
const maxListBytes = 64 * 1024 * 1024;
const kinds: Readonly<Record<string, 0 | 1 | 2>> = { C: 0, A: 1, D: 2 };

export async function containerChanges(
  engine: Engine,
  container: Container,
): Promise<FilesystemChange[] | null> {
  const { signal } = new AbortController();
  const list = await withFiles(engine, container, async (agent) =>
    readJob(await engine.fileJobs.start(agent, container.id, { kind: 'changes' }, signal), maxListBytes),
  );
  const changes = list
    .toString()
    .split('\0')
    .filter((record) => record !== '')
    .map((record) => ({ Path: record.slice(1), Kind: kinds[record.charAt(0)] ?? 0 }));
  return changes.length === 0 ? null : changes;
}
