// ContainerCreate: a record, and the volumes that it names. No Pod.

import { availableParallelism } from 'node:os';
import type { ApiVersion } from '../../api/v1.41/backend';
import type { ContainerCreateBody, ContainerCreateResponse, HostConfig } from '../../docker/types';
import { DaemonError, errorMessage, isDaemonError } from '../../errors';
import { log } from '../../log';
import { parsePlatform, type Platform } from '../../registry/platform';
import { parseReference } from '../../registry/reference';
import { eventAttributes } from '../../semantics/containers/container-record';
import {
  newContainerId,
  parseContainerName,
  randomContainerName,
} from '../../semantics/containers/container-names';
import { firstRecord } from '../../semantics/containers/first-record';
import { nameInUse } from '../../semantics/containers/known-containers';
import { resolveLinks } from '../../semantics/containers/links';
import { withCreateDefaults } from '../../semantics/create/daemon-defaults';
import { requireValidEndpoints } from '../../semantics/create/endpoints';
import { hostConfigAtCreate, mergeImageConfig } from '../../semantics/create/defaults';
import { validateContainer } from '../../semantics/create/validation';
import { otherPlatformWarnings } from '../../semantics/images/image-platform';
import { donorOf } from '../../translate/container-to-pod';
import type { ClusterRecord } from '../contract/cluster-record';
import { publishWay } from '../contract/publish-way';
import type { ClusterContainer } from '../records/cluster-container';
import { requireTimeToLive } from '../contract/time-to-live';
import type { ClusterContext } from './context';
import { clusterRefusals, clusterWarnings, validateClusterLog } from './create-fields';

export interface ClusterCreateOptions {
  name?: string;
  platform?: string;
  version: ApiVersion;
  /** Of a build: the reaper removes it once its `buildBeat` stands still. */
  isBuildStep?: boolean;
}

export async function createContainer(
  context: ClusterContext,
  body: ContainerCreateBody,
  options: ClusterCreateOptions,
): Promise<ContainerCreateResponse> {
  const { HostConfig: givenHostConfig, NetworkingConfig, ...config } = body;
  const { containers } = context;
  const hostConfig = withDonorIds(context, withCreateDefaults(givenHostConfig ?? {}, context.config));
  const warnings = validateContainer(config, hostConfig, {
    cpus: availableParallelism(),
    hostNetworking: true,
    validateLog: validateClusterLog,
  });
  requireValidEndpoints(NetworkingConfig?.EndpointsConfig ?? {}, options.version);
  clusterRefusals(config, hostConfig);
  requireTimeToLive(config.Labels);
  publishWay(config.Labels, context.settings.publishAs); // refuses a label that names none
  warnings.push(...clusterWarnings(config, hostConfig, NetworkingConfig?.EndpointsConfig ?? {}));
  const links = resolveLinks(containers, hostConfig);
  const wanted = parsePlatform(options.platform);
  const { image, source } = await findImage(context, config.Image ?? '', wanted);
  warnings.push(...otherPlatformWarnings(image, wanted));
  const id = newContainerId();
  const filled = mergeImageConfig(config, image.config.config ?? {}, hostnameOf(id, config.Hostname));
  const given =
    options.name === undefined || options.name === '' ? undefined : parseContainerName(options.name);
  const holder = given === undefined ? undefined : containers.list().find(({ name }) => name === given);
  if (given !== undefined && holder !== undefined) throw nameInUse(given, holder.id);
  const volumes = await context.volumes.resolve(hostConfig, Object.keys(filled.Volumes ?? {}));
  const filledHostConfig = hostConfigAtCreate(
    hostConfig,
    givenHostConfig !== undefined && givenHostConfig !== null,
  );
  const networks =
    donorOf(filledHostConfig.NetworkMode) !== undefined || (filled.NetworkDisabled ?? false)
      ? {}
      : await context.networks.requested(
          filledHostConfig.NetworkMode,
          NetworkingConfig?.EndpointsConfig ?? {},
        );
  const record: Omit<ClusterRecord, 'name'> = {
    ...firstRecord({
      id,
      image,
      config: filled,
      hostConfig: filledHostConfig,
      links,
      warnings,
      logPath: '',
      writableDiskBytes: 0,
      mounts: volumes.points,
      mountDetails: volumes.details,
      networks,
    }),
    source,
    ...(options.isBuildStep === true ? { isBuildStep: true } : {}),
  };
  let container: ClusterContainer;
  try {
    container = await keep(context, record, given);
  } catch (error) {
    await context.volumes.removeAnonymous(id, volumes.points).catch((failure: unknown) => {
      log.warn('volumes are left to the reaper', { containerId: id, error: errorMessage(failure) });
    });
    throw error;
  }
  context.events.publish('container', 'create', id, eventAttributes(container.record));
  await context.events.flush();
  return { Id: id, Warnings: warnings };
}

/** Under the given name, or one that nobody has. */
async function keep(
  { containers }: ClusterContext,
  record: Omit<ClusterRecord, 'name'>,
  given: string | undefined,
): Promise<ClusterContainer> {
  for (;;) {
    const name = given ?? randomContainerName((candidate) => containers.nameIsFree(candidate));
    try {
      return await containers.create({ ...record, name });
    } catch (error) {
      // another daemon took it at this moment
      if (given !== undefined || !isDaemonError(error, 'Conflict')) throw error;
    }
  }
}

async function findImage(
  context: ClusterContext,
  ref: string,
  platform: Platform | undefined,
): ReturnType<ClusterContext['images']['forNode']> {
  if (ref === '') throw new DaemonError('InvalidParameter', 'No command specified');
  if (!/^(sha256:)?[a-f0-9]{12,64}$/.test(ref)) parseReference(ref);
  return context.images.forNode(ref, platform);
}

function hostnameOf(id: string, given: string | undefined): string {
  return given === undefined || given === '' ? id.slice(0, 12) : given;
}

function withDonorIds({ containers }: ClusterContext, hostConfig: HostConfig): HostConfig {
  const changed = { ...hostConfig };
  for (const mode of ['NetworkMode', 'IpcMode', 'PidMode'] as const) {
    const donor = donorOf(hostConfig[mode] ?? '');
    const found = donor === undefined || donor === '' ? undefined : containers.find(donor);
    if (found !== undefined) changed[mode] = `container:${found.id}`;
  }
  return changed;
}
