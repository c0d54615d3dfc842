// ContainerUpdate: the restart policy at once, limits from the next Pod on.

import { availableParallelism } from 'node:os';
import type { ContainerUpdateBody } from '../../docker/types';
import { DaemonError } from '../../errors';
import { eventAttributes } from '../../semantics/containers/container-record';
import { isActive } from '../../semantics/containers/container-state';
import { validateResources } from '../../semantics/create/resource-validation';
import { validateRestartPolicy } from '../../semantics/create/validation';
import type { ClusterContainer } from '../records/cluster-container';
import type { ClusterContext } from './context';

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
  if (Object.keys(wanted).length > 0 && isActive(container.state)) {
    throw new DaemonError(
      'Conflict',
      `Cannot update container ${container.id}: the limits of a Pod that runs cannot be changed; stop the container first`,
    );
  }
  const policy = body.RestartPolicy?.Name ?? '';
  await context.containers.update(container, (record) => {
    if (policy !== '' && policy !== 'no' && record.hostConfig.AutoRemove) {
      throw new DaemonError(
        'Conflict',
        `Cannot update container ${container.id}: Restart policy cannot be updated because AutoRemove is enabled for the container`,
      );
    }
    const RestartPolicy =
      policy === ''
        ? {}
        : { RestartPolicy: { Name: policy, MaximumRetryCount: body.RestartPolicy?.MaximumRetryCount ?? 0 } };
    return { ...record, hostConfig: { ...record.hostConfig, ...wanted, ...RestartPolicy } }; // names are its own
  });
  // Its Pod has the old limits: a new one is made by the next start.
  if (Object.keys(wanted).length > 0 && container.record.pod !== undefined) {
    warnings.push('The new limits hold when the container gets another Pod; the one it has keeps its own.');
  }
  context.events.publish('container', 'update', container.id, eventAttributes(container.record));
  await context.events.flush();
  return { Warnings: warnings.length === 0 ? null : warnings };
}
