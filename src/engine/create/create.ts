// create/: what a create makes of a request: defaults, checks, a record.
//
// ContainerCreate: a record, a writable disk and held layers. No process, no VM.

import { availableParallelism, hostname as hostHostname } from 'node:os';
import type { ApiVersion } from '../../api/v1.41/backend';
import type {
  ContainerCreateBody,
  ContainerCreateResponse,
  EndpointSettings,
  FilledContainerConfig,
  FilledHostConfig,
  HostConfig,
} from '../../docker/types';
import { nicsPerVm } from '../../config';
import { DaemonError } from '../../errors';
import { validateLogConfig } from '../logs/log-config';
import { log } from '../../log';
import { parseReference } from '../../registry/reference';
import type { Image } from '../../storage/contract/image';
import { donorOf } from '../../translate/container-to-pod';
import { hostConfigAtCreate, mergeImageConfig } from '../../semantics/create/defaults';
import {
  findMountedImages,
  layersToHold,
  requireBindSources,
  resolveMounts,
  type ResolvedMount,
  type MountContext,
} from '../mounts/container-mounts';
import {
  newContainerId,
  parseContainerName,
  randomContainerName,
} from '../../semantics/containers/container-names';
import { firstRecord } from '../../semantics/containers/first-record';
import { resolveLinks } from '../../semantics/containers/links';
import { findEmulator, missingEmulator, type EmulatorConfig } from '../core/emulators';
import {
  eventAttributes,
  type ContainerNetwork,
  type ContainerRecord,
  type LinkRecord,
} from '../../semantics/containers/container-record';
import type { ContainerRegistry } from '../core/container-registry';
import { storageSizeBytes, validateContainer } from '../../semantics/create/validation';
import { withCreateDefaults } from '../../semantics/create/daemon-defaults';
import { requireValidEndpoints } from '../../semantics/create/endpoints';
import { otherPlatformWarnings, platformOf, requirePlatform } from '../../semantics/images/image-platform';
import { parseVolumesFrom } from '../../semantics/create/volumes-from';
import { isNative, parsePlatform, type Platform } from '../../registry/platform';
import { effectlessOptions } from './effectless-options';
import { apiSocketPath, type Config } from '../../config';
import type { NetworkManager } from '../../network/network';
import type { ImageStore, LayerStore, WritableDiskStore } from '../../storage/contract/stores';
import type { ContainerLogs } from '../core/container-log';

/** What a container is made of. */
interface CreateStores {
  readonly images: Pick<ImageStore, 'find' | 'get' | 'removeUnusedLayers'>;
  readonly layers: Pick<LayerStore, 'reference' | 'unreference'>;
  readonly disks: Pick<WritableDiskStore, 'create' | 'remove'>;
}

export type CreateNeeds = MountContext &
  CreateStores & {
    readonly config: Pick<
      Config,
      | 'containerDefaults'
      | 'dataRoot'
      | 'defaultShmBytes'
      | 'emulatorDir'
      | 'hosts'
      | 'networkDefaults'
      | 'writableDiskBytes'
    >;
    readonly networks: Pick<NetworkManager, 'resolve'>;
    readonly logs: Pick<ContainerLogs, 'logPath'>;
  };

export interface CreateOptions {
  name?: string;
  platform?: string;
  version: ApiVersion;
  /** Of a build, which nothing goes on with when the daemon dies: recovery removes it. */
  isBuildStep?: boolean;
}

