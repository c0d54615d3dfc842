// Volumes and binds of a container: resolved at create into mount points, given to its Pod at each start.

import type { V1Container, V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import type { HostConfig, Mount, MountPoint } from '../../docker/types';
import { DaemonError, invalid, isDaemonError } from '../../errors';
import { neverTimestamp } from '../../go/timestamp';
import type { MountDetails } from '../../semantics/containers/container-record';
import type { KnownContainers } from '../../semantics/containers/known-containers';
import { parseBindSpec } from '../../semantics/create/bind-spec';
import { isDockerSocket } from '../../semantics/create/docker-socket';
import { parseVolumesFrom } from '../../semantics/create/volumes-from';
import { cleanPath } from '../../translate/container-to-pod';
import type { ContainerVolumes } from '../contract/areas';
import type { ClusterRecord } from '../contract/cluster-record';
import type { PodParts, PodSocket } from '../contract/pod-parts';
import { supervisorDirectory, supervisorMount } from '../contract/pod-parts';
import { BoundFiles } from './bound-files';
import { claimName } from './claim';
import type { ClusterVolumeBackend } from './volume-backend';

export interface ContainerVolumesContext {
  volumes: ClusterVolumeBackend;
  containers: KnownContainers;
  files: BoundFiles;
  /** Directories of nodes that may be bound, with what is below them. */
  bindPaths: readonly string[];
  /** Where this daemon's API listens, as a client on its machine knows it: a bind of one of these is a bind of Docker's socket. */
  apiHosts: readonly string[];
}

interface Resolved {
  point: MountPoint;
  details: MountDetails;
}

const noDetails: MountDetails = { noCopy: false, subpath: '', createSource: false, nonRecursive: false };
/** Docker's, and the runtimes' own. */
const defaultShmBytes = 64 * 1024 * 1024;
/** For root and its group. */
const asDockers = { mode: 0o660, uid: 0, gid: 0 };
/** Where an init container has the volumes that it fills. */
const fillDirectory = '/.caisson-fill';

export class ClusterContainerVolumes implements ContainerVolumes {
  readonly #context: ContainerVolumesContext;

  constructor(context: ContainerVolumesContext) {
    this.#context = context;
  }

  /** In Docker's order of precedence: VolumesFrom, Binds, Mounts, the image's. */
  async resolve(
    hostConfig: HostConfig,
    imageVolumes: readonly string[],
  ): Promise<{ points: MountPoint[]; details: Record<string, MountDetails> }> {
    const mounts = new Map<string, Resolved>();
    for (const from of hostConfig.VolumesFrom ?? [])
      for (const mount of this.#inherited(from)) mounts.set(mount.point.Destination, mount);
    const taken = new Set<string>();
    for (const bind of hostConfig.Binds ?? []) {
      claimTarget(taken, parseBindSpec(bind).destination, hostConfig.Tmpfs);
      const mount = await this.#bind(bind, hostConfig);
      mounts.set(mount.point.Destination, mount);
    }
    for (const mount of hostConfig.Mounts ?? []) {
      claimTarget(taken, mount.Target ?? '');
      const resolved = await this.#mount(mount, hostConfig);
      if (resolved !== undefined) mounts.set(resolved.point.Destination, resolved);
    }
    const elsewhere = new Set([
      ...Object.keys(hostConfig.Tmpfs ?? {}).map(cleanPath),
      ...(hostConfig.Mounts ?? []).map(({ Target }) => cleanPath(Target ?? '')),
    ]);
    for (const volume of imageVolumes) {
      const destination = cleanPath(volume);
      if (mounts.has(destination) || elsewhere.has(destination)) continue;
      const body = { Driver: hostConfig.VolumeDriver ?? '' };
      const point = await this.#volume(body, { destination, mode: '', readWrite: true });
      mounts.set(destination, { details: noDetails, point });
    }
    for (const path of [...mounts.keys(), ...elsewhere]) requireFree(path);
    const all = [...mounts.values()];
    return {
      points: all.map(({ point }) => point),
      details: Object.fromEntries(all.map(({ point, details }) => [point.Destination, details])),
    };
  }

  async podParts(record: ClusterRecord): Promise<PodParts> {
    const volumes: V1Volume[] = [];
    const sockets: PodSocket[] = [];
    const mounts: V1VolumeMount[] = [];
    const filled: { name: string; destination: string }[] = [];
    /** By claim: the name that the Pod has for it. Of one claim by two names a kubelet waits for ever. */
    const ofClaims = new Map<string, string>();
    for (const [i, point] of record.mounts.entries()) {
      const details = record.mountDetails?.[point.Destination] ?? noDetails;
      if (details.isEngineSocket === true) sockets.push({ path: point.Destination, ...asDockers });
      const source = await this.#source(record, point, details, i);
      if (source === undefined) continue;
      const claim = source.volume.persistentVolumeClaim?.claimName ?? '';
      const name = ofClaims.get(claim) ?? `mount-${i}`;
      if (!ofClaims.has(claim)) volumes.push({ name, ...source.volume });
      if (claim !== '') ofClaims.set(claim, name);
      mounts.push({
        name,
        mountPath: point.Destination,
        ...(point.RW ? {} : { readOnly: true }),
        ...(source.subPath === '' ? {} : { subPath: source.subPath }),
      });
      if (point.Type === 'volume' && !details.noCopy && details.subpath === '')
        filled.push({ name, destination: point.Destination });
    }
    addMemory(record, volumes, mounts);
    // What a container has not been given at its first start, it is not given later.
    const fills = record.state.startedAt === neverTimestamp && filled.length > 0;
    return {
      volumes,
      mounts,
      sockets,
      ...(fills ? { initContainers: [fillContainer(record, filled)] } : {}),
    };
  }

  async removeAnonymous(containerId: string, points: readonly MountPoint[]): Promise<void> {
    await this.#context.volumes.removeAnonymous(containerId, volumeNames(points));
  }

  /** What is kept for a container's binds goes with it; its volumes are everybody's now. */
  async removed(record: ClusterRecord): Promise<void> {
    await this.#context.files.remove(record);
    if (record.removesVolumes === true) return;
    await this.#context.volumes.keep(volumeNames(record.mounts).filter(isGivenName));
  }

  settle(isOld: (name: string) => boolean): Promise<void> {
    return this.#context.volumes.settle(isOld);
  }

  /** Undefined: the Pod needs nothing for it. */
  async #source(
    record: ClusterRecord,
    point: MountPoint,
    { subpath, createSource, isEngineSocket }: MountDetails,
    index: number,
  ): Promise<{ volume: Omit<V1Volume, 'name'>; subPath: string } | undefined> {
    if (point.Type === 'volume') {
      const claim = await this.#context.volumes.get(point.Name ?? '');
      return { volume: { persistentVolumeClaim: { claimName: claim.claim } }, subPath: subpath };
    }
    if (point.Type !== 'bind' || isEngineSocket === true) return undefined;
    const path = point.Source;
    if (!this.#isAllowed(path)) {
      const { secretName, mode } = await this.#context.files.keep(record, path, index);
      return { volume: { secret: { secretName, defaultMode: mode } }, subPath: BoundFiles.key };
    }
    return {
      volume: { hostPath: { path, ...(createSource ? { type: 'DirectoryOrCreate' } : {}) } },
      subPath: '',
    };
  }

  #donor(ref: string): ReturnType<KnownContainers['get']> {
    try {
      return this.#context.containers.get(ref);
    } catch (error) {
      throw isDaemonError(error, 'NotFound') ? invalid(error.message) : error;
    }
  }

  #inherited(from: string): Resolved[] {
    const { ref, readOnly } = parseVolumesFrom(from);
    const { record } = this.#donor(ref);
    return record.mounts
      .filter(({ Type }) => Type !== 'tmpfs')
      .map((point) => ({
        // What the other container has not filled stays empty, as with dockerd.
        details: { ...(record.mountDetails?.[point.Destination] ?? noDetails), noCopy: true },
        point: { ...point, Mode: '', RW: point.RW && !readOnly },
      }));
  }

  async #bind(bind: string, hostConfig: HostConfig): Promise<Resolved> {
    const { source, destination, mode, readWrite, noCopy, propagation } = parseBindSpec(bind);
    const target = cleanPath(destination);
    if (source.startsWith('/')) {
      const point = bindPoint(cleanPath(source), target, mode, readWrite);
      const socket = this.#engineSocket(point, hostConfig);
      if (socket !== undefined) return socket;
      await this.#requireBindable(point, propagation ?? '');
      return { details: { ...noDetails, createSource: true }, point };
    }
    const body = { Name: source, Driver: hostConfig.VolumeDriver ?? '' };
    const shown = { destination: target, mode: mode === '' ? 'z' : mode, readWrite };
    return { details: { ...noDetails, noCopy }, point: await this.#volume(body, shown) };
  }

  async #mount(mount: Mount, hostConfig: HostConfig): Promise<Resolved | undefined> {
    const destination = cleanPath(mount.Target ?? '');
    const readWrite = !(mount.ReadOnly ?? false);
    if (mount.Type === 'image') {
      throw new DaemonError('NotImplemented', 'mounts of images are not supported on a cluster');
    }
    if (mount.Type === 'bind') {
      const point = bindPoint(cleanPath(mount.Source ?? ''), destination, '', readWrite);
      const socket = this.#engineSocket(point, hostConfig);
      if (socket !== undefined) return socket;
      await this.#requireBindable(point, mount.BindOptions?.Propagation ?? '');
      const createSource = mount.BindOptions?.CreateMountpoint ?? false;
      return { details: { ...noDetails, createSource }, point };
    }
    if (mount.Type !== 'volume') return undefined;
    const options = mount.VolumeOptions;
    const body = {
      Name: mount.Source ?? '',
      Driver: options?.DriverConfig?.Name ?? '',
      ...(options?.DriverConfig?.Options === undefined ? {} : { DriverOpts: options.DriverConfig.Options }),
      ...(options?.Labels === undefined ? {} : { Labels: options.Labels }),
    };
    const point = await this.#volume(body, { destination, mode: 'z', readWrite });
    const details = { ...noDetails, noCopy: options?.NoCopy ?? false, subpath: options?.Subpath ?? '' };
    return { details, point };
  }

  async #volume(
    body: Parameters<ClusterVolumeBackend['ensure']>[0],
    shown: { destination: string; mode: string; readWrite: boolean },
  ): Promise<MountPoint> {
    const { name } = await this.#context.volumes.ensure(body, { forContainer: true });
    return {
      Type: 'volume',
      Name: name,
      Source: `pvc/${claimName(name)}`,
      Destination: shown.destination,
      Driver: 'local',
      Mode: shown.mode,
      RW: shown.readWrite,
      Propagation: '',
    };
  }

  /** A socket that process 1 makes, from which the API is reached. Undefined for another bind; throws where it can't be made. */
  #engineSocket(point: MountPoint, { ReadonlyRootfs }: HostConfig): Resolved | undefined {
    const { Source: source } = point;
    if (!isDockerSocket(source) && !this.#context.apiHosts.includes(`unix://${source}`)) return undefined;
    if (ReadonlyRootfs === true)
      throw invalid(`bind source ${source} is not available on a cluster to a container with --read-only`);
    return { details: { ...noDetails, isEngineSocket: true }, point };
  }

  /** Throws for a path that containers of a cluster can't have, and says what they can. */
  async #requireBindable({ Source: source, RW }: MountPoint, propagation: string): Promise<void> {
    if (this.#isAllowed(source)) {
      if (propagation === '' || propagation === 'rprivate' || propagation === 'private') return;
      throw new DaemonError('InvalidParameter', `propagation "${propagation}" is not supported on a cluster`);
    }
    if (!RW && (await this.#context.files.isSmallFile(source))) return;
    throw new DaemonError(
      'InvalidParameter',
      `bind source ${source} is not available on a cluster: its nodes have other files than this machine. A volume is; a small file, ` +
        'read-only, is copied; directories of the nodes are where the operator allows them (--kube-bind-path)',
    );
  }

  #isAllowed(path: string): boolean {
    return this.#context.bindPaths.some((allowed) => {
      const root = cleanPath(allowed);
      return path === root || path.startsWith(root === '/' ? '/' : `${root}/`);
    });
  }
}

