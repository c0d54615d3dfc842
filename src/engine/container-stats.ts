// ContainerStats: the guest's counters, sampled once for all who watch a container.

import type { ContainerStats } from '../api/v1.41/types';
import type { ContainerStats as RawStats } from '../vm/agent/protocol';
import type { Container } from './container-registry';
import { withGuest } from './container-stop';
import type { Engine } from './engine';
import { ContainerStatsService } from './stats-sampler';

const services = new WeakMap<Engine, ContainerStatsService>();

/** Samples about a second apart; a container that doesn't run gives empty ones. Ends when it is removed, or `signal`. */
export function statsStream(
  engine: Engine,
  container: Container,
  options: { stream: boolean; oneShot: boolean },
  signal: AbortSignal,
): AsyncGenerator<ContainerStats, void, undefined> {
  let service = services.get(engine);
  if (service === undefined) {
    service = new ContainerStatsService(engine.registry, (watched) => sampleGuest(engine, watched));
    services.set(engine, service);
  }
  return service.stats(container, options, signal);
}

function sampleGuest(engine: Engine, container: Container): Promise<RawStats> {
  const take = (): Promise<RawStats> =>
    withGuest(engine, container, (pod) => pod.vm.agent.request('container.stats', { id: container.id }));
  // The CPUs of a paused one must turn for the answer, so nothing else may happen to it meanwhile.
  return container.state.kind === 'paused' ? container.operations.run(take) : take();
}
