// docker cp and export: the supervisor's jobs, in the container's own file system.

import { constants } from 'node:os';
import type { Duplex, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Gunzip } from 'node:zlib';
import type { ContainerPathStat } from '../../docker/types';
import { DaemonError } from '../../errors';
import { isDirectoryMode } from '../../go/file-mode';
import {
  absolutePath,
  baseName,
  extractOwner,
  noSuchFile,
  parsePathInfo,
  requireWritable,
  untarFailed,
  type PathInfo,
} from '../../semantics/files/archive-paths';
import { isActive } from '../../semantics/containers/container-state';
import {
  createDecompressor,
  gzipFailure,
  peekCompression,
  toolFailure,
} from '../../storage/layers/compression';
import type { ClusterContainer } from '../records/cluster-container';
import type { SupervisorJob } from '../supervisor/protocol';
import type { RunningProcess, Supervisor } from '../supervisor/supervisor';
import { jobStream, readJob } from './jobs';
import type { ContainerReach } from './reach';

/** Three paths at most, and some numbers. */
const maxStatBytes = 16_384;

/** A container, and what the client called it. */
export interface Named {
  container: ClusterContainer;
  ref: string;
}

export async function statPath(
  reach: ContainerReach,
  named: Named,
  path: string,
): Promise<ContainerPathStat> {
  return (await inquire(await filesOf(reach, named.container), named, path)).stat;
}

export async function archivePath(
  reach: ContainerReach,
  named: Named,
  path: string,
  signal: AbortSignal,
): Promise<{ stat: ContainerPathStat; archive: Readable }> {
  const supervisor = await filesOf(reach, named.container, signal);
  const { stat } = await inquire(supervisor, named, path);
  const job = { kind: 'archive', path: absolutePath(path), name: baseName(absolutePath(path)) } as const;
  const archive = await openStream(supervisor, job, signal);
  reach.publish('archive-path', named.container);
  return { stat, archive };
}

/** For clients before API 1.24: a tar of the file that the path leads to, or of what is in the directory. */
export async function copyPath(
  reach: ContainerReach,
  named: Named,
  path: string,
  signal: AbortSignal,
): Promise<Readable> {
  const supervisor = await filesOf(reach, named.container, signal);
  const { target, targetMode } = await inquire(supervisor, named, path);
  if (targetMode === 0) throw noSuchFile(path, named.ref);
  const what = isDirectoryMode(targetMode)
    ? { path: absolutePath(`${target}/.`), name: '' }
    : { path: target, name: baseName(target) };
  const archive = await openStream(supervisor, { kind: 'archive', ...what }, signal);
  reach.publish('copy', named.container);
  return archive;
}

export async function exportFiles(
  reach: ContainerReach,
  container: ClusterContainer,
  signal: AbortSignal,
): Promise<Readable> {
  const archive = await openStream(await filesOf(reach, container, signal), { kind: 'export' }, signal);
  reach.publish('export', container);
  return archive;
}

/** Resolves when everything is unpacked. */
export async function extractArchive(
  reach: ContainerReach,
  named: Named,
  path: string,
  archive: NodeJS.ReadableStream,
  options: { noOverwriteDirNonDir: boolean; copyUidGid: boolean },
  signal: AbortSignal,
): Promise<void> {
  const { container } = named;
  const supervisor = await filesOf(reach, container, signal);
  const { target, targetMode } = await inquire(supervisor, named, path);
  if (!isDirectoryMode(targetMode)) {
    throw new DaemonError('Internal', 'extraction point is not a directory');
  }
  requireWritable(container.record, target);
  const running = await supervisor.job(
    {
      kind: 'extract',
      path: target,
      noOverwriteDirNonDir: options.noOverwriteDirNonDir,
      ...extractOwner(options.copyUidGid ? container.record.config.User : ''),
    },
    signal,
  );
  const close = (): void => running.close();
  signal.addEventListener('abort', close, { once: true });
  try {
    await unpack(running, archive);
  } finally {
    signal.removeEventListener('abort', close);
    close();
  }
  reach.publish('extract-to-dir', container);
}

async function unpack(running: RunningProcess, archive: NodeJS.ReadableStream): Promise<void> {
  const done = settled(running);
  done.catch(() => undefined);
  let plain: Duplex | undefined;
  try {
    const peeked = peekCompression(archive as AsyncIterable<Buffer>);
    const { compression, stream } = await Promise.race([peeked, done.then(() => peeked)]);
    const decompressor = (plain = createDecompressor(compression));
    // A client that sends nothing for now waits for the job, too.
    done.catch((error: unknown) => decompressor.destroy(error as Error)); // jobs reject with an Error
    pipeline(stream, decompressor).catch((error: unknown) => decompressor.destroy(error as Error)); // streams, too
    let isWanted = true;
    for await (const chunk of decompressor as AsyncIterable<Buffer>) {
      // The archive may end before its stream: the rest is read and dropped, as dockerd does.
      // A session that is over takes nothing more: its job tells why.
      const over = (): Promise<false> => done.then(() => false);
      if (isWanted)
        isWanted = await Promise.race([running.input.write(chunk).then(() => true, over), over()]);
    }
  } catch (error) {
    const broken =
      gzipFailure(error, (plain as Partial<Gunzip> | undefined)?.bytesWritten ?? 0) ?? toolFailure(error);
    if (broken === undefined) throw error;
    // The job unpacks what came before the broken part; its own reason is the better one.
    await running.input.end().catch(() => undefined);
    await done;
    throw new DaemonError('Internal', `Error processing tar file(${broken}): `, { cause: error });
  }
  await running.input.end().catch(() => undefined);
  await done;
}

/** Rejects as Docker words what went wrong. */
async function settled(running: RunningProcess): Promise<void> {
  const output = running.output[Symbol.asyncIterator]();
  while ((await output.next()).done !== true);
  const { code, message } = await running.exit;
  if (code !== 0) throw new DaemonError('Internal', `${untarFailed}${message}`);
}

/** Where a container's files can be got at. */
export async function filesOf(
  reach: ContainerReach,
  container: ClusterContainer,
  signal?: AbortSignal,
): Promise<Supervisor> {
  const { kind } = container.state;
  if (kind === 'removing' || kind === 'dead') {
    throw new DaemonError('Conflict', `container ${container.id} is marked for removal`);
  }
  if (!isActive(container.state)) return reach.hold(container, signal);
  return reach.supervisor(container) ?? reach.hold(container, signal);
}

async function inquire(supervisor: Supervisor, { ref }: Named, path: string): Promise<PathInfo> {
  const job = { kind: 'stat', path: absolutePath(path) } as const;
  const { output, code, message } = await readJob(supervisor, job, maxStatBytes);
  if (code === constants.errno.ENOENT) throw noSuchFile(path, ref);
  if (code !== 0) throw new DaemonError('Internal', message);
  return parsePathInfo(output, path);
}

async function openStream(
  supervisor: Supervisor,
  job: SupervisorJob,
  signal: AbortSignal,
): Promise<Readable> {
  return jobStream(await supervisor.job(job, signal), signal);
}
