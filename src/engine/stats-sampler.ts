// ContainerStats: the guest's counters in Docker's shape (cgroup v2).

import type { BlkioStatEntry, ContainerStats as DockerStats, CpuStats } from '../api/v1.41/types';
import type { ContainerStats } from '../vm/agent/protocol';
import type { Container } from './container-registry';
import { isActive } from './container-state';
import { withGuest } from './container-stop';
import type { Engine } from './engine';
import { neverTimestamp, nowTimestamp } from './timestamp';

const intervalMs = 1000;
const userHz = 100;
const nanosecondsPerTick = 1e9 / userHz;

const noCpu: CpuStats = {
  cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
  throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
};

/** Samples about a second apart; a container that doesn't run gives empty ones. Ends when it is removed, or `signal`. */
export async function* statsStream(
  engine: Engine,
  container: Container,
  options: { stream: boolean; oneShot: boolean },
  signal: AbortSignal,
): AsyncGenerator<DockerStats> {
  let before: { cpu: CpuStats; read: string } = { cpu: noCpu, read: neverTimestamp };
  let first = true;
  for (;;) {
    const sample = await takeSample(engine, container);
    const read = sample === undefined ? neverTimestamp : nowTimestamp();
    const stats = dockerStats(container, sample, read, before);
    before = { cpu: stats.cpu_stats, read };
    // One sample says nothing of a rate: without one-shot the first is only the base of the second.
    const skip = first && !options.oneShot && !options.stream && sample !== undefined;
    first = false;
    if (!skip) yield stats;
    if (!skip && !options.stream) return;
    await pause(intervalMs, signal);
    if (signal.aborted || engine.registry.byId(container.id) === undefined) return;
  }
}

async function takeSample(engine: Engine, container: Container): Promise<ContainerStats | undefined> {
  if (!isActive(container.state)) return undefined;
  try {
    if (container.state.kind === 'paused') {
      return await container.operations.run(() =>
        withGuest(engine, container, (pod) => pod.vm.agent.request('container.stats', { id: container.id })),
      );
    }
    return await engine.pods
      .find(container.record.podId)
      ?.vm.agent.request('container.stats', { id: container.id });
  } catch {
    return undefined; // it is on its way out
  }
}

function dockerStats(
  container: Container,
  sample: ContainerStats | undefined,
  read: string,
  before: { cpu: CpuStats; read: string },
): DockerStats {
  const common = { name: `/${container.name}`, id: container.id };
  if (sample === undefined) {
    return {
      read,
      preread: before.read,
      pids_stats: {},
      blkio_stats: blkio(null, null),
      num_procs: 0,
      storage_stats: {},
      cpu_stats: noCpu,
      precpu_stats: noCpu,
      memory_stats: {},
      ...common,
    };
  }
  const { memory, pids } = sample;
  return {
    read,
    preread: before.read,
    pids_stats: { current: pids.current, ...(pids.limit > 0 ? { limit: pids.limit } : {}) },
    blkio_stats: blkio(
      sample.io.flatMap((io) => [
        blkioEntry(io, 'read', io.readBytes),
        blkioEntry(io, 'write', io.writeBytes),
      ]),
      null,
    ),
    num_procs: 0,
    storage_stats: {},
    cpu_stats: cpuStats(sample),
    precpu_stats: before.cpu,
    memory_stats: { usage: memory.usageBytes, stats: memory.stat, limit: memory.limitBytes },
    ...common,
    networks: Object.fromEntries(
      Object.entries(sample.networks).map(([name, counters]) => [
        name,
        {
          rx_bytes: counters.rxBytes,
          rx_packets: counters.rxPackets,
          rx_errors: counters.rxErrors,
          rx_dropped: counters.rxDropped,
          tx_bytes: counters.txBytes,
          tx_packets: counters.txPackets,
          tx_errors: counters.txErrors,
          tx_dropped: counters.txDropped,
        },
      ]),
    ),
  };
}

function cpuStats({ cpu, systemTicks, onlineCpus }: ContainerStats): CpuStats {
  return {
    cpu_usage: {
      total_usage: cpu.usageUsec * 1000,
      usage_in_kernelmode: cpu.systemUsec * 1000,
      usage_in_usermode: cpu.userUsec * 1000,
    },
    system_cpu_usage: systemTicks * nanosecondsPerTick,
    online_cpus: onlineCpus,
    throttling_data: {
      periods: cpu.periods,
      throttled_periods: cpu.throttled,
      throttled_time: cpu.throttledUsec * 1000,
    },
  };
}

function blkioEntry(io: { major: number; minor: number }, op: string, value: number): BlkioStatEntry {
  return { major: io.major, minor: io.minor, op, value };
}

function blkio(
  bytes: BlkioStatEntry[] | null,
  serviced: BlkioStatEntry[] | null,
): Record<string, BlkioStatEntry[] | null> {
  return {
    io_service_bytes_recursive: bytes,
    io_serviced_recursive: serviced,
    io_queue_recursive: null,
    io_service_time_recursive: null,
    io_wait_time_recursive: null,
    io_merged_recursive: null,
    io_time_recursive: null,
    sectors_recursive: null,
  };
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
}
