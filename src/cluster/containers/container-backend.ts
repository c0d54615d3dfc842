// containers/: what Docker's container verbs mean on a cluster.
//
// The verbs the API calls. Each finds its container and hands over to the file of its verb.

import type { ContainerBackend, Filters } from '../../api/v1.41/backend';
import type {
  ContainerCreateBody,
  ContainerCreateResponse,
  ContainerInspect,
  ContainerPruneResponse,
  ContainerSummary,
  ContainerUpdateBody,
  ContainerWaitResponse,
} from '../../docker/types';
import { DaemonError, isDaemonError } from '../../errors';
import { parseContainerName } from '../../semantics/containers/container-names';
import { eventAttributes } from '../../semantics/containers/container-record';
import { isActive } from '../../semantics/containers/container-state';
import { containerInspect } from '../../semantics/views/inspect';
import { ContainerList, type ContainerSizes, type ListedImages } from '../../semantics/views/list';
import { parseSignal, sigkill } from '../../translate/signals';
import type { ClusterContainer } from '../records/cluster-container';
import type { ClusterContext } from './context';
import { createContainer } from './create';
import { killContainer } from './kill';
import { pruneContainers, removeContainer } from './remove';
import { startContainer } from './start';
import { restartContainer, stopContainer } from './stop';
import { updateContainer } from './update';

type Create = Parameters<ContainerBackend['create']>[1];

/** What of the images is at hand when containers are listed. `layerBytes`: of a layer, by its diff ID. */
export type ImageView = () => Promise<{ index: ListedImages; layerBytes: (diffId: string) => number }>;

/** Bytes that a container has written; -1 where nobody knows. */
export type WrittenBytes = (container: ClusterContainer) => Promise<number>;

/** Of the execs of a container, those that have not ended. */
export type ExecIds = (container: ClusterContainer) => Promise<readonly string[]>;

/** Where Docker shows its graph driver. */
const graphDriver = { Data: null, Name: 'kubernetes' };

/** The verbs but for what has to do with processes that run: `top` and `resize` are the supervisor's. */
export class ClusterContainers implements Omit<ContainerBackend, 'top' | 'resize'> {
  readonly #context: ClusterContext;
  readonly #images: ImageView;
  readonly #execIds: ExecIds;
  readonly #written: WrittenBytes;

  constructor(context: ClusterContext, images: ImageView, execIds: ExecIds, written: WrittenBytes) {
    this.#context = context;
    this.#images = images;
    this.#execIds = execIds;
    this.#written = written;
  }

  create(body: ContainerCreateBody, options: Create): Promise<ContainerCreateResponse> {
    return createContainer(this.#context, body, options);
  }

  async list(options: {
    all: boolean;
    limit: number;
    size: boolean;
    filters: Filters;
  }): Promise<ContainerSummary[]> {
    const images = await this.#images();
    const list = new ContainerList<ClusterContainer>({
      registry: this.#context.containers,
      images: images.index,
      health: { health: (id) => this.#context.containers.byId(id)?.record.health },
      sizes: (container) => this.#sizes(container, images),
    });
    return list.list(options);
  }

  async inspect(ref: string, options: { size: boolean }): Promise<ContainerInspect> {
    const container = await this.#get(ref);
    return containerInspect(container, this.#context.containers, {
      health: container.record.health,
      execIds: await this.#execIds(container),
      graphDriver,
      ...(options.size ? { sizes: await this.#sizes(container, await this.#images()) } : {}),
    });
  }

  async start(ref: string, options: { checkpoint?: string }): Promise<void> {
    if ((options.checkpoint ?? '') !== '')
      throw unsupported('a checkpoint', 'Kubernetes has none that goes on');
    await startContainer(this.#context, await this.#get(ref));
  }

  async stop(ref: string, options: { timeoutSeconds?: number; signal?: string }): Promise<void> {
    await stopContainer(this.#context, await this.#get(ref), options);
  }

  async restart(ref: string, options: { timeoutSeconds?: number; signal?: string }): Promise<void> {
    await restartContainer(this.#context, await this.#get(ref), { ref, ...options });
  }

  async kill(ref: string, options: { signal?: string }): Promise<void> {
    const text = options.signal ?? '';
    const signal = text === '' ? sigkill : parseSignal(text); // before the name, as dockerd
    let container: ClusterContainer;
    try {
      container = await this.#get(ref);
    } catch (error) {
      if (!isDaemonError(error, 'NotFound')) throw error;
      throw new DaemonError('NotFound', `Cannot kill container: ${ref}: No such container: ${ref}`);
    }
    await killContainer(this.#context, container, { ref, signal });
    await this.#context.events.flush();
  }

  async pause(ref: string): Promise<void> {
    await this.#get(ref);
    throw unsupported('docker pause', 'Kubernetes cannot freeze a Pod');
  }

  async unpause(ref: string): Promise<void> {
    const container = await this.#get(ref);
    throw new DaemonError('Internal', `Container ${container.id} is not paused`);
  }

  async rename(ref: string, given: string): Promise<void> {
    if (given === '') throw new DaemonError('InvalidParameter', 'Neither old nor new names may be empty');
    const container = await this.#get(ref);
    const before = container.name;
    const bare = given.replace(/^\//, '');
    if (bare === before) {
      throw new DaemonError(
        'InvalidParameter',
        'Renaming a container with the same name as its current name',
      );
    }
    try {
      await this.#context.containers.rename(container, parseContainerName(given, `/${bare}`));
    } catch (error) {
      if (!(error instanceof DaemonError)) throw error;
      throw new DaemonError(error.code, `Error when allocating new name: ${error.message}`, { cause: error });
    }
    if (isActive(container.state)) await this.#context.networks.renamed(container.record);
    this.#context.events.publish('container', 'rename', container.id, {
      ...eventAttributes(container.record),
      oldName: `/${before}`,
    });
    await this.#context.events.flush();
  }

  async wait(
    ref: string,
    condition: 'not-running' | 'next-exit' | 'removed',
    signal: AbortSignal,
  ): Promise<{ exit: Promise<ContainerWaitResponse> }> {
    const exit = this.#context.waits.wait(await this.#get(ref), condition, signal);
    exit.catch(() => undefined); // the caller may be gone before it looks
    return { exit };
  }

  async remove(ref: string, options: { force: boolean; volumes: boolean; link: boolean }): Promise<void> {
    await removeContainer(this.#context, ref, options);
  }

  async prune(filters: Filters): Promise<ContainerPruneResponse> {
    const answer = await pruneContainers(this.#context, filters);
    await this.#context.events.flush();
    return answer;
  }

  async update(ref: string, body: ContainerUpdateBody): Promise<{ Warnings: string[] | null }> {
    return updateContainer(this.#context, await this.#get(ref), body);
  }

  async #sizes(
    container: ClusterContainer,
    { layerBytes }: Awaited<ReturnType<ImageView>>,
  ): Promise<ContainerSizes> {
    const SizeRw = await this.#written(container);
    const imageBytes = container.record.layers.reduce((sum, diffId) => sum + layerBytes(diffId), 0);
    return { SizeRw, SizeRootFs: imageBytes + Math.max(SizeRw, 0) };
  }

  #get(ref: string): Promise<ClusterContainer> {
    return this.#context.containers.resolve(ref);
  }
}

export function unsupported(what: string, why: string): DaemonError {
  return new DaemonError('NotImplemented', `${what} is not supported on a cluster: ${why}`);
}
