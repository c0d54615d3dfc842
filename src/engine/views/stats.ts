// ContainerStats: the guest's counters, sampled once for all who watch a container.

import type { ContainerStats } from '../../docker/types';
import type { ContainerStats as RawStats } from '../../vm/contract/protocol';
import type { Container, ContainerRegistry } from '../core/container-registry';
import { requirePod, type PodPlaces } from '../vms/guest-access';
import { ContainerStatsService } from './stats-sampler';

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

  async #sample(container: Container): Promise<RawStats> {
    const { vm } = await requirePod(this.#engine, container);
    return vm.agent.request('container.stats', { id: container.id });
  }
}
