// Binds and volumes of a container: resolved at create into mount points, shared with the VM at start.

import { lstat, mkdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostConfig, Mount, MountPoint } from '../api/v1.41/types';
import { DaemonError, systemErrorCode } from '../errors';
import type { VolumeStore } from '../storage/volume-store';
import { cleanPath } from '../translate/container-to-pod';
import type { GuestMount } from '../vm/agent/protocol';
import type { FileShare } from '../vm/file-server';
import type { ContainerRecord } from './container-record';
import { socketBehind, tunnelName, type SocketShare, type SocketTargets } from './socket-tunnels';
import type { ContainerRegistry } from './container-registry';
import type { EventPublisher } from './event-publisher';

/** What a mount point doesn't show, by destination. */
export interface MountDetails {
  /** `nocopy`: a volume is not filled from the image. */
  noCopy: boolean;
  /** Below the volume's root. */
  subpath: string;
  /** A bind's missing source is made (`-v`), or is an error (`--mount`). */
  createSource: boolean;
  /** Without the mounts below the source. */
  nonRecursive: boolean;
}

export interface ResolvedMount extends MountDetails {
  point: MountPoint;
}

export interface MountContext {
  volumes: VolumeStore;
  registry: ContainerRegistry;
  events: EventPublisher;
}

/** Where the agent mounts the VM's file server, and where it listens for connections to the host's sockets. */
const sharesDirectory = '/run/shares';
/** Where a Docker engine in a privileged container keeps its layers. */
const nestedEngineRoot = '/var/lib/docker';
const tunnelsDirectory = '/run/tunnels';
const noDetails: MountDetails = { noCopy: false, subpath: '', createSource: false, nonRecursive: false };
const propagations = /^r?(shared|slave|private)$/;

/**
 * The binds and volumes of a container to be, in Docker's order of precedence: VolumesFrom, Binds, Mounts, and the
 * Volumes of its configuration for what is left. Makes the volumes. Throws Docker's refusals.
 */
export async function resolveMounts(
  context: MountContext,
  hostConfig: HostConfig,
  configVolumes: readonly string[],
): Promise<ResolvedMount[]> {
  const mounts = new Map<string, ResolvedMount>();
  for (const from of hostConfig.VolumesFrom ?? []) {
    for (const mount of inheritedMounts(context.registry, from)) mounts.set(mount.point.Destination, mount);
  }
  for (const bind of hostConfig.Binds ?? []) {
    const mount = await resolveBind(context, bind, hostConfig.VolumeDriver ?? '');
    mounts.set(mount.point.Destination, mount);
  }
  for (const mount of hostConfig.Mounts ?? []) {
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
    if ((hostConfig.Privileged ?? false) && destination === nestedEngineRoot) continue;
    const point = await volumePoint(context, {
      destination,
      mode: '',
      readWrite: true,
      driver: hostConfig.VolumeDriver ?? '',
    });
    mounts.set(destination, { ...noDetails, point });
  }
  return [...mounts.values()];
}

