// backends/: what the API calls. A method finds the thing that is meant and hands over to the folder of its verb;
// create-engine.ts composes what they all work on.
//
// The container verbs the API calls. Each finds its container and hands over to the file of its verb.

import type { Readable } from 'node:stream';
import type {
  AttachOptions,
  CommitOptions,
  Backend,
  Filters,
  LogLine,
  LogsOptions,
  OpenStream,
} from '../../api/v1.41/backend';
import type {
  ContainerCreateBody,
  ContainerCreateResponse,
  ContainerInspect,
  ContainerPathStat,
  ContainerPruneResponse,
  ContainerSummary,
  ContainerTopResponse,
  ContainerStats,
  ContainerWaitResponse,
  FilesystemChange,
  HostConfig,
} from '../../docker/types';
import { DaemonError } from '../../errors';
import { archivePath, copyPath, exportContainer, extractArchive, statPath } from '../files/archive';
import { attachToContainer } from '../sessions/attach';
import { containerChanges } from '../files/changes';
import { guestWrittenBytes } from '../files/written-bytes';
import { checkpointsOf, createCheckpoint, type CheckpointRequest } from '../lifecycle/checkpoint';
import { commitContainer } from '../images/commit';
import { createContainer, type CreateOptions } from '../create/create';
import { replaceHostConfig } from '../create/host-config-at-start';
import { renewNames } from '../networks/connect';
import { inspectContainer, type InspectSources } from '../views/inspect';
import { containerLogs } from '../logs/container-logs';
import { containerSizes } from '../views/sizes';
import { ContainerList } from '../../semantics/views/list';
import type { HealthSource } from '../../semantics/containers/health';
import { parseContainerName } from '../../semantics/containers/container-names';
import { eventAttributes } from '../../semantics/containers/container-record';
import type { Container } from '../core/container-registry';
import { pruneContainers, removeContainer } from '../lifecycle/remove';
import { startContainer } from '../lifecycle/start';
import type { GuestStats } from '../views/stats';
import {
  killContainer,
  pauseContainer,
  requireSignal,
  stopContainer,
  unpauseContainer,
} from '../lifecycle/stop';
import { restartContainer } from '../lifecycle/restart';
import { requireActive } from '../../semantics/containers/container-refusals';
import { requirePod } from '../vms/guest-access';
import { containerTop } from '../views/top';
import { updateContainer } from '../lifecycle/update';
import { isActive } from '../../semantics/containers/container-state';
import type { Engine } from '../engine';
import type { ContainerLogStore } from '../logs/container-log-store';

/** All that the API asks of containers. */
type ContainersBackend = Backend['containers'];

export interface ContainersParts {
  readonly engine: Engine;
  readonly logs: ContainerLogStore;
  readonly health: HealthSource;
  readonly stats: GuestStats;
}

export class Containers implements ContainersBackend {
  readonly #engine: Engine;
  readonly #logs: ContainerLogStore;
  readonly #stats: GuestStats;
  readonly #list: ContainerList<Container>;
  readonly #sources: InspectSources;

