// ContainerStats: the guest's counters, sampled once for all who watch a container.

import { within } from '../../async/deadline';
import type { ContainerStats } from '../../docker/types';
import type { ContainerStats as RawStats } from '../../vm/contract/protocol';
import type { Container } from '../core/container-registry';
import { isActive } from '../core/container-state';
import { requirePod } from '../vms/guest-access';
import type { Engine } from '../engine';
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

/** Longer than a guest takes that has much to do; one that waits for room on the host's disk doesn't answer at all. */
const freeOnDiskTimeoutMs = 5000;

/** Bytes of the container's disk that are free by its guest. Undefined: it doesn't run, or its guest doesn't answer in time. */
export async function freeOnDisk(engine: Engine, container: Container): Promise<number | undefined> {
  if (!isActive(container.state)) return undefined;
  try {
    const { disk } = await within(sampleGuest(engine, container), freeOnDiskTimeoutMs);
    return disk.totalBytes === 0 ? undefined : disk.freeBytes;
  } catch {
    return undefined;
  }
}

async function sampleGuest(engine: Engine, container: Container): Promise<RawStats> {
  return requirePod(engine, container).vm.agent.request('container.stats', { id: container.id });
}
