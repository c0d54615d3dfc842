// docker cp: what a path in a container is, a tar of it, and a tar unpacked there.

import { constants } from 'node:os';
import type { Duplex, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Gunzip } from 'node:zlib';
import type { ContainerPathStat } from '../../docker/types';
import { DaemonError } from '../../errors';
import {
  createDecompressor,
  gzipFailure,
  peekCompression,
  toolFailure,
} from '../../storage/layers/compression';
import type { Agent } from '../../vm/contract/agent';
import { isBrokenPipe } from '../../vm/agent/input-channel';
import { withFiles, type FileAccess, type FileJobAccess } from './container-files';
import type { Container } from '../core/container-registry';
import { eventAttributes } from '../../semantics/containers/container-record';
import { JobError, readJob } from '../streams/file-jobs';
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
import type { Announcer } from '../../semantics/events/event-publisher';

/** What copying from and to a container works with. */
export type ArchiveNeeds = FileJobAccess & Announcer;

/** Three paths at most, and some numbers. */
const maxStatBytes = 16_384;

/** A container, and what the client called it. */
export interface Named {
  container: Container;
  ref: string;
}

export async function statPath(
  engine: FileJobAccess,
  { container, ref }: Named,
  path: string,
): Promise<ContainerPathStat> {
  return withFiles(
    engine,
    container,
    async (agent) => (await inquire(engine, agent, { container, ref }, path)).stat,
  );
}

/** The stream ends the job if it is closed early; a container that does not run is kept from starting meanwhile. */
export async function archivePath(
  engine: ArchiveNeeds,
  { container, ref }: Named,
  path: string,
  signal: AbortSignal,
): Promise<{ stat: ContainerPathStat; archive: Readable }> {
  const result = await streamed(engine, container, async (agent) => {
    const { stat } = await inquire(engine, agent, { container, ref }, path);
    const job = await engine.fileJobs.start(
      agent,
      container.id,
      { kind: 'archive', path: absolutePath(path), name: baseName(absolutePath(path)) },
      signal,
    );
    return { stat, stream: job.output, done: job.done };
  });
  engine.events.publish('container', 'archive-path', container.id, eventAttributes(container.record));
  return { stat: result.stat, archive: result.stream };
}

/** For clients before API 1.24: a tar of the file that the path leads to, or of what is in the directory. */
export async function copyPath(
  engine: ArchiveNeeds,
  { container, ref }: Named,
  path: string,
  signal: AbortSignal,
): Promise<Readable> {
  const { stream } = await streamed(engine, container, async (agent) => {
    const { target, targetMode } = await inquire(engine, agent, { container, ref }, path);
    if (targetMode === 0) throw noSuchFile(path, ref);
    const what = isDirectoryMode(targetMode)
      ? { path: absolutePath(`${target}/.`), name: '' }
      : { path: target, name: baseName(target) };
    const job = await engine.fileJobs.start(agent, container.id, { kind: 'archive', ...what }, signal);
    return { stream: job.output, done: job.done };
  });
  engine.events.publish('container', 'copy', container.id, eventAttributes(container.record));
  return stream;
}

/** Resolves when everything is unpacked. */
export async function extractArchive(
  engine: ArchiveNeeds,
  { container, ref }: Named,
  path: string,
  archive: NodeJS.ReadableStream,
  options: { noOverwriteDirNonDir: boolean; copyUidGid: boolean },
  signal: AbortSignal,
): Promise<void> {
  await withFiles(engine, container, async (agent) => {
    const { target, targetMode } = await inquire(engine, agent, { container, ref }, path);
    if (!isDirectoryMode(targetMode)) {
      throw new DaemonError('Internal', 'extraction point is not a directory');
    }
    requireWritable(container.record, target);
    const job = await engine.fileJobs.start(
      agent,
      container.id,
      {
        kind: 'extract',
        path: target,
        noOverwriteDirNonDir: options.noOverwriteDirNonDir,
        ...extractOwner(options.copyUidGid ? container.record.config.User : ''),
      },
      signal,
    );
    job.output.resume();
    const failed = job.done.catch((error: unknown) => {
      throw error instanceof JobError ? new DaemonError('Internal', `${untarFailed}${error.message}`) : error;
    });
    failed.catch(() => undefined);
    let plain: Duplex | undefined;
    try {
      const peeked = peekCompression(archive as AsyncIterable<Buffer>);
      const { compression, stream } = await Promise.race([peeked, failed.then(() => peeked)]);
      const decompressor = (plain = createDecompressor(compression));
      // A client that sends nothing for now waits for the job, too.
      failed.catch((error: unknown) => decompressor.destroy(error as Error));
      pipeline(stream, decompressor).catch((error: unknown) => decompressor.destroy(error as Error)); // streams reject with an Error
      let isWanted = true;
      for await (const chunk of decompressor as AsyncIterable<Buffer>)
        isWanted &&= await isTaken(job.input.write(chunk), failed);
    } catch (error) {
      const broken =
        gzipFailure(error, (plain as Partial<Gunzip> | undefined)?.bytesWritten ?? 0) ?? toolFailure(error);
      // The job unpacks what came before the broken part; one that has given up reads no more. Its reason is the better one.
      if (broken === undefined) job.output.destroy();
      else job.input.end();
      await failed;
      if (broken === undefined) throw error;
      throw new DaemonError('Internal', `Error processing tar file(${broken}): `, { cause: error });
    }
    job.input.end();
    await failed;
  });
  engine.events.publish('container', 'extract-to-dir', container.id, eventAttributes(container.record));
}

/** False: the archive has ended before its stream. The rest is read and dropped, as dockerd does. Rejects as the job does. */
async function isTaken(written: Promise<void>, over: Promise<void>): Promise<boolean> {
  try {
    await Promise.race([written, over]);
    return true;
  } catch (error) {
    if (!isBrokenPipe(error)) throw error;
    await over;
    return false;
  }
}

/** docker export. */
export async function exportContainer(
  engine: ArchiveNeeds,
  container: Container,
  signal: AbortSignal,
): Promise<Readable> {
  const { stream } = await streamed(engine, container, async (agent) => {
    const job = await engine.fileJobs.start(agent, container.id, { kind: 'export' }, signal);
    return { stream: job.output, done: job.done };
  });
  engine.events.publish('container', 'export', container.id, eventAttributes(container.record));
  return stream;
}

/** Resolves as soon as there is a stream, and holds the container's files until that is over. */
function streamed<T extends { stream: Readable; done: Promise<void> }>(
  engine: FileAccess,
  container: Container,
  begin: (agent: Agent) => Promise<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    withFiles(engine, container, async (agent) => {
      const begun = await begin(agent);
      resolve(begun);
      await begun.done.catch(() => undefined);
    }).catch(reject);
  });
}

async function inquire(
  engine: Pick<FileJobAccess, 'fileJobs'>,
  agent: Agent,
  { container, ref }: Named,
  path: string,
): Promise<PathInfo> {
  const job = await engine.fileJobs.start(
    agent,
    container.id,
    { kind: 'stat', path: absolutePath(path) },
    new AbortController().signal,
  );
  try {
    return parsePathInfo(await readJob(job, maxStatBytes), path);
  } catch (error) {
    if (error instanceof JobError && error.errno === constants.errno.ENOENT) {
      throw noSuchFile(path, ref);
    }
    throw asDaemonError(error);
  }
}

function asDaemonError(error: unknown): Error {
  if (!(error instanceof JobError)) return error as Error;
  return new DaemonError('Internal', error.message, { cause: error });
}
