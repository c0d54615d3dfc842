// What the API calls of a container's streams and files, and of its processes.

import type {
  AttachOptions,
  ContainerBackend,
  ContainerFileBackend,
  ContainerStreamBackend,
  LogLine,
  LogsOptions,
  OpenStream,
} from '../../api/v1.41/backend';
import type {
  ContainerPathStat,
  ContainerStats,
  ContainerTopResponse,
  FilesystemChange,
} from '../../docker/types';
import { notRunning } from '../../semantics/containers/container-refusals';
import { isActive } from '../../semantics/containers/container-state';
import { AgentError } from '../../vm/contract/agent-error';
import { attachToCluster } from './attach';
import { fileChanges } from './changes';
import { archivePath, copyPath, exportFiles, extractArchive, statPath } from './files';
import { clusterLogs } from './logs';
import type { ContainerReach } from './reach';
import type { RunHubs } from './run-hubs';
import { clusterStats } from './stats';
import { clusterTop } from './top';

export class ClusterStreams
  implements ContainerStreamBackend, ContainerFileBackend, Pick<ContainerBackend, 'top' | 'resize'>
{
  readonly #reach: ContainerReach;
  readonly #hubs: RunHubs;

  constructor(reach: ContainerReach, hubs: RunHubs) {
    this.#reach = reach;
    this.#hubs = hubs;
  }

  async logs(
    ref: string,
    options: LogsOptions,
    signal: AbortSignal,
  ): Promise<{ terminal: boolean; lines: AsyncIterable<LogLine> }> {
    return clusterLogs(this.#reach, await this.#reach.get(ref), options, signal);
  }

  async attach(ref: string, options: AttachOptions, open: OpenStream): Promise<void> {
    const container = await this.#reach.get(ref);
    const logOptions: LogsOptions = {
      stdout: options.stdout,
      stderr: options.stderr,
      follow: false,
      sinceMs: 0,
      untilMs: 0,
      timestamps: false,
      details: false,
    };
    const needs = {
      reach: this.#reach,
      hubs: this.#hubs,
      readLog: (signal: AbortSignal) => clusterLogs(this.#reach, container, logOptions, signal),
    };
    await attachToCluster(needs, { container, ref }, options, open);
  }

  async stats(
    ref: string,
    options: { stream: boolean; oneShot: boolean },
    signal: AbortSignal,
  ): Promise<AsyncIterable<ContainerStats>> {
    return clusterStats(this.#reach, await this.#reach.get(ref), options, signal);
  }

  async top(ref: string, psArgs: string): Promise<ContainerTopResponse> {
    return clusterTop(this.#reach, await this.#reach.get(ref), psArgs);
  }

  async resize(ref: string, size: { rows: number; columns: number }): Promise<void> {
    const container = await this.#reach.get(ref);
    const supervisor = this.#reach.supervisor(container);
    if (supervisor === undefined || !isActive(container.state)) throw notRunning(container);
    try {
      await supervisor.resize(size);
    } catch (error) {
      if (error instanceof AgentError) throw notRunning(container);
      throw error;
    }
    this.#reach.publish('resize', container, { height: String(size.rows), width: String(size.columns) });
  }

  async changes(ref: string): Promise<FilesystemChange[] | null> {
    return fileChanges(this.#reach, await this.#reach.get(ref));
  }

  async export(ref: string, signal: AbortSignal): Promise<NodeJS.ReadableStream> {
    return exportFiles(this.#reach, await this.#reach.get(ref), signal);
  }

  async archiveStat(ref: string, path: string): Promise<ContainerPathStat> {
    return statPath(this.#reach, { container: await this.#reach.get(ref), ref }, path);
  }

  async archiveGet(
    ref: string,
    path: string,
    signal: AbortSignal,
  ): Promise<{ stat: ContainerPathStat; archive: NodeJS.ReadableStream }> {
    return archivePath(this.#reach, { container: await this.#reach.get(ref), ref }, path, signal);
  }

  async copy(ref: string, path: string, signal: AbortSignal): Promise<NodeJS.ReadableStream> {
    return copyPath(this.#reach, { container: await this.#reach.get(ref), ref }, path, signal);
  }

  async archivePut(
    ref: string,
    path: string,
    archive: NodeJS.ReadableStream,
    options: { noOverwriteDirNonDir: boolean; copyUidGid: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    const container = await this.#reach.get(ref);
    await extractArchive(this.#reach, { container, ref }, path, archive, options, signal);
  }
}
