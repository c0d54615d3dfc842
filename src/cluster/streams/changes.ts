// What a container has changed of its image's files: docker diff, and the layer that a commit makes of it. Process 1 lists the image's
// files when it starts, and compares.

import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { pause } from '../../async/pause';
import type { FilesystemChange } from '../../docker/types';
import { DaemonError } from '../../errors';
import { nonEmptyLayer } from '../../storage/tar/non-empty-layer';
import type { ClusterContainer } from '../records/cluster-container';
import type { Supervisor } from '../supervisor/supervisor';
import { filesOf } from './files';
import { jobStream, readJob } from './jobs';
import type { ContainerReach } from './reach';

/** Half a million paths of usual length. */
const maxListBytes = 64 * 1024 * 1024;
const kinds: Readonly<Record<string, 0 | 1 | 2>> = { C: 0, A: 1, D: 2 };
/** One number. */
const maxUsageBytes = 4096;
/** Between questions whether all is listed: they become longer. A list takes milliseconds, of large images on busy nodes seconds. */
const firstAskMs = 25;
const lastAskMs = 1_000;
const longestListMs = 120_000;

export async function fileChanges(
  reach: ContainerReach,
  container: ClusterContainer,
): Promise<FilesystemChange[] | null> {
  // Nothing has ever run there, and nothing was copied into it.
  if (reach.supervisor(container) === undefined) return null;
  const supervisor = await filesOf(reach, container);
  await whenListed(supervisor);
  const { output, code, message } = await readJob(supervisor, { kind: 'changes' }, maxListBytes);
  if (code !== 0) throw new DaemonError('Internal', message);
  const changes = output
    .toString()
    .split('\0')
    .filter((record) => record !== '')
    .map((record) => ({ Path: record.slice(1), Kind: kinds[record.charAt(0)] ?? 0 }));
  return changes.length === 0 ? null : changes;
}

/**
 * The changes as a layer's tar, which the container has the last word on: undefined for none. Also of a container that runs: files that
 * change meanwhile are as they are found.
 */
export async function changedLayer(
  reach: ContainerReach,
  container: ClusterContainer,
  signal: AbortSignal,
): Promise<Readable | undefined> {
  if (reach.supervisor(container) === undefined) return undefined;
  const supervisor = await filesOf(reach, container, signal);
  await whenListed(supervisor, signal);
  return nonEmptyLayer(jobStream(await supervisor.job({ kind: 'layer' }, signal), signal));
}

/**
 * Resolves when the image's files are listed. A command that is started before may remove some that are not: nobody would know. Throws
 * Internal in the supervisor's words.
 */
export async function whenListed(supervisor: Supervisor, signal?: AbortSignal): Promise<void> {
  const deadline = performance.now() + longestListMs;
  for (let pauseMs = firstAskMs; ; pauseMs = Math.min(pauseMs * 2, lastAskMs)) {
    const { code, message } = await readJob(supervisor, { kind: 'usage' }, maxUsageBytes, signal);
    if (code === 0) return;
    if (code !== constants.errno.ENOENT || performance.now() > deadline)
      throw new DaemonError('Internal', message);
    await pause(pauseMs, signal ?? new AbortController().signal);
  }
}