/** Refuses a Mounts bind whose source is not there, as dockerd does at create. */
export async function requireBindSources(
  hostConfig: HostConfig,
  apiSocket: string | undefined,
): Promise<void> {
  for (const mount of hostConfig.Mounts ?? []) {
    if (mount.Type !== 'bind' || createsMountpoint(mount)) continue;
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

/** Ids of the containers that have this volume. */
export function containersUsing(registry: ContainerRegistry, volumeName: string): string[] {
  return registry
    .list()
    .filter(({ record }) =>
      record.mounts.some((point) => point.Type === 'volume' && point.Name === volumeName),
    )
    .map(({ id }) => id);
}

/** What start tells the VM: what its file server shares, and where the guest mounts it. */
export async function prepareShares(
  volumes: VolumeStore,
  record: ContainerRecord,
  apiSocket: string | undefined,
): Promise<{
  shares: FileShare[];
  sockets: SocketShare[];
  socketTargets: SocketTargets;
  mounts: GuestMount[];
  /** Volumes that get the image's files if they are empty, by where they are mounted. */
  fillable: Map<string, string>;
}> {
  const shares: FileShare[] = [];
  const sockets: SocketShare[] = [];
  const socketTargets: Record<string, string> = {};
  const mounts: GuestMount[] = [];
  const fillable = new Map<string, string>();
  for (const [index, point] of record.mounts.entries()) {
    if (point.Type !== 'bind' && point.Type !== 'volume') continue;
    const details = record.mountDetails?.[point.Destination] ?? noDetails;
    const access = point.RW ? 'rw' : 'ro';
    const source = point.Type === 'volume' ? volumes.source(point.Name ?? '') : undefined;
    if (source?.kind === 'tmpfs') {
      const options = [...source.options, access];
      mounts.push({ type: 'tmpfs', source: 'tmpfs', target: point.Destination, options });
      continue;
    }
    const name = tunnelName(record.id, index);
    const socket = point.Type === 'bind' ? await socketBehind(point.Source, apiSocket) : undefined;
    if (socket !== undefined) {
      socketTargets[name] = socket.path;
      sockets.push({ name, mode: socket.mode, uid: socket.uid, gid: socket.gid });
      mounts.push({
        type: 'bind',
        source: `${tunnelsDirectory}/${name}`,
        target: point.Destination,
        options: [access],
      });
      continue;
    }
    const hostPath = await shareSource(source?.hostPath ?? point.Source, point, details);
    // 0: what other VMs and the host change is seen at once, which locks and databases rely on.
    shares.push({ name, hostPath, readOnly: !point.RW, cacheMilliseconds: 0 });
    const populate = point.Type === 'volume' && point.RW && !details.noCopy && details.subpath === '';
    // One that is a directory elsewhere (o=bind) has no place for notes beside it.
    if (populate && source?.hostPath === volumes.hostPath(point.Name ?? ''))
      fillable.set(point.Destination, point.Name ?? '');
    mounts.push({
      type: 'bind',
      source: `${sharesDirectory}/${name}`,
      target: point.Destination,
      options: [access],
      populate,
    });
  }
  return { shares, sockets, socketTargets, mounts, fillable };
}

/** Default mounts and those of binds and volumes as one list: a user's mount replaces a default, parents come first. */
export function mergeMounts(defaults: readonly GuestMount[], own: readonly GuestMount[]): GuestMount[] {
  const replaced = new Set(own.map((mount) => mount.target));
  const depth = (mount: GuestMount): number => mount.target.split('/').filter((part) => part !== '').length;
  const all = [...defaults.filter((mount) => !replaced.has(mount.target)), ...own];
  return all
    .map((mount, index) => ({ mount, index }))
    .sort((a, b) => depth(a.mount) - depth(b.mount) || a.index - b.index)
    .map(({ mount }) => mount);
}

/** The file or directory to share. Made if it may be; a volume's subpath may not lead out of it. */
async function shareSource(path: string, point: MountPoint, details: MountDetails): Promise<string> {
  if (point.Type === 'volume') {
    if (details.subpath === '') return path;
    const root = await realpath(path);
    const target = await realpath(join(path, details.subpath)).catch(() => undefined);
    if (target !== undefined && (target === root || target.startsWith(`${root}/`))) return target;
    throw new DaemonError(
      'InvalidParameter',
      `cannot access path ${details.subpath} of volume ${point.Name ?? ''}`,
    );
  }
  try {
    const stats = await stat(path);
    if (stats.isFIFO() || stats.isCharacterDevice() || stats.isBlockDevice()) {
      throw new DaemonError(
        'NotImplemented',
        `bind source ${path} is neither a directory, a regular file nor a socket: FIFOs and devices of the host can't be shared with a VM`,
      );
    }
    return await realpath(path);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
  }
  if (!details.createSource) {
    throw new DaemonError(
      'InvalidParameter',
      `invalid mount config for type "bind": bind source path does not exist: ${path}`,
    );
  }
  await mkdir(path, { recursive: true, mode: 0o755 });
  return path;
}

function inheritedMounts(registry: ContainerRegistry, from: string): ResolvedMount[] {
  const [ref = '', mode = ''] = from.split(':');
  const { record } = registry.get(ref);
  return record.mounts
    .filter((point) => point.Type === 'bind' || point.Type === 'volume')
    .map((point) => ({
      ...(record.mountDetails?.[point.Destination] ?? noDetails),
      point: {
        ...point,
        ...(mode === '' ? {} : { Mode: mode }),
        RW: point.RW && !mode.split(',').includes('ro'),
      },
    }));
}

async function resolveBind(context: MountContext, bind: string, driver: string): Promise<ResolvedMount> {
  const parts = bind.split(':');
  const [source = '', destination = '', modeText = ''] = parts.length === 1 ? ['', bind] : parts;
  const words = modeText.split(',').filter((word) => word !== '');
  const readWrite = !words.includes('ro');
  const target = cleanPath(destination);
  const details = { ...noDetails, noCopy: words.includes('nocopy') };
  if (!source.startsWith('/')) {
    const mode = modeText === '' ? 'z' : modeText;
    const point = await volumePoint(context, { name: source, destination: target, mode, readWrite, driver });
    return { ...details, point };
  }
  const propagation = words.find((word) => propagations.test(word)) ?? 'rprivate';
  return {
    ...details,
    createSource: true,
    point: {
      Type: 'bind',
      Source: cleanPath(source),
      Destination: target,
      Mode: modeText,
      RW: readWrite,
      Propagation: propagation,
    },
  };
}

async function resolveMount(context: MountContext, mount: Mount): Promise<ResolvedMount> {
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
        Propagation: mount.BindOptions?.Propagation ?? 'rprivate',
      },
    };
  }
  const options = mount.VolumeOptions;
  const point = await volumePoint(context, {
    name: mount.Source ?? '',
    destination,
    mode: 'z',
    readWrite,
    driver: options?.DriverConfig?.Name ?? '',
    driverOptions: options?.DriverConfig?.Options ?? null,
    labels: options?.Labels ?? null,
  });
  return { ...noDetails, noCopy: options?.NoCopy ?? false, subpath: options?.Subpath ?? '', point };
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

