// What an update may not change beside what the container has.

import type { HostConfig } from '../../docker/types';
import { DaemonError } from '../../errors';

/** Throws Conflict where limits of an update do not go with those that the container has. `hostConfig`: as it would be. */
export function requireConsistentLimits(
  container: { id: string },
  hostConfig: { MemorySwap: number; NanoCpus: number; CpuQuota: number; CpuPeriod: number },
  wanted: Partial<HostConfig>,
): void {
  // Also where no swap limit was ever set: Docker compares with its 0.
  if (
    wanted.Memory !== undefined &&
    wanted.MemorySwap === undefined &&
    wanted.Memory > hostConfig.MemorySwap
  ) {
    throw cannotUpdate(
      container,
      'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time',
    );
  }
  for (const [limit, name] of [
    [hostConfig.CpuQuota, 'CPU Quota'],
    [hostConfig.CpuPeriod, 'CPU Period'],
  ] as const) {
    if (wanted.NanoCpus === undefined || limit <= 0) continue;
    throw cannotUpdate(
      container,
      `Conflicting options: Nano CPUs cannot be updated as ${name} has already been set`,
    );
  }
  if (wanted.NanoCpus !== undefined || hostConfig.NanoCpus === 0) return;
  for (const [limit, name] of [
    [wanted.CpuQuota, 'CPU Quota'],
    [wanted.CpuPeriod, 'CPU Period'],
  ] as const) {
    if (limit === undefined) continue;
    throw cannotUpdate(
      container,
      `Conflicting options: ${name} cannot be updated as NanoCPUs has already been set`,
    );
  }
}

export function cannotUpdate(container: { id: string }, reason: string, cause?: unknown): DaemonError {
  return new DaemonError('Conflict', `Cannot update container ${container.id}: ${reason}`, { cause });
}
