// mounts/: binds, volumes and sockets of the host: what a create resolves, and what a start gives to a VM.
//
// Binds and volumes of a container: resolved at create into mount points. container-shares.ts gives them to a VM.

import { lstat } from 'node:fs/promises';
import type { HostConfig, Mount, MountPoint } from '../../docker/types';
import { DaemonError } from '../../errors';
import type { VolumeStore } from '../../storage/disks/volume-store';
import { cleanPath } from '../../translate/container-to-pod';
import { parseBindSpec } from '../../semantics/create/bind-spec';
import { parseVolumesFrom } from '../../semantics/create/volumes-from';
import type { ContainerRecord, MountDetails } from '../../semantics/containers/container-record';
import { socketBehind } from './socket-source';
import type { ContainerRegistry } from '../core/container-registry';
import type { EventPublisher } from '../../semantics/events/event-publisher';

export interface ResolvedMount extends MountDetails {
  point: MountPoint;
}

export interface MountContext {
  volumes: VolumeStore;
  registry: ContainerRegistry;
  events: EventPublisher;
}

interface ClaimingContext extends MountContext {
  /** Id of the container to be. */
  claimedBy: string;
  /** What is mounted of images, by the names that the client gave: `findMountedImages`. */
  mountedImages: MountedImages;
  dataRoot: string;
}

/** With what the container to be says of its volumes. */
type VolumeContext = ClaimingContext & { privileged: boolean };

/** As much of an image as a mount of it takes. */
interface MountableImage {
  id: string;
  config: { rootfs: { diff_ids: string[] } };
}

/** By the name that a client gave. */
export type MountedImages = ReadonlyMap<string, MountableImage>;

/** Throws NotFound, or InvalidParameter for what is no name of an image. */
export function findMountedImages(
  images: { get: (ref: string) => MountableImage },
  { Mounts }: Pick<HostConfig, 'Mounts'>,
): MountedImages {
  const names = (Mounts ?? []).filter(({ Type }) => Type === 'image').map(({ Source }) => Source ?? '');
  return new Map(names.map((name) => [name, images.get(name)]));
}

/** Diff IDs of all that a container is given by others: its layers, and those of what it has mounted. */
export function layersToHold(
  layers: readonly string[],
  mounted: MountedImages,
  registry: ContainerRegistry,
  { VolumesFrom }: Pick<HostConfig, 'VolumesFrom'>,
): string[] {
  const inherited = (VolumesFrom ?? []).flatMap((from) => inheritedMounts(registry, from));
  return [
    ...layers,
    ...[...mounted.values()].flatMap(({ config }) => config.rootfs.diff_ids),
    ...inherited.flatMap(({ image }) => image?.layers ?? []),
  ];
}

/** Where a Docker engine in a privileged container keeps its layers. */
const nestedEngineRoot = '/var/lib/docker';
/** Where engines and builders in privileged containers lay layers upon each other, which they can't in a share. */
const layeredPlaces = [nestedEngineRoot, '/var/lib/buildkit'];
/** Of a mount that asks for nothing special. */
export const noDetails: MountDetails = {
  noCopy: false,
  subpath: '',
  createSource: false,
  nonRecursive: false,
};

/**
 * The binds and volumes of a container to be, in Docker's order of precedence: VolumesFrom, Binds, Mounts, and the
 * Volumes of its configuration for what is left. Makes the volumes, and claims them for `context.claimedBy`. Throws Docker's
 * refusals: of two for one path only when it comes to the second, and what was made before stays.
 */
