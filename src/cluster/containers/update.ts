// ContainerUpdate: the restart policy at once, limits in the Pod that is there, or from the next one on.

import { availableParallelism } from 'node:os';
import type { ContainerUpdateBody } from '../../docker/types';
import { errorMessage } from '../../errors';
import { eventAttributes } from '../../semantics/containers/container-record';
import { isActive } from '../../semantics/containers/container-state';
import { cannotUpdate, requireConsistentLimits } from '../../semantics/create/update-limits';
import { validateResources } from '../../semantics/create/resource-validation';
import { validateRestartPolicy } from '../../semantics/create/validation';
import type { ClusterRecord } from '../contract/cluster-record';
import type { ClusterContainer } from '../records/cluster-container';
import type { ClusterContext } from './context';
import { podResources } from './pod-plan';

const limits = [
  'CpuShares',
  'Memory',
  'NanoCpus',
  'CpuPeriod',
  'CpuQuota',
  'MemoryReservation',
  'MemorySwap',
] as const;

export async function updateContainer(
  context: ClusterContext,
  container: ClusterContainer,
  body: ContainerUpdateBody,
): Promise<{ Warnings: string[] | null }> {
  const used: readonly string[] = [...limits, 'RestartPolicy'];
  const isGiven = (value: unknown): boolean =>
    Array.isArray(value) ? value.length > 0 : ![undefined, null, 0, '', false].includes(value as undefined);
  const warnings = Object.entries(body).flatMap(([name, value]) =>
    !used.includes(name) && isGiven(value)
      ? [`${name} of a container cannot be updated: it keeps what it was created with.`]
      : [],
  );
  validateRestartPolicy(body.RestartPolicy);
  const wanted = Object.fromEntries(
    limits.map((name) => [name, body[name]] as const).filter(([, value]) => isGiven(value)),
  );
  validateResources({ ...wanted }, { cpus: availableParallelism() }, warnings, { update: true });
  requireConsistentLimits(container, { ...container.record.hostConfig, ...wanted }, wanted);
  const policy = body.RestartPolicy?.Name ?? '';
  const updated = (record: ClusterRecord): ClusterRecord => {
    if (policy !== '' && policy !== 'no' && record.hostConfig.AutoRemove) {
      throw cannotUpdate(
        container,
        'Restart policy cannot be updated because AutoRemove is enabled for the container',
      );
    }
    const RestartPolicy =
      policy === ''
        ? {}
        : { RestartPolicy: { Name: policy, MaximumRetryCount: body.RestartPolicy?.MaximumRetryCount ?? 0 } };
    return { ...record, hostConfig: { ...record.hostConfig, ...wanted, ...RestartPolicy } }; // names are its own
  };
  warnings.push(...(await limitPod(context, container, updated(container.record))));
  await context.containers.update(container, updated);
  context.events.publish('container', 'update', container.id, eventAttributes(container.record));
  await context.events.flush();
  return { Warnings: warnings.length === 0 ? null : warnings };
}

/** Resolves with what to warn of. Throws Conflict for one that runs and keeps its limits. */
async function limitPod(
  context: ClusterContext,
  container: ClusterContainer,
  updated: ClusterRecord,
): Promise<string[]> {
  const { record } = container;
  const [from, to] = [podResources(record), podResources(updated)];
  if (record.pod === undefined || JSON.stringify(from) === JSON.stringify(to)) return [];
  try {
    return await context.limits.change(record.pod.name, from, to);
  } catch (error) {
    const why = errorMessage(error);
    if (isActive(container.state)) {
      throw cannotUpdate(
        container,
        `the limits of its Pod cannot be changed while it runs (${why}); stop the container first`,
        error,
      );
    }
    return [
      `The new limits hold when the container gets another Pod; the one it has keeps its own (${why}).`,
    ];
  }
}
