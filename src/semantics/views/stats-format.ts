// Raw counters of the guest as one sample of Docker's stats, in the form dockerd has on cgroup v2.

import type { BlkioStatEntry, ContainerStats, CpuStats } from '../../docker/types';
import type { ContainerStats as RawStats } from '../../vm/contract/protocol';
import { formatMilliseconds, neverTimestamp } from '../../go/timestamp';

const nanosecondsPerMicrosecond = 1000;

/** A sample and the one before it; `previous` undefined: there is none yet. */
export function formatStats(
  subject: { id: string; name: string },
  raw: RawStats | undefined,
  previous: RawStats | undefined,
): ContainerStats {
  return {
    read: time(raw),
    preread: time(previous),
    pids_stats: pids(raw),
    blkio_stats: {
      io_service_bytes_recursive: raw === undefined ? null : serviceBytes(raw),
      io_serviced_recursive: null,
      io_queue_recursive: null,
      io_service_time_recursive: null,
      io_wait_time_recursive: null,
      io_merged_recursive: null,
      io_time_recursive: null,
      sectors_recursive: null,
    },
    num_procs: 0,
    storage_stats: {},
    cpu_stats: cpu(raw),
    precpu_stats: cpu(previous),
    memory_stats:
      raw === undefined
        ? {}
        : {
            usage: raw.memory.usageBytes,
            ...(raw.memory.maxUsageBytes > 0 ? { max_usage: raw.memory.maxUsageBytes } : {}),
            stats: raw.memory.stat,
            limit: raw.memory.limitBytes,
          },
    name: subject.name,
    id: subject.id,
    ...(raw === undefined ? {} : networks(raw)),
  };
}

function time(raw: RawStats | undefined): string {
  return raw === undefined ? neverTimestamp : formatMilliseconds(raw.timeMs);
}

function pids(raw: RawStats | undefined): ContainerStats['pids_stats'] {
  if (raw === undefined) return {};
  const { current, limit } = raw.pids;
  return { current, ...(limit > 0 ? { limit } : {}) };
}

function cpu(raw: RawStats | undefined): CpuStats {
  if (raw === undefined) {
    return {
      cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
      throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
    };
  }
  return {
    cpu_usage: {
      total_usage: raw.cpu.usageUsec * nanosecondsPerMicrosecond,
      usage_in_kernelmode: raw.cpu.systemUsec * nanosecondsPerMicrosecond,
      usage_in_usermode: raw.cpu.userUsec * nanosecondsPerMicrosecond,
    },
    system_cpu_usage: raw.vmUsec * nanosecondsPerMicrosecond,
    online_cpus: raw.onlineCpus,
    throttling_data: {
      periods: raw.cpu.periods,
      throttled_periods: raw.cpu.throttled,
      throttled_time: raw.cpu.throttledUsec * nanosecondsPerMicrosecond,
    },
  };
}

function serviceBytes(raw: RawStats): BlkioStatEntry[] {
  return raw.io.flatMap(({ major, minor, readBytes, writeBytes }) => [
    { major, minor, op: 'read', value: readBytes },
    { major, minor, op: 'write', value: writeBytes },
  ]);
}

function networks(raw: RawStats): Pick<ContainerStats, 'networks'> {
  const entries = Object.entries(raw.networks);
  if (entries.length === 0) return {};
  return {
    networks: Object.fromEntries(
      entries.map(([name, counters]) => [
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