export async function resolveMounts(
  claiming: ClaimingContext,
  hostConfig: HostConfig,
  configVolumes: readonly string[],
): Promise<ResolvedMount[]> {
  const context = { ...claiming, privileged: hostConfig.Privileged ?? false };
  const mounts = new Map<string, ResolvedMount>();
  for (const from of hostConfig.VolumesFrom ?? []) {
    for (const mount of inheritedMounts(context.registry, from)) {
      if (mount.point.Type === 'volume') context.volumes.claim(mount.point.Name ?? '', context.claimedBy);
      mounts.set(mount.point.Destination, mount);
    }
  }
  const taken = new Set<string>();
  for (const bind of hostConfig.Binds ?? []) {
    claimTarget(taken, parseBindSpec(bind).destination, hostConfig.Tmpfs);
    const mount = await resolveBind(context, bind, hostConfig.VolumeDriver ?? '');
    mounts.set(mount.point.Destination, mount);
  }
  for (const mount of hostConfig.Mounts ?? []) {
    claimTarget(taken, mount.Target ?? '');
    const image = mount.Type === 'image' ? context.mountedImages.get(mount.Source ?? '') : undefined;
    if (image !== undefined) {
      const resolved = imageMount(mount, image);
      mounts.set(resolved.point.Destination, resolved);
    }
    if (mount.Type !== 'bind' && mount.Type !== 'volume') continue;
    const resolved = await resolveMount(context, mount);
    mounts.set(resolved.point.Destination, resolved);
  }
  const elsewhere = new Set([
    ...Object.keys(hostConfig.Tmpfs ?? {}).map(cleanPath),
    ...(hostConfig.Mounts ?? []).map((mount) => cleanPath(mount.Target ?? '')),
  ]);
  for (const volume of configVolumes) {
    const destination = cleanPath(volume);
    if (mounts.has(destination) || elsewhere.has(destination)) continue;
    // The guest gives it a directory of the container's own disk, which overlayfs can lie on.
    if (context.privileged && destination === nestedEngineRoot) continue;
    const resolved = await volumeMount(context, {
      destination,
      mode: '',
      readWrite: true,
      driver: hostConfig.VolumeDriver ?? '',
    });
    mounts.set(destination, resolved);
  }
  return [...mounts.values()];
}

function claimTarget(taken: Set<string>, target: string, tmpfs?: Record<string, string> | null): void {
  const path = cleanPath(target);
  if (taken.has(path) || tmpfs?.[path] !== undefined) {
    throw new DaemonError('InvalidParameter', `Duplicate mount point: ${path}`);
  }
  taken.add(path);
}

/** Refuses a Mounts bind whose source is not there, as dockerd does at create. */
export async function requireBindSources(
  hostConfig: HostConfig,
  apiSocket: string | undefined,
): Promise<void> {
  for (const mount of hostConfig.Mounts ?? []) {
    if (mount.Type !== 'bind' || createsMountpoint(mount)) continue;
    // What is no absolute path is refused by validateMounts, for another reason.
    if (!(mount.Source ?? '').startsWith('/')) continue;
    const source = cleanPath(mount.Source ?? '');
    if ((await socketBehind(source, apiSocket)) !== undefined) continue;
    try {
      await lstat(source);
    } catch {
      throw new DaemonError(
        'InvalidParameter',
        `invalid mount config for type "bind": bind source path does not exist: ${source}`,
      );
    }
  }
}

export function hasVolume({ mounts }: ContainerRecord, name: string): boolean {
  return mounts.some((point) => point.Type === 'volume' && point.Name === name);
}

/** Ids of the containers that have this volume, or will when they are made. */
export function containersUsing(
  { registry, volumes }: Pick<MountContext, 'registry' | 'volumes'>,
  volumeName: string,
): string[] {
  const users = registry
    .list()
    .filter(({ record }) => hasVolume(record, volumeName))
    .map(({ id }) => id);
  return [...new Set([...users, ...volumes.claimedBy(volumeName)])];
}

function inheritedMounts(registry: ContainerRegistry, from: string): ResolvedMount[] {
  const { ref, readOnly } = parseVolumesFrom(from);
  const { record } = registry.get(ref);
  return record.mounts
    .filter(({ Type }) => Type !== 'tmpfs')
    .map((point) => ({
      ...(record.mountDetails?.[point.Destination] ?? noDetails),
      // What the other container has not filled stays empty, as with dockerd.
      noCopy: true,
      point: {
        ...point,
        Mode: '',
        RW: point.RW && !readOnly,
      },
    }));
}

async function resolveBind(context: VolumeContext, bind: string, driver: string): Promise<ResolvedMount> {
  const { source, destination, mode, readWrite, noCopy, propagation } = parseBindSpec(bind);
  const target = cleanPath(destination);
  if (!source.startsWith('/')) {
    const volume = await volumeMount(context, {
      name: source,
      destination: target,
      mode: mode === '' ? 'z' : mode,
      readWrite,
      driver,
    });
    return { ...volume, noCopy };
  }
  return {
    ...noDetails,
    createSource: true,
    point: {
      Type: 'bind',
      Source: cleanPath(source),
      Destination: target,
      Mode: mode,
      RW: readWrite,
      Propagation: bindPropagation(context.dataRoot, cleanPath(source), propagation),
    },
  };
}