function volumeNames(points: readonly MountPoint[]): string[] {
  return points.flatMap(({ Type, Name }) => (Type === 'volume' ? [Name ?? ''] : []));
}

/** By the daemon, to a volume that nobody has named. */
function isGivenName(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}

function bindPoint(source: string, destination: string, mode: string, readWrite: boolean): MountPoint {
  return {
    Type: 'bind',
    Source: source,
    Destination: destination,
    Mode: mode,
    RW: readWrite,
    Propagation: 'rprivate',
  };
}

function claimTarget(taken: Set<string>, target: string, tmpfs?: Record<string, string> | null): void {
  const path = cleanPath(target);
  if (taken.has(path) || tmpfs?.[path] !== undefined) {
    throw new DaemonError('InvalidParameter', `Duplicate mount point: ${path}`);
  }
  taken.add(path);
}

function requireFree(path: string): void {
  if (path === supervisorDirectory || path.startsWith(`${supervisorDirectory}/`))
    throw invalid(`invalid mount path: '${path}' is where a cluster's containers have their supervisor`);
}

/** tmpfs mounts, and a /dev/shm of another size than everybody has. */
function addMemory({ hostConfig }: ClusterRecord, volumes: V1Volume[], mounts: V1VolumeMount[]): void {
  const add = (mountPath: string, bytes: number, readOnly = false): void => {
    const name = `memory-${volumes.length}`;
    volumes.push({
      name,
      emptyDir: { medium: 'Memory', ...(bytes > 0 ? { sizeLimit: String(bytes) } : {}) },
    });
    mounts.push({ name, mountPath, ...(readOnly ? { readOnly } : {}) });
  };
  for (const [path, options] of Object.entries(hostConfig.Tmpfs ?? {}))
    add(cleanPath(path), tmpfsBytes(options), options.split(',').includes('ro'));
  for (const { Type, Target, TmpfsOptions, ReadOnly } of hostConfig.Mounts ?? [])
    if (Type === 'tmpfs') add(cleanPath(Target ?? ''), TmpfsOptions?.SizeBytes ?? 0, ReadOnly ?? false);
  const { ShmSize } = hostConfig;
  if (ShmSize > 0 && ShmSize !== defaultShmBytes) add('/dev/shm', ShmSize);
}

/** `size=64m` of mount(8)'s words; 0 without one, or where it is a share of the memory. */
function tmpfsBytes(options: string): number {
  const [, number = '0', unit = ''] = /(?:^|,)size=(\d+)([kmg]?)(?:,|$)/i.exec(options) ?? [];
  return Number(number) * 1024 ** ['', 'k', 'm', 'g'].indexOf(unit.toLowerCase());
}

/** Of the container's own image, whose files it copies into volumes that are empty. */
function fillContainer(
  record: ClusterRecord,
  filled: readonly { name: string; destination: string }[],
): V1Container {
  const pairs = filled.flatMap(({ name, destination }) => [destination, `${fillDirectory}/${name}`]);
  return {
    name: 'fill-volumes',
    image: record.source.reference,
    command: [`${supervisorDirectory}/init`, 'fill', ...pairs],
    securityContext: { runAsUser: 0, runAsGroup: 0 },
    volumeMounts: [
      supervisorMount,
      ...[...new Set(filled.map(({ name }) => name))].map((name) => ({
        name,
        mountPath: `${fillDirectory}/${name}`,
      })),
    ],
  };
}
