// HostConfig's limits: what Docker refuses, and what has no effect in the guest's cgroup v2, as Docker says of a host with it.

import type { HostConfig } from '../../docker/types';
import { DaemonError } from '../../errors';

const leastMemoryBytes = 6 * 2 ** 20;
/** Of a CPU or memory node, in Docker's parser. */
const highestInList = 8192;

function invalid(message: string): never {
  throw new DaemonError('InvalidParameter', message);
}

/** Throws InvalidParameter in Docker's words. `update`: what is not there keeps the value it has. */
export function validateResources(
  hostConfig: HostConfig,
  host: { cpus: number },
  warnings: string[],
  { update }: { update: boolean } = { update: false },
): void {
  if ((hostConfig.ShmSize ?? 0) < 0) invalid('SHM size can not be less than 0');
  const score = hostConfig.OomScoreAdj ?? 0;
  if (score < -1000 || score > 1000) {
    invalid(`Invalid value ${String(score)}, range for oom score adj is [-1000, 1000]`);
  }
  validateMemory(hostConfig, warnings, update);
  validateCpu(hostConfig, host, warnings);
  validateBlockIo(hostConfig);
}

function validateMemory(hostConfig: HostConfig, warnings: string[], update: boolean): void {
  const memory = hostConfig.Memory ?? 0;
  const swap = hostConfig.MemorySwap ?? 0;
  const reservation = hostConfig.MemoryReservation ?? 0;
  if (memory !== 0 && memory < leastMemoryBytes) invalid('Minimum memory limit allowed is 6MB');
  if (memory > 0 && swap > 0 && swap < memory) {
    invalid('Minimum memoryswap limit should be larger than memory limit, see usage');
  }
  if (memory === 0 && swap > 0 && !update) {
    invalid('You should always set the Memory limit when using Memoryswap limit, see usage');
  }
  const swappiness = hostConfig.MemorySwappiness ?? -1;
  if (swappiness < -1 || swappiness > 100) {
    invalid(`Invalid value: ${String(swappiness)}, valid memory swappiness range is 0-100`);
  }
  if (reservation > 0 && reservation < leastMemoryBytes) invalid('Minimum memory reservation allowed is 6MB');
  if (reservation > 0 && memory > 0 && memory < reservation) {
    invalid('Minimum memory limit can not be less than memory reservation limit, see usage');
  }
  const kernel = hostConfig.KernelMemory ?? 0;
  if (kernel > 0 && kernel < leastMemoryBytes) invalid('Minimum kernel memory limit allowed is 6MB');
  if (kernel > 0) {
    warnings.push(
      'Specifying a kernel memory limit is deprecated and will be removed in a future release.',
      'Your kernel does not support kernel memory limit capabilities or the cgroup is not mounted. Limitation discarded.',
    );
  }
  if ((hostConfig.KernelMemoryTCP ?? 0) > 0) {
    warnings.push(
      'Your kernel does not support kernel memory TCP limit capabilities or the cgroup is not mounted. Limitation discarded.',
    );
  }
  if (hostConfig.OomKillDisable ?? false) {
    warnings.push('Your kernel does not support OomKillDisable. OomKillDisable discarded.');
  }
}

function validateCpu(hostConfig: HostConfig, host: { cpus: number }, warnings: string[]): void {
  const nano = hostConfig.NanoCpus ?? 0;
  const period = hostConfig.CpuPeriod ?? 0;
  const quota = hostConfig.CpuQuota ?? 0;
  if (nano !== 0 && period !== 0) invalid('Conflicting options: Nano CPUs and CPU Period cannot both be set');
  if (nano !== 0 && quota !== 0) invalid('Conflicting options: Nano CPUs and CPU Quota cannot both be set');
  if (nano < 0 || nano > host.cpus * 1e9) {
    invalid(
      `Range of CPUs is from 0.01 to ${host.cpus.toFixed(2)}, as there are only ${String(host.cpus)} CPUs available`,
    );
  }
  if (period !== 0 && (period < 1000 || period > 1_000_000)) {
    invalid('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)');
  }
  if (quota > 0 && quota < 1000) invalid('CPU cfs quota can not be less than 1ms (i.e. 1000)');
  if ((hostConfig.CpuPercent ?? 0) > 0) {
    warnings.push('linux does not support CPU percent. Percent discarded.');
  }
  if ((hostConfig.CpuCount ?? 0) > 0) warnings.push('linux does not support CPU count. Count discarded.');
  validateRealTime(hostConfig);
  validateSet(hostConfig.CpusetCpus ?? '', host.cpus - 1, 'cpus', 'CPUs');
  validateSet(hostConfig.CpusetMems ?? '', 0, 'mems', 'memory nodes');
}

/** No kernel of a guest schedules groups in real time, and Docker says so while it reads the request. */
function validateRealTime(hostConfig: HostConfig): void {
  const period = hostConfig.CpuRealtimePeriod ?? 0;
  const runtime = hostConfig.CpuRealtimeRuntime ?? 0;
  if (period > 0) throw unsupported('Your kernel does not support cgroup cpu real-time period');
  if (runtime > 0) throw unsupported('Your kernel does not support cgroup cpu real-time runtime');
}

function unsupported(message: string): DaemonError {
  return new DaemonError('Internal', message);
}

/** As Docker's parser: the whole list is read, `+1` and all, before anything is looked for. */
function validateSet(text: string, highest: number, name: string, what: string): void {
  if (text === '') return;
  const malformed = (reason: string): never => invalid(`Invalid value ${text} for cpuset ${name}: ${reason}`);
  const numbers = text.split(',').map((part) => {
    const [, first = '', last = first] = /^(\+?\d+)(?:-(\+?\d+))?$/.exec(part) ?? [];
    const bounds = [Number(first), Number(last)] as const;
    if (first === '' || bounds[1] < bounds[0] || !bounds.every((number) => number < 2 ** 63)) {
      return malformed(`invalid format: ${text}`);
    }
    if (bounds[1] > highestInList)
      return malformed(`value of out range, maximum is ${String(highestInList)}`);
    return bounds[1];
  });
  if (Math.max(...numbers) > highest) {
    const available = highest === 0 ? '0' : `0-${String(highest)}`;
    invalid(`Requested ${what} are not available - requested ${text}, available: ${available}`);
  }
}

function validateBlockIo(hostConfig: HostConfig): void {
  const weight = hostConfig.BlkioWeight ?? 0;
  if (weight > 0 && (weight < 10 || weight > 1000)) invalid('Range of blkio weight is from 10 to 1000');
}