/** Leaves nothing behind when it throws. */
export async function createContainer(
  context: CreateNeeds,
  body: ContainerCreateBody,
  options: CreateOptions,
): Promise<ContainerCreateResponse> {
  const { registry } = context;
  const { HostConfig: givenHostConfig, NetworkingConfig, ...config } = body;
  const hostConfig = withDonorIds(registry, withCreateDefaults(givenHostConfig ?? {}, context.config));
  const endpoints = NetworkingConfig?.EndpointsConfig ?? {};
  requireReferencedContainers(registry, hostConfig);
  await requireBindSources(hostConfig, apiSocketPath(context.config.hosts));
  const warnings = validateContainer(config, hostConfig, {
    cpus: availableParallelism(),
    hostNetworking: context.config.networkDefaults.hostNetworking,
    validateLog: validateLogConfig,
  });
  warnings.push(...effectlessOptions(hostConfig));
  requireValidEndpoints(endpoints, options.version);
  requireNics(endpoints);
  const links = resolveLinks(registry, hostConfig);

  const wanted = parsePlatform(options.platform);
  const image = findImage(context, config.Image ?? '', wanted);
  if (image !== undefined) requirePlatform(image, config.Image ?? '', wanted);
  warnings.push(...platformWarnings(context.config, image, wanted));
  const id = newContainerId();
  const filled = mergeImageConfig(
    config,
    image?.config.config ?? {},
    containerHostname(id, config, hostConfig),
  );
  if (image === undefined) throw new DaemonError('InvalidParameter', 'No command specified');
  const given =
    options.name === undefined || options.name === '' ? undefined : parseContainerName(options.name);
  const name = given ?? randomContainerName((candidate) => registry.nameIsFree(candidate));
  const mountedImages = findMountedImages(context.images, hostConfig);
  const diffIds = layersToHold(image.config.rootfs.diff_ids, mountedImages, registry, hostConfig);
  registry.reserveName(name, id);
  try {
    // Before anything is waited for: the images may be removed meanwhile.
    context.layers.reference(id, diffIds);
    const mounts = await resolveMounts(
      { ...context, claimedBy: id, dataRoot: context.config.dataRoot, mountedImages },
      hostConfig,
      Object.keys(filled.Volumes ?? {}),
    );
    const record = newRecord(context, {
      id,
      name,
      image,
      filled,
      hostConfig,
      endpoints,
      links,
      warnings,
      mounts,
      isBuildStep: options.isBuildStep === true,
      hasHostConfig: givenHostConfig !== undefined && givenHostConfig !== null,
    });
    await context.disks.create(id, record.writableDiskBytes);
    const container = registry.add(record);
    context.events.publish('container', 'create', id, eventAttributes(container.record));
    return { Id: id, Warnings: warnings };
  } catch (error) {
    await undo(context, { id, name, diffIds });
    throw error;
  } finally {
    context.volumes.unclaim(id);
  }
}

/** Undefined without a name. Throws InvalidParameter for what is no name, NotFound for one that isn't there. */
function findImage({ images }: CreateStores, ref: string, platform: Platform | undefined): Image | undefined {
  if (ref === '') return undefined;
  const image = images.find(ref, platform);
  if (image !== undefined) return image;
  if (!/^(sha256:)?[a-f0-9]{64}$/.test(ref)) parseReference(ref);
  return images.get(ref);
}

/** A failure here is logged: the one that led to it is the one to tell. Recovery removes what is left. */
async function undo(
  context: CreateNeeds,
  { id, name, diffIds }: { id: string; name: string; diffIds: readonly string[] },
): Promise<void> {
  context.registry.releaseName(name, id);
  try {
    context.layers.unreference(id);
    await context.disks.remove(id);
    await context.images.removeUnusedLayers(diffIds);
  } catch (error) {
    log.warn('half-made container could not be undone', { containerId: id, error });
  }
}

interface RecordParts {
  id: string;
  name: string;
  image: Image;
  filled: FilledContainerConfig;
  hostConfig: HostConfig;
  endpoints: Record<string, EndpointSettings | null>;
  links: Record<string, LinkRecord> | undefined;
  warnings: string[];
  mounts: ResolvedMount[];
  hasHostConfig: boolean;
  isBuildStep: boolean;
}

function newRecord(context: CreateNeeds, parts: RecordParts): ContainerRecord {
  const { id, name, image, filled, mounts } = parts;
  const { architecture } = image.config;
  const hostConfig = hostConfigAtCreate(parts.hostConfig, parts.hasHostConfig);
  return {
    ...firstRecord({
      id,
      image,
      config: filled,
      hostConfig,
      links: parts.links,
      warnings: parts.warnings,
      logPath: context.logs.logPath(id, hostConfig.LogConfig?.Type ?? ''),
      writableDiskBytes: storageSizeBytes(hostConfig.StorageOpt) ?? context.config.writableDiskBytes,
      mounts: mounts.map(({ point }) => point),
      mountDetails: Object.fromEntries(mounts.map(({ point, ...details }) => [point.Destination, details])),
      networks: containerNetworks(context, filled, hostConfig, parts.endpoints),
    }),
    name,
    ...(isNative(architecture) ? {} : { architecture }),
    ...(parts.isBuildStep ? { isBuildStep: true } : {}),
  };
}

