// Before API 1.24 a HostConfig could come with the start, too.

import { availableParallelism } from 'node:os';
import type { FilledHostConfig, HostConfig } from '../../docker/types';
import { DaemonError, isDaemonError } from '../../errors';
import { validateLogConfig } from '../logs/log-config';
import { log } from '../../log';
import { requireStartable } from '../../semantics/containers/container-refusals';
import { neededLayers } from '../../semantics/containers/container-record';
import type { Container } from '../core/container-registry';
import { withCreateDefaults } from '../../semantics/create/daemon-defaults';
import {
  findMountedImages,
  layersToHold,
  requireBindSources,
  resolveMounts,
} from '../mounts/container-mounts';
import { apiSocketPath } from '../../config';
import { resolveLinks } from '../../semantics/containers/links';
import { tmpfsMountPoints } from '../../semantics/containers/first-record';
import { containerNetworks, requireReferencedContainers, type CreateNeeds } from './create';
import { effectlessOptions } from './effectless-options';
import { fillHostConfig } from '../../semantics/create/defaults';
import { validateContainer } from '../../semantics/create/validation';

/**
 * What clients before API 1.24 start a container with, in place of what create was given: what is mounted stays unless
 * something else is mounted there, its networks unless the mode is another. In the container's queue. Throws as create and,
 * of one that can't be started now, as start; what is wrong with the HostConfig is always InvalidParameter.
 */
export async function replaceHostConfig(
  context: CreateNeeds,
  container: Container,
  given: HostConfig,
): Promise<void> {
  requireStartable(container);
  try {
    await replace(context, container, given);
  } catch (error) {
    if (!isDaemonError(error)) throw error;
    throw new DaemonError('InvalidParameter', error.message, { cause: error });
  }
}

async function replace(context: CreateNeeds, container: Container, given: HostConfig): Promise<void> {
  const { registry } = context;
  const { record } = container;
  const wanted = withCreateDefaults(given, context.config);
  requireReferencedContainers(registry, wanted);
  await requireBindSources(wanted, apiSocketPath(context.config.hosts));
  const warnings = validateContainer({}, wanted, {
    cpus: availableParallelism(),
    hostNetworking: context.config.networkDefaults.hostNetworking,
    validateLog: validateLogConfig,
  });
  for (const warning of [...warnings, ...effectlessOptions(wanted)])
    log.warn('started with other options', { containerId: container.id, warning });
  const links = { ...record.links, ...resolveLinks(registry, wanted) };
  try {
    const mountedImages = findMountedImages(context.images, wanted);
    const held = layersToHold(neededLayers(record), mountedImages, registry, wanted);
    context.layers.reference(container.id, held);
    const resolved = await resolveMounts(
      { ...context, claimedBy: container.id, dataRoot: context.config.dataRoot, mountedImages },
      wanted,
      [],
    );
    const taken = new Set(resolved.map(({ point }) => point.Destination));
    const hostConfig = filledAtStart(wanted);
    const isOther = hostConfig.NetworkMode !== record.hostConfig.NetworkMode;
    registry.update(container, {
      hostConfig,
      mounts: [
        ...record.mounts.filter(({ Destination }) => !taken.has(Destination)),
        ...resolved.map(({ point }) => point),
        ...tmpfsMountPoints(hostConfig),
      ],
      mountDetails: {
        ...record.mountDetails,
        ...Object.fromEntries(resolved.map(({ point, ...details }) => [point.Destination, details])),
      },
      logPath: context.logs.logPath(container.id, hostConfig.LogConfig?.Type ?? ''),
      ...(isOther ? { networks: containerNetworks(context, record.config, hostConfig, {}) } : {}),
      ...(Object.keys(links).length === 0 ? {} : { links }),
    });
  } finally {
    context.volumes.unclaim(container.id);
  }
}

/** What create fills in is left to the start, and inspect shows it so. */
function filledAtStart(given: HostConfig): FilledHostConfig {
  return {
    ...fillHostConfig(given),
    Links: null,
    Dns: given.Dns ?? [],
    DnsOptions: given.DnsOptions ?? [],
    DnsSearch: given.DnsSearch ?? [],
    MaskedPaths: given.MaskedPaths ?? null,
    ReadonlyPaths: given.ReadonlyPaths ?? null,
  };
}
