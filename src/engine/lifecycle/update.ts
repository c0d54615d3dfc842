// ContainerUpdate: limits of a container's cgroup, also while it runs, and its restart policy.

import { availableParallelism, totalmem } from 'node:os';
import type { ContainerUpdateBody, HostConfig } from '../../docker/types';
import { errorMessage } from '../../errors';
import { cgroupLimits, vmMemoryBytes } from '../../translate/resources';
import { eventAttributes } from '../../semantics/containers/container-record';
import type { Container, ContainerRegistry } from '../core/container-registry';
import { isActive } from '../../semantics/containers/container-state';
import { findPod, requirePod, type PodPlaces } from '../vms/guest-access';
import type { RunningPod } from '../vms/running-pod';
import { validateRestartPolicy } from '../../semantics/create/validation';
import { cannotUpdate, requireConsistentLimits } from '../../semantics/create/update-limits';
import { validateResources } from '../../semantics/create/resource-validation';
import type { Announcer } from '../../semantics/events/event-publisher';

/** What an update works with. */
export type UpdateNeeds = PodPlaces & Announcer & { readonly registry: ContainerRegistry };

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
  engine: UpdateNeeds,
  container: Container,
  body: ContainerUpdateBody,
): Promise<{ Warnings: string[] | null }> {
  const { record } = container;
  const warnings = ignoredMembers(body).map(
    (name) => `${name} of a container cannot be updated: it keeps what it was created with.`,
  );
  validateRestartPolicy(body.RestartPolicy);
  const wanted = givenLimits(body);
  const hostConfig = { ...record.hostConfig, ...wanted };
  validateResources({ ...wanted }, { cpus: availableParallelism() }, warnings, { update: true });
  requireConsistentLimits(container, hostConfig, wanted);
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
    requireRoom(await findPod(engine, container), container, wanted.Memory ?? 0);
    const cgroup = cgroupLimits({
      ...hostConfig,
      PidsLimit: wanted.PidsLimit === 0 ? -1 : hostConfig.PidsLimit,
    });
    if (Object.keys(wanted).length > 0 && Object.keys(cgroup).length > 0) {
      try {
        const pod = await requirePod(engine, container);
        await pod.vm.agent.request('container.update', { id: container.id, cgroup });
      } catch (error) {
        throw cannotUpdate(container, errorMessage(error), error);
      }
    }
  }
  engine.registry.update(container, { hostConfig });
  engine.events.publish('container', 'update', container.id, eventAttributes(container.record));
  return { Warnings: warnings.length === 0 ? null : warnings };
}

/** Zero values mean "leave as it is", but for the number of processes: without limit. */
function givenLimits(body: ContainerUpdateBody): Partial<Pick<HostConfig, (typeof limits)[number]>> {
  const entries = limits.map((name) => [name, body[name]] as const).filter(([, value]) => isGiven(value));
  const pids = body.PidsLimit ?? undefined;
  return { ...Object.fromEntries(entries), ...(pids === undefined ? {} : { PidsLimit: Math.max(0, pids) }) };
}

function isGiven(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return ![undefined, null, 0, '', false].includes(value as undefined);
}

/** Members of the request that dockerd takes and forgets. */
function ignoredMembers(body: ContainerUpdateBody): string[] {
  const used: readonly string[] = [...limits, 'RestartPolicy'];
  return Object.entries(body).flatMap(([name, value]) =>
    !used.includes(name) && isGiven(value) ? [name] : [],
  );
}

/** A VM keeps the memory it was started with: what of it a container uses can change at will, up to that. */
function requireRoom(pod: RunningPod | undefined, container: Container, memoryBytes: number): void {
  if (pod === undefined || memoryBytes === 0) return;
  const has = pod.vm.resources.memoryBytes;
  const mebibyte = 2 ** 20;
  if (vmMemoryBytes(memoryBytes) <= has || has >= Math.floor(totalmem() / mebibyte) * mebibyte) return;
  throw cannotUpdate(
    container,
    `its virtual machine has ${String(Math.floor(has / mebibyte))} MiB of memory; stop the container before giving it more`,
  );
}