async function volumePoint(context: MountContext, request: VolumeRequest): Promise<MountPoint> {
  const { volume } = await context.volumes.create({
    ...(request.name === undefined ? {} : { name: request.name }),
    driver: request.driver,
    options: request.driverOptions ?? null,
    labels: request.labels ?? null,
  });
  // dockerd tells of it each time that a container names the volume
  context.events.publish('volume', 'create', volume.name, { driver: 'local' });
  return {
    Type: 'volume',
    Name: volume.name,
    Source: context.volumes.hostPath(volume.name),
    Destination: request.destination,
    Driver: 'local',
    Mode: request.mode,
    RW: request.readWrite,
    Propagation: '',
  };
}

/** After a container is gone: its anonymous volumes go too, unless another container has them. */
export async function removeAnonymousVolumes(context: MountContext, record: ContainerRecord): Promise<void> {
  for (const { Type, Name } of record.mounts) {
    const volume = Type === 'volume' ? context.volumes.find(Name ?? '') : undefined;
    if (volume?.anonymous !== true || containersUsing(context.registry, volume.name).length > 0) continue;
    await context.volumes.remove(volume.name);
    context.events.publish('volume', 'destroy', volume.name, { driver: 'local' });
  }
}

/** Docker's events for volumes that a start mounts or an exit unmounts. */
export function publishVolumeEvents(
  events: EventPublisher,
  record: ContainerRecord,
  action: 'mount' | 'unmount',
): void {
  for (const point of record.mounts) {
    if (point.Type !== 'volume') continue;
    const attributes = { container: record.id, driver: point.Driver ?? 'local' };
    const details = {
      destination: point.Destination,
      propagation: point.Propagation,
      'read/write': String(point.RW),
    };
    events.publish(
      'volume',
      action,
      point.Name ?? '',
      action === 'mount' ? { ...attributes, ...details } : attributes,
    );
  }
}
