// ContainerUpdate: limits of a container's cgroup, also while it runs, and its restart policy.

import { availableParallelism } from 'node:os';
import type { ContainerUpdateBody, HostConfig } from '../api/v1.41/types';
import { DaemonError, errorMessage } from '../errors';
import { cgroupLimits } from '../translate/resources';
import { eventAttributes } from './container-record';
import type { Container } from './container-registry';
import { isActive } from './container-state';
import { withGuest } from './container-stop';
import { validateRestartPolicy } from './container-validation';
import type { Engine } from './engine';
import { validateResources } from './resource-validation';

const limits = [
  'CpuShares',
  'Memory',
  'NanoCpus',
  'CpuPeriod',
  'CpuQuota',
  'CpusetCpus',
  'CpusetMems',
  'MemoryReservation',
  'MemorySwap',
  'PidsLimit',
  'BlkioWeight',
  'KernelMemory',
  'CpuRealtimePeriod',
  'CpuRealtimeRuntime',
] as const;

/** In the container's queue. Returns warnings. Throws InvalidParameter or Conflict `Cannot update container …`. */
export async function updateContainer(
  engine: Engine,
  container: Container,
  body: ContainerUpdateBody,
): Promise<{ Warnings: string[] | null }> {
  const { record } = container;
  const warnings: string[] = [];
  validateRestartPolicy(body.RestartPolicy);
  const wanted = givenLimits(body);
  const hostConfig = { ...record.hostConfig, ...wanted };
  validateResources({ ...wanted }, { cpus: availableParallelism() }, warnings);
  requireConsistent(container, hostConfig, wanted);
  const policy = body.RestartPolicy?.Name ?? '';
  if (policy !== '') {
    if (record.hostConfig.AutoRemove && policy !== 'no') {
      throw cannotUpdate(
        container,
        'Restart policy cannot be updated because AutoRemove is enabled for the container',
      );
    }
    hostConfig.RestartPolicy = {
      Name: policy,
      MaximumRetryCount: body.RestartPolicy?.MaximumRetryCount ?? 0,
    };
  }
  if (isActive(container.state)) {
    const cgroup = cgroupLimits(hostConfig);
    if (Object.keys(wanted).length > 0 && Object.keys(cgroup).length > 0) {
      try {
        await withGuest(engine, container, (pod) =>
          pod.vm.agent.request('container.update', { id: container.id, cgroup }),
        );
      } catch (error) {
        throw cannotUpdate(container, errorMessage(error), error);
      }
    }
  }
  engine.registry.update(container, { hostConfig });
  engine.events.publish('container', 'update', container.id, eventAttributes(container.record));
  return { Warnings: warnings.length === 0 ? null : warnings };
}

/** Zero values mean "leave as it is". */
function givenLimits(body: ContainerUpdateBody): Partial<Pick<HostConfig, (typeof limits)[number]>> {
  const entries = limits
    .map((name) => [name, body[name]] as const)
    .filter(([, value]) => value !== undefined && value !== null && value !== 0 && value !== '');
  return Object.fromEntries(entries);
}

function requireConsistent(
  container: Container,
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
  if (wanted.NanoCpus !== undefined && (hostConfig.CpuQuota > 0 || hostConfig.CpuPeriod > 0)) {
    throw cannotUpdate(
      container,
      'Conflicting options: Nano CPUs cannot be updated as CPU Period/Quota has already been set',
    );
  }
  if (
    wanted.NanoCpus === undefined &&
    hostConfig.NanoCpus > 0 &&
    (wanted.CpuQuota ?? wanted.CpuPeriod) !== undefined
  ) {
    throw cannotUpdate(
      container,
      'Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set',
    );
  }
}

function cannotUpdate(container: Container, reason: string, cause?: unknown): DaemonError {
  return new DaemonError('Conflict', `Cannot update container ${container.id}: ${reason}`, { cause });
}
