// HostConfig's limits as cgroup v2 values.

import type { HostConfig } from '../api/v1.41/types';
import type { GuestCgroup } from '../vm/agent/protocol';

type Limits = Pick<
  HostConfig,
  | 'Memory'
  | 'MemorySwap'
  | 'MemoryReservation'
  | 'NanoCpus'
  | 'CpuQuota'
  | 'CpuPeriod'
  | 'CpuShares'
  | 'CpusetCpus'
  | 'CpusetMems'
  | 'PidsLimit'
>;

const defaultCpuPeriodUsec = 100_000;

/**
 * Values by file name, only of limits that are set. As runc converts them: swap is what memory+swap leaves above
 * memory, and shares 2…262144 become weight 1…10000.
 */
export function cgroupLimits(limits: Limits): GuestCgroup {
  const cgroup: GuestCgroup = {};
  const memory = limits.Memory ?? 0;
  const memorySwap = limits.MemorySwap ?? 0;
  if (memory > 0) cgroup['memory.max'] = String(memory);
  if (memorySwap < 0) cgroup['memory.swap.max'] = 'max';
  else if (memorySwap > 0 && memory > 0) cgroup['memory.swap.max'] = String(memorySwap - memory);
  if ((limits.MemoryReservation ?? 0) > 0) cgroup['memory.low'] = String(limits.MemoryReservation);

  const weight = cpuWeight(limits.CpuShares ?? 0);
  if (weight !== undefined) cgroup['cpu.weight'] = String(weight);
  const max = cpuMax(limits);
  if (max !== undefined) cgroup['cpu.max'] = max;
  if ((limits.CpusetCpus ?? '') !== '') cgroup['cpuset.cpus'] = limits.CpusetCpus ?? '';
  if ((limits.CpusetMems ?? '') !== '') cgroup['cpuset.mems'] = limits.CpusetMems ?? '';

  const pids = limits.PidsLimit ?? 0;
  if (pids !== 0) cgroup['pids.max'] = pids > 0 ? String(pids) : 'max';
  return cgroup;
}

function cpuWeight(shares: number): number | undefined {
  if (shares <= 0) return undefined;
  const [least, most] = [2, 262_144];
  const clamped = Math.min(Math.max(shares, least), most);
  return 1 + Math.floor(((clamped - least) * 9999) / (most - least));
}

function cpuMax(limits: Limits): string | undefined {
  const nanoCpus = limits.NanoCpus ?? 0;
  if (nanoCpus > 0) {
    const quota = Math.floor((nanoCpus * defaultCpuPeriodUsec) / 1e9);
    return `${String(quota)} ${String(defaultCpuPeriodUsec)}`;
  }
  const quota = limits.CpuQuota ?? 0;
  const period = limits.CpuPeriod ?? 0;
  if (quota <= 0 && period <= 0) return undefined;
  return `${quota > 0 ? String(quota) : 'max'} ${String(period > 0 ? period : defaultCpuPeriodUsec)}`;
}

/** What the VM must have so that the limits can be reached; undefined where the default VM will do. */
export function wantedResources(limits: Limits): { memoryBytes?: number; cpus?: number } {
  const memory = limits.Memory ?? 0;
  const nanoCpus = limits.NanoCpus ?? 0;
  const quotaCpus =
    (limits.CpuQuota ?? 0) > 0
      ? (limits.CpuQuota ?? 0) /
        ((limits.CpuPeriod ?? 0) > 0 ? (limits.CpuPeriod ?? 0) : defaultCpuPeriodUsec)
      : 0;
  const cpus = Math.ceil(Math.max(nanoCpus / 1e9, quotaCpus));
  return {
    ...(memory > 0 ? { memoryBytes: memory + guestOverheadBytes } : {}),
    ...(cpus > 0 ? { cpus } : {}),
  };
}

/** The guest's kernel and agent need this besides what the container may use. */
const guestOverheadBytes = 64 * 2 ** 20;
