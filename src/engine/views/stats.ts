// ContainerStats: the guest's counters, sampled once for all who watch a container.

import { within } from '../../async/deadline';
import type { ContainerStats } from '../../docker/types';
import type { ContainerStats as RawStats } from '../../vm/contract/protocol';
import type { Container, ContainerRegistry } from '../core/container-registry';
import { isActive } from '../core/container-state';
import { requirePod, type PodPlaces } from '../vms/guest-access';
import { ContainerStatsService } from './stats-sampler';

/** Longer than a guest takes that has much to do; one that waits for room on the host's disk doesn't answer at all. */
const freeOnDiskTimeoutMs = 5000;

/** What samples are taken with. */
export type StatsNeeds = PodPlaces & { readonly registry: ContainerRegistry };

export class GuestStats {
  readonly #engine: StatsNeeds;
  readonly #service: ContainerStatsService;

  constructor(engine: StatsNeeds) {
    this.#engine = engine;
    this.#service = new ContainerStatsService(engine.registry, (watched) => this.#sample(watched));
  }

  /** Samples about a second apart; a container that doesn't run gives empty ones. Ends when it is removed, or `signal`. */
  stream(
    container: Container,
    options: { stream: boolean; oneShot: boolean },
    signal: AbortSignal,
  ): AsyncGenerator<ContainerStats, void, undefined> {
    return this.#service.stats(container, options, signal);
  }

  /** Bytes of the container's disk that are free by its guest. Undefined: it doesn't run, or its guest doesn't answer in time. */
  async freeOnDisk(container: Container): Promise<number | undefined> {
    if (!isActive(container.state)) return undefined;
    try {
      const { disk } = await within(this.#sample(container), freeOnDiskTimeoutMs);
      return disk.totalBytes === 0 ? undefined : disk.freeBytes;
    } catch {
      return undefined;
    }
  }

  async #sample(container: Container): Promise<RawStats> {
    const { vm } = await requirePod(this.#engine, container);
    return vm.agent.request('container.stats', { id: container.id });
  }
}
