// Numbers of a sample of statistics, as the docker command works them out.

import type { ContainerStats } from '../../../src/docker/types';

export function cpuPercent({ cpu_stats: now, precpu_stats: before }: ContainerStats): number {
  const used = now.cpu_usage.total_usage - before.cpu_usage.total_usage;
  const system = (now.system_cpu_usage ?? 0) - (before.system_cpu_usage ?? 0);
  return system > 0 && used > 0 ? (used / system) * (now.online_cpus ?? 1) * 100 : 0;
}

/** Without what the kernel can give back at once. */
export function memoryUsed({ memory_stats: { usage, stats } }: ContainerStats): number | undefined {
  if (usage === undefined) return undefined;
  const cache = stats?.['total_inactive_file'] ?? stats?.['inactive_file'] ?? 0;
  return cache < usage ? usage - cache : usage;
}

export function networkBytes({ networks = {} }: ContainerStats): { received: number; sent: number } {
  const all = Object.values(networks);
  return {
    received: all.reduce((sum, { rx_bytes }) => sum + rx_bytes, 0),
    sent: all.reduce((sum, { tx_bytes }) => sum + tx_bytes, 0),
  };
}

export function diskBytes({ blkio_stats }: ContainerStats): { read: number; written: number } {
  const entries = blkio_stats['io_service_bytes_recursive'] ?? [];
  const sumOf = (wanted: string): number =>
    entries.filter(({ op }) => op.toLowerCase() === wanted).reduce((sum, { value }) => sum + value, 0);
  return { read: sumOf('read'), written: sumOf('write') };
}