async function resolveMount(context: VolumeContext, mount: Mount): Promise<ResolvedMount> {
  const destination = cleanPath(mount.Target ?? '');
  const readWrite = !(mount.ReadOnly ?? false);
  if (mount.Type === 'bind') {
    return {
      ...noDetails,
      createSource: createsMountpoint(mount),
      nonRecursive: mount.BindOptions?.NonRecursive ?? false,
      point: {
        Type: 'bind',
        Source: cleanPath(mount.Source ?? ''),
        Destination: destination,
        Mode: '',
        RW: readWrite,
        Propagation: bindPropagation(
          context.dataRoot,
          cleanPath(mount.Source ?? ''),
          mount.BindOptions?.Propagation,
        ),
      },
    };
  }
  const options = mount.VolumeOptions;
  const volume = await volumeMount(context, {
    name: mount.Source ?? '',
    destination,
    mode: 'z',
    readWrite,
    driver: options?.DriverConfig?.Name ?? '',
    driverOptions: options?.DriverConfig?.Options ?? null,
    labels: options?.Labels ?? null,
  });
  return { ...volume, noCopy: options?.NoCopy ?? false, subpath: options?.Subpath ?? '' };
}

/** Never to be written to, whatever was asked for, as with dockerd. */
function imageMount(mount: Mount, { id, config }: MountableImage): ResolvedMount {
  return {
    ...noDetails,
    subpath: mount.ImageOptions?.Subpath ?? '',
    image: { id, layers: config.rootfs.diff_ids },
    point: {
      Type: 'image',
      Name: mount.Source ?? '',
      Source: id,
      Destination: cleanPath(mount.Target ?? ''),
      Mode: '',
      RW: false,
      Propagation: '',
    },
  };
}

/** dockerd, which mounts below its root, has none of that stay in containers: it compares the paths as texts. */
function bindPropagation(dataRoot: string, source: string, wanted = ''): string {
  if (!source.startsWith(dataRoot) && !dataRoot.startsWith(source))
    return wanted === '' ? 'rprivate' : wanted;
  if (wanted === '') return 'rslave';
  if (wanted === 'rslave' || wanted === 'rshared') return wanted;
  throw new DaemonError(
    'InvalidParameter',
    'invalid mount config: must use either propagation mode "rslave" or "rshared" when mount source is within the daemon root, ' +
      `daemon root: "${dataRoot}", bind mount source: "${source}", propagation: "${wanted}"`,
  );
}

function createsMountpoint(mount: Mount): boolean {
  return mount.BindOptions?.CreateMountpoint ?? false;
}

interface VolumeRequest {
  name?: string;
  destination: string;
  mode: string;
  readWrite: boolean;
  driver: string;
  driverOptions?: Record<string, string> | null;
  labels?: Record<string, string> | null;
}

async function volumeMount(context: VolumeContext, request: VolumeRequest): Promise<ResolvedMount> {
  const { volume } = await context.volumes.create({
    ...(request.name === undefined ? {} : { name: request.name }),
    driver: request.driver,
    options: request.driverOptions ?? null,
    labels: request.labels ?? null,
    claimedBy: context.claimedBy,
    isDisk: context.privileged && layeredPlaces.includes(request.destination),
  });
  // dockerd tells of it each time that a container names the volume
  context.events.publish('volume', 'create', volume.name, { driver: 'local' });
  const point: MountPoint = {
    Type: 'volume',
    Name: volume.name,
    Source: context.volumes.hostPath(volume.name),
    Destination: request.destination,
    Driver: 'local',
    Mode: request.mode,
    RW: request.readWrite,
    Propagation: '',
  };
  const diskPath = context.volumes.diskPath(volume.name);
  return { ...noDetails, ...(diskPath === undefined ? {} : { diskPath }), point };
}

/** After a container is gone: its anonymous volumes go too, unless another container has them. */
export async function removeAnonymousVolumes(context: MountContext, record: ContainerRecord): Promise<void> {
  for (const { Type, Name } of record.mounts) {
    const volume = Type === 'volume' ? context.volumes.find(Name ?? '') : undefined;
    if (volume?.anonymous !== true || containersUsing(context, volume.name).length > 0) continue;
    await context.volumes.remove(volume.name);
    context.events.publish('volume', 'destroy', volume.name, { driver: 'local' });
  }
}
