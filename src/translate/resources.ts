// HostConfig's limits as cgroup v2 values.

import type { HostConfig } from '../docker/types';
import type { GuestCgroup } from '../vm/contract/protocol';

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
  | 'BlkioWeight'
>;

type BlockIoLimits = Pick<
  HostConfig,
  | 'BlkioWeightDevice'
  | 'BlkioDeviceReadBps'
  | 'BlkioDeviceWriteBps'
  | 'BlkioDeviceReadIOps'
  | 'BlkioDeviceWriteIOps'
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
  const ioWeight = limits.BlkioWeight ?? 0;
  if (ioWeight > 0) cgroup['io.weight'] = `default ${String(blockIoWeight(ioWeight))}`;
  return cgroup;
}

/** As runc converts 10…1000 of cgroup v1 to 1…10000. */
function blockIoWeight(weight: number): number {
  return 1 + Math.floor(((weight - 10) * 9999) / 990);
}

/**
 * Limits of block I/O, for each of the container's disks: whichever device of the host a client names, they are what the
 * container reads from and writes to. Of several devices the lowest limit counts. Undefined without any.
 */
export function blockIoLimits(limits: BlockIoLimits): GuestCgroup | undefined {
  const rates = (
    [
      ['rbps', limits.BlkioDeviceReadBps],
      ['wbps', limits.BlkioDeviceWriteBps],
      ['riops', limits.BlkioDeviceReadIOps],
      ['wiops', limits.BlkioDeviceWriteIOps],
    ] as const
  ).flatMap(([name, devices]) => {
    const given = (devices ?? []).map(({ Rate }) => Rate ?? 0).filter((rate) => rate > 0);
    return given.length === 0 ? [] : [`${name}=${String(Math.min(...given))}`];
  });
  const weights = (limits.BlkioWeightDevice ?? []).map(({ Weight }) => Weight ?? 0).filter((w) => w > 0);
  if (rates.length === 0 && weights.length === 0) return undefined;
  return {
    ...(rates.length === 0 ? {} : { 'io.max': rates.join(' ') }),
    ...(weights.length === 0 ? {} : { 'io.weight': String(blockIoWeight(Math.min(...weights))) }),
  };
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
  const cpus = Math.max(Math.ceil(Math.max(nanoCpus / 1e9, quotaCpus)), cpusOfSet(limits.CpusetCpus ?? ''));
  return {
    ...(memory > 0 ? { memoryBytes: vmMemoryBytes(memory) } : {}),
    ...(cpus > 0 ? { cpus } : {}),
  };
}

/** One more than the highest CPU that the list names. */
function cpusOfSet(list: string): number {
  return Math.max(0, ...[...list.matchAll(/\d+/g)].map(([cpu]) => Number(cpu) + 1));
}

const guestOverheadBytes = 96 * 2 ** 20;
const pageBytes = 4096;
/** The kernel keeps this for each page, and one page table entry. */
const bytesPerPage = 72;

/** Memory of a VM in which a container gets `memoryBytes`: the kernel, the agent and the tables of pages take theirs. */
export function vmMemoryBytes(memoryBytes: number): number {
  const mebibyte = 2 ** 20;
  const whole = (memoryBytes + guestOverheadBytes) / (1 - bytesPerPage / pageBytes);
  return Math.ceil(whole / mebibyte) * mebibyte;
}

/** What a container may use of a VM with so much memory: the inverse of `vmMemoryBytes`, a few pages less. */
export function usableMemoryBytes(vmBytes: number): number {
  return Math.floor(vmBytes * (1 - bytesPerPage / pageBytes)) - guestOverheadBytes;
}
