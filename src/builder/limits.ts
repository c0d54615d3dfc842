// What a build lets each of its steps have, as a container is given it.

import type { HostConfig } from '../docker/types';

/** 0 and '': no limit. */
export interface ResourceLimits {
  readonly memoryBytes: number;
  readonly memorySwapBytes: number;
  readonly cpuShares: number;
  /** Microseconds, as the quota. */
  readonly cpuPeriod: number;
  readonly cpuQuota: number;
  readonly cpusetCpus: string;
  readonly cpusetMems: string;
}

export function limitedTo(limits: ResourceLimits) {
  return {
    Memory: limits.memoryBytes,
    MemorySwap: limits.memorySwapBytes,
    CpuShares: limits.cpuShares,
    CpuPeriod: limits.cpuPeriod,
    CpuQuota: limits.cpuQuota,
    CpusetCpus: limits.cpusetCpus,
    CpusetMems: limits.cpusetMems,
  } satisfies Partial<HostConfig>;
}