function containerHostname(id: string, config: ContainerCreateBody, hostConfig: HostConfig): string {
  if (hostConfig.UTSMode === 'host') return hostHostname();
  const given = config.Hostname ?? '';
  if (given !== '') return given;
  return hostConfig.NetworkMode === 'host' ? hostHostname() : id.slice(0, 12);
}

/** Containers that modes and options refer to must exist. */
export function requireReferencedContainers(registry: ContainerRegistry, hostConfig: HostConfig): void {
  const { IpcMode = '', PidMode = '' } = hostConfig;
  const refs = IpcMode.startsWith('container:') ? [IpcMode.slice('container:'.length)] : [];
  // Docker takes what is before the colon for granted here.
  if (PidMode.includes(':')) refs.push(PidMode.slice(PidMode.indexOf(':') + 1));
  for (const from of hostConfig.VolumesFrom ?? []) refs.push(parseVolumesFrom(from).ref);
  for (const ref of refs) {
    if (ref === '') continue; // an answer for start to give
    if (registry.find(ref) === undefined) {
      throw new DaemonError('InvalidParameter', `No such container: ${ref}`);
    }
  }
}

/** `container:<name>` as `container:<id>`, where there is such a container now; start looks again. */
function withDonorIds(registry: ContainerRegistry, hostConfig: HostConfig): HostConfig {
  const byId = <Mode extends string>(mode: Mode | null | undefined): Mode | undefined => {
    const donor = donorOf(mode ?? '');
    const found = donor === undefined || donor === '' ? undefined : registry.find(donor);
    // The type is a client's word, and so is this.
    return found === undefined ? (mode ?? undefined) : (`container:${found.id}` as Mode);
  };
  const changed = { ...hostConfig };
  for (const mode of ['NetworkMode', 'IpcMode', 'PidMode'] as const) {
    const named = byId(hostConfig[mode]);
    if (named !== undefined) changed[mode] = named;
  }
  return changed;
}

function requireNics(endpoints: Record<string, EndpointSettings | null>): void {
  if (Object.keys(endpoints).length <= nicsPerVm) return;
  throw new DaemonError(
    'InvalidParameter',
    `a container can be on at most ${nicsPerVm} networks, one for each network interface of its virtual machine`,
  );
}

/** Of an image of another processor: dockerd's, and why nothing will run where there is no emulator. */
function platformWarnings(
  config: EmulatorConfig,
  image: Image | undefined,
  wanted: Platform | undefined,
): string[] {
  if (image === undefined || isNative(image.config.architecture)) return [];
  const isEmulated = findEmulator(config, image.config.architecture) !== undefined;
  return [
    ...otherPlatformWarnings(image, wanted),
    ...(isEmulated ? [] : [missingEmulator(platformOf(image))]),
  ];
}

/** Docker lists tmpfs of `--mount`, not those of `--tmpfs`. */
const defaultNetworkName = 'bridge';

/** By network name, as inspect shows them. The network itself may come later: start looks for it. */
export function containerNetworks(
  context: Pick<CreateNeeds, 'networks'>,
  config: FilledContainerConfig,
  hostConfig: FilledHostConfig,
  endpoints: Record<string, EndpointSettings | null>,
): Record<string, ContainerNetwork> {
  const mode = hostConfig.NetworkMode;
  if (mode.startsWith('container:') || (config.NetworkDisabled ?? false)) return {};
  const networks: Record<string, ContainerNetwork> = {};
  for (const [name, requested] of Object.entries(endpoints)) {
    const key = name === 'default' ? defaultNetworkName : networkName(context, name);
    networks[key] = { networkId: '', requested: requested ?? {} };
  }
  const main = mode === 'default' ? defaultNetworkName : networkName(context, mode);
  if (Object.keys(networks).length === 0) networks[main] = { networkId: '', requested: {} };
  const own = networks[main];
  if (own !== undefined && (config.MacAddress ?? '') !== '' && (own.requested.MacAddress ?? '') === '') {
    own.requested = { ...own.requested, MacAddress: config.MacAddress ?? '' };
  }
  return networks;
}

/** The network's name if the client gave its id; what can't be found keeps the client's word. */
function networkName(context: Pick<CreateNeeds, 'networks'>, ref: string): string {
  try {
    return context.networks.resolve(ref).name;
  } catch {
    return ref;
  }
}