  constructor({ engine, logs, health, stats }: ContainersParts) {
    this.#stats = stats;
    this.#engine = engine;
    this.#logs = logs;
    const sources = {
      ...engine,
      health,
      writtenBytes: (container: Container): Promise<number | undefined> =>
        guestWrittenBytes(engine, container),
    };
    this.#sources = sources;
    this.#list = new ContainerList({
      ...sources,
      sizes: (container: Container) => containerSizes(container, sources),
    });
  }

  create(body: ContainerCreateBody, options: CreateOptions): Promise<ContainerCreateResponse> {
    return createContainer(this.#engine, body, options);
  }

  list(options: {
    all: boolean;
    limit: number;
    size: boolean;
    filters: Filters;
  }): Promise<ContainerSummary[]> {
    return this.#list.list(options);
  }

  async inspect(ref: string, options: { size: boolean }): Promise<ContainerInspect> {
    return inspectContainer(this.#get(ref), this.#sources, options);
  }

  async start(
    ref: string,
    options: { checkpoint?: string; checkpointDir?: string; detachKeys?: string; hostConfig?: HostConfig },
  ): Promise<void> {
    const container = this.#get(ref);
    const { checkpoint = '', checkpointDir = '', hostConfig } = options;
    if (checkpoint === '') {
      await container.operations.run(async () => {
        if (hostConfig !== undefined) await replaceHostConfig(this.#engine, container, hostConfig);
        await startContainer(this.#engine, container);
      });
      return;
    }
    if (!this.#engine.config.experimental) {
      throw new DaemonError('InvalidParameter', 'checkpoint is only supported in experimental mode');
    }
    const store = checkpointsOf(this.#engine, container, `/${container.name}`, checkpointDir);
    await container.operations.run(() =>
      startContainer(this.#engine, container, () => store.find(checkpoint)),
    );
  }

  async checkpointCreate(ref: string, request: CheckpointRequest): Promise<void> {
    await createCheckpoint(this.#engine, this.#get(ref), ref, request);
  }

  checkpointList(ref: string, directory: string): Promise<string[]> {
    return checkpointsOf(this.#engine, this.#get(ref), ref, directory).list(directory === '');
  }

  async checkpointDelete(ref: string, name: string, directory: string): Promise<void> {
    await checkpointsOf(this.#engine, this.#get(ref), ref, directory).remove(name);
  }

  async stop(ref: string, options: { timeoutSeconds?: number; signal?: string }): Promise<void> {
    await stopContainer(this.#engine, this.#get(ref), options);
  }

  async restart(ref: string, options: { timeoutSeconds?: number; signal?: string }): Promise<void> {
    await restartContainer(this.#engine, this.#get(ref), { ref, ...options });
  }

  async kill(ref: string, options: { signal?: string }): Promise<void> {
    requireSignal(options.signal); // before the name, as dockerd
    const container = this.#engine.registry.find(ref);
    if (container === undefined) {
      throw new DaemonError('NotFound', `Cannot kill container: ${ref}: No such container: ${ref}`);
    }
    await killContainer(this.#engine, container, { ref, ...options });
  }

  async pause(ref: string): Promise<void> {
    const container = this.#get(ref);
    await container.operations.run(() => pauseContainer(this.#engine, container));
  }

  async unpause(ref: string): Promise<void> {
    const container = this.#get(ref);
    await container.operations.run(() => unpauseContainer(this.#engine, container));
  }

  async rename(ref: string, given: string): Promise<void> {
    if (given === '') throw new DaemonError('InvalidParameter', 'Neither old nor new names may be empty');
    const container = this.#get(ref);
    await container.operations.run(() => {
      this.#rename(container, given);
      return isActive(container.state) ? renewNames(this.#engine, container) : Promise.resolve();
    });
  }

  async resize(ref: string, size: { rows: number; columns: number }): Promise<void> {
    const container = this.#get(ref);
    // Kept for the process that a start about to come will make, whatever the answer now is.
    if (!isActive(container.state) && container.record.config.Tty) {
      this.#engine.consoleSizes.set(container.id, size);
    }
    requireActive(container);
    await container.operations.run(async () => {
      const pod = await requirePod(this.#engine, container);
      if (container.record.config.Tty) {
        await pod.vm.agent.request('process.resize', { id: container.id, ...size });
      }
    });
    this.#engine.events.publish('container', 'resize', container.id, {
      ...eventAttributes(container.record),
      height: String(size.rows),
      width: String(size.columns),
    });
  }

  async top(ref: string, psArgs: string): Promise<ContainerTopResponse> {
    return containerTop(this.#engine, this.#get(ref), psArgs);
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- a refusal is a rejection
  async wait(
    ref: string,
    condition: 'not-running' | 'next-exit' | 'removed',
    signal: AbortSignal,
  ): Promise<{ exit: Promise<ContainerWaitResponse> }> {
    const exit = this.#engine.waits.wait(this.#get(ref), condition, signal);
    exit.catch(() => undefined); // the caller may be gone before it looks
    return { exit };
  }

  async remove(ref: string, options: { force: boolean; volumes: boolean; link: boolean }): Promise<void> {
    await removeContainer(this.#engine, ref, options);
  }

  prune(filters: Filters): Promise<ContainerPruneResponse> {
    return pruneContainers(this.#engine, filters);
  }

  async logs(
    ref: string,
    options: LogsOptions,
    signal: AbortSignal,
  ): Promise<{ terminal: boolean; lines: AsyncIterable<LogLine> }> {
    const container = this.#get(ref);
    // What comes can be followed when it has somebody who writes it down.
    if (options.follow) await this.#engine.adoptions.settled(container);
    return containerLogs(container, this.#logs, options, signal);
  }

  async attach(ref: string, options: AttachOptions, open: OpenStream): Promise<void> {
    const container = this.#get(ref);
    await attachToContainer(container, options, open, {
      ref,
      hub: this.#engine.hubs.of(container.id),
      readLog: (signal, onRead) =>
        containerLogs(
          container,
          this.#logs,
          {
            stdout: options.stdout,
            stderr: options.stderr,
            follow: false,
            sinceMs: 0,
            untilMs: 0,
            timestamps: false,
            details: false,
          },
          signal,
          onRead,
        ).lines,
      publish: (action) =>
        this.#engine.events.publish('container', action, container.id, eventAttributes(container.record)),
    });
  }

  async update(ref: string, body: Record<string, unknown>): Promise<{ Warnings: string[] | null }> {
    const container = this.#get(ref);
    return container.operations.run(() => updateContainer(this.#engine, container, body));
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- a refusal is a rejection
  async stats(
    ref: string,
    options: { stream: boolean; oneShot: boolean },
    signal: AbortSignal,
  ): Promise<AsyncIterable<ContainerStats>> {
    return this.#stats.stream(this.#get(ref), options, signal);
  }

  changes(ref: string): Promise<FilesystemChange[] | null> {
    return containerChanges(this.#engine, this.#get(ref));
  }

  export(ref: string, signal: AbortSignal): Promise<Readable> {
    return exportContainer(this.#engine, this.#get(ref), signal);
  }

  archiveStat(ref: string, path: string): Promise<ContainerPathStat> {
    return statPath(this.#engine, { container: this.#get(ref), ref }, path);
  }

  archiveGet(
    ref: string,
    path: string,
    signal: AbortSignal,
  ): Promise<{ stat: ContainerPathStat; archive: Readable }> {
    return archivePath(this.#engine, { container: this.#get(ref), ref }, path, signal);
  }

  copy(ref: string, path: string, signal: AbortSignal): Promise<Readable> {
    return copyPath(this.#engine, { container: this.#get(ref), ref }, path, signal);
  }

  archivePut(
    ref: string,
    path: string,
    archive: NodeJS.ReadableStream,
    options: { noOverwriteDirNonDir: boolean; copyUidGid: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    return extractArchive(this.#engine, { container: this.#get(ref), ref }, path, archive, options, signal);
  }

  commit(options: CommitOptions): Promise<{ Id: string }> {
    if (options.container === '') {
      throw new DaemonError('InvalidParameter', 'invalid name or ID supplied: ""');
    }
    return commitContainer(this.#engine, this.#get(options.container), options);
  }

  #get(ref: string): Container {
    return this.#engine.registry.get(ref);
  }

  #rename(container: Container, given: string): void {
    const before = container.name;
    const failed = 'Error when allocating new name: ';
    if (given.replace(/^\//, '') === before) {
      throw new DaemonError(
        'InvalidParameter',
        'Renaming a container with the same name as its current name',
      );
    }
    try {
      this.#engine.registry.rename(container, parseContainerName(given, `/${given.replace(/^\//, '')}`));
    } catch (error) {
      if (!(error instanceof DaemonError)) throw error;
      throw new DaemonError(error.code, `${failed}${error.message}`, { cause: error });
    }
    this.#engine.events.publish('container', 'rename', container.id, {
      ...eventAttributes(container.record),
      oldName: `/${before}`,
    });
  }
}
