// `docker stats`: one sampler for each container that is watched, however many watch it.

import type { ContainerStats } from '../../docker/types';
import { errorMessage } from '../../errors';
import { log } from '../../log';
import type { ContainerStats as RawStats } from '../../vm/contract/protocol';
import { formatStats } from '../../semantics/views/stats-format';
import { slashedName } from '../../semantics/containers/container-record';
import type { Container, ContainerRegistry } from '../core/container-registry';
import { isActive } from '../../semantics/containers/container-state';

const intervalMs = 1000;

/** Asks the guest for its counters. Rejects when the container has stopped meanwhile. */
export type SampleStats = (container: Container) => Promise<RawStats>;

/** `at` is undefined while the container does not run. */
interface Sample {
  at: RawStats | undefined;
  previous: RawStats | undefined;
}

/** Samples once a second as long as somebody listens. */
class Sampler {
  readonly #take: () => Promise<RawStats | undefined>;
  readonly #onIdle: () => void;
  readonly #listeners = new Set<(sample: Sample) => void>();
  #previous: RawStats | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(take: () => Promise<RawStats | undefined>, onIdle: () => void) {
    this.#take = take;
    this.#onIdle = onIdle;
  }

  listen(listener: (sample: Sample) => void): () => void {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) void this.#tick();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      clearTimeout(this.#timer);
      this.#onIdle();
    };
  }

  async #tick(): Promise<void> {
    const at = await this.#take();
    const sample = { at, previous: at === undefined ? undefined : this.#previous };
    this.#previous = at;
    for (const listener of [...this.#listeners]) listener(sample);
    if (this.#listeners.size === 0) return;
    // From the end of a sample on, so that a slow guest is not asked twice at once.
    this.#timer = setTimeout(() => void this.#tick(), intervalMs);
  }
}

export class ContainerStatsService {
  readonly #registry: ContainerRegistry;
  readonly #sample: SampleStats;
  readonly #samplers = new Map<string, Sampler>();

  constructor(registry: ContainerRegistry, sample: SampleStats) {
    this.#registry = registry;
    this.#sample = sample;
  }

  /**
   * With `stream` a sample a second until `signal` or the container's removal, empty ones while it does not run. Else
   * one, which has another before it to compare with unless `oneShot`.
   */
  async *stats(
    container: Container,
    options: { stream: boolean; oneShot: boolean },
    signal: AbortSignal,
  ): AsyncGenerator<ContainerStats, void, undefined> {
    const format = ({ at, previous }: Sample): ContainerStats =>
      formatStats({ id: container.id, name: slashedName(container.record) }, at, previous);
    if (!options.stream && (options.oneShot || !isActive(container.state))) {
      yield format({ at: await this.#take(container), previous: undefined });
      return;
    }
    for await (const sample of this.#samples(container, signal)) {
      if (options.stream) yield format(sample);
      else if (sample.at === undefined || sample.previous !== undefined) {
        yield format(sample);
        return;
      }
    }
  }

  /** The latest sample each time; a slow reader misses some. */
  async *#samples(container: Container, signal: AbortSignal): AsyncGenerator<Sample, void, undefined> {
    let latest: Sample | undefined;
    let wake: (() => void) | undefined;
    const onAbort = (): void => wake?.();
    signal.addEventListener('abort', onAbort);
    const stop = this.#sampler(container).listen((sample) => {
      latest = sample;
      wake?.();
    });
    try {
      while (!signal.aborted && this.#registry.byId(container.id) !== undefined) {
        const sample = latest;
        latest = undefined;
        if (sample !== undefined) {
          yield sample;
          continue;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      stop();
      signal.removeEventListener('abort', onAbort);
    }
  }

  #sampler(container: Container): Sampler {
    let sampler = this.#samplers.get(container.id);
    if (sampler === undefined) {
      sampler = new Sampler(
        () => this.#take(container),
        () => this.#samplers.delete(container.id),
      );
      this.#samplers.set(container.id, sampler);
    }
    return sampler;
  }

  async #take(container: Container): Promise<RawStats | undefined> {
    if (!isActive(container.state)) return undefined;
    try {
      return await this.#sample(container);
    } catch (error) {
      log.debug('no stats', { containerId: container.id, error: errorMessage(error) });
      return undefined;
    }
  }
}
