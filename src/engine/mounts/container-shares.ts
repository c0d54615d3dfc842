// Binds and volumes at start: what the VM's file server shares, and what the guest mounts.

import { lstat, realpath, stat } from 'node:fs/promises';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { MountPoint } from '../../docker/types';
import { DaemonError, errorMessage, systemErrorCode } from '../../errors';
import { makeOpenDirectory } from '../../host/directories';
import { guestNodeOf } from '../../translate/devices';
import type { VolumeSource, VolumeStore } from '../../storage/disks/volume-store';
import { type GuestMount, sharesDirectory, tunnelsDirectory } from '../../vm/contract/protocol';
import type { FileShare } from '../../vm/contract/vm';
import { noDetails } from './container-mounts';
import {
  diskMounts,
  imageMounts,
  type ContainerRecord,
  type MountDetails,
} from '../../semantics/containers/container-record';
import { errnoText } from '../../semantics/containers/runtime-errors';
import type { ShareNames, SocketTargets } from '../../semantics/containers/container-state';
import { tunnelName, type SocketShare } from '../vms/socket-tunnels';
import { socketBehind } from './socket-source';

/** MS_RDONLY of mount(2). */
const readOnlyFlag = 0x1;

export interface PreparedShares {
  shares: FileShare[];
  sockets: SocketShare[];
  socketTargets: SocketTargets;
  mounts: GuestMount[];
  /** Volumes that get the image's files if they are empty, by where they are mounted. */
  fillable: Map<string, { volume: string; share: string }>;
}

/** As a start names them. */
export function shareNames({ id, mounts }: Pick<ContainerRecord, 'id' | 'mounts'>): ShareNames {
  return Object.fromEntries(mounts.map(({ Destination }, index) => [Destination, tunnelName(id, index)]));
}

/** What the guest says of a container's mounts, by their paths on the host, or the names of images. */
export function withHostPaths(
  record: Pick<ContainerRecord, 'id' | 'mounts' | 'mountDetails'>,
  text: string,
): string {
  const names = shareNames(record);
  const images = imageMounts(record).map(({ destination }) => destination);
  const disks = diskMounts(record).map(({ point }) => point.Destination);
  const byImage = text.replace(/\bfind (.*) of tree (\d+)/g, (told, path: string, tree: string) => {
    const destination = [...images, ...disks][Number(tree)];
    const point = record.mounts.find(({ Destination }) => Destination === destination);
    return point === undefined ? told : `cannot access path ${path} of ${point.Type} ${point.Name ?? ''}`;
  });
  return record.mounts.reduce((told, { Destination, Source }) => {
    const name = names[Destination] ?? '';
    // a name is no beginning of another one's: digits may follow it
    return [sharesDirectory, tunnelsDirectory].reduce(
      (part, directory) => part.replaceAll(`"${directory}/${name}"`, `"${Source}"`),
      told,
    );
  }, byImage);
}

/**
 * What start tells the VM: what its file server shares, and where the guest mounts it. Volumes in memory are mounted for `user`,
 * until that one leaves them (`volumes.tmpfs`).
 */
export async function prepareShares(
  volumes: VolumeStore,
  record: ContainerRecord,
  apiSocket: string | undefined,
  names: ShareNames = shareNames(record),
  user = record.id,
): Promise<PreparedShares> {
  const shares: FileShare[] = [];
  const sockets: SocketShare[] = [];
  const socketTargets: Record<string, string> = {};
  const mounts: GuestMount[] = [];
  const fillable: PreparedShares['fillable'] = new Map();
  for (const point of record.mounts) {
    if (point.Type !== 'bind' && point.Type !== 'volume') continue;
    const details = record.mountDetails?.[point.Destination] ?? noDetails;
    if (details.diskPath !== undefined) continue;
    const access = point.RW ? 'rw' : 'ro';
    const source = point.Type === 'volume' ? volumes.source(point.Name ?? '') : undefined;
    if (source?.kind === 'nfs') {
      mounts.push(await nfsMount(source, point, details));
      continue;
    }
    if (source?.kind === 'tmpfs') await volumes.tmpfs.use(point.Name ?? '', user, source);
    const name = names[point.Destination] ?? '';
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
    const node = point.Type === 'bind' ? await guestNodeBehind(point.Source) : undefined;
    if (node !== undefined) {
      mounts.push({ type: 'bind', source: node, target: point.Destination, options: [access] });
      continue;
    }
    const mountFlags = source?.kind === 'directory' ? source.mountFlags : undefined;
    if (source !== undefined && mountFlags !== undefined)
      await requireDevice(source.hostPath, mountFlags, point.Source);
    const hostPath = await shareSource(source?.hostPath ?? point.Source, point, details);
    // `o=ro` holds for whoever mounts it.
    const fixed = ((mountFlags ?? 0) & readOnlyFlag) !== 0;
    shares.push({ name, hostPath, readOnly: fixed || !point.RW });
    // dockerd fills one in memory at create, and then unmounts it: what runs finds it empty.
    const copies =
      point.Type === 'volume' && source?.kind !== 'tmpfs' && !details.noCopy && details.subpath === '';
    // One that is a directory elsewhere (o=bind) has no place for notes beside it.
    const isOwn = copies && source?.hostPath === volumes.hostPath(point.Name ?? '');
    if (isOwn) fillable.set(point.Destination, { volume: point.Name ?? '', share: name });
    const populate = isOwn || (copies && point.RW);
    mounts.push({
      type: 'bind',
      source: `${sharesDirectory}/${name}`,
      target: point.Destination,
      options: [access],
      populate,
    });
  }
  const images = imageMounts(record);
  for (const [tree, { destination, subpath }] of images.entries()) {
    const target = destination;
    mounts.push({ type: 'tree', source: String(tree), subpath: `/${subpath}`, target, options: ['ro'] });
  }
  for (const [index, { point }] of diskMounts(record).entries()) {
    const { subpath, noCopy } = record.mountDetails?.[point.Destination] ?? noDetails;
    mounts.push({
      type: 'tree',
      source: String(images.length + index),
      subpath: `/${subpath}`,
      target: point.Destination,
      options: point.RW ? [] : ['ro'],
      // the guest sees whether it is empty
      populate: !noCopy && subpath === '',
    });
  }
  return { shares, sockets, socketTargets, mounts, fillable };
}

/** The guest mounts it itself, in the container's network. Throws what dockerd says of a server whose name nobody knows. */
async function nfsMount(
  { type, device, words }: Extract<VolumeSource, { kind: 'nfs' }>,
  point: MountPoint,
  details: MountDetails,
): Promise<GuestMount> {
  if (details.subpath !== '') {
    throw new DaemonError(
      'NotImplemented',
      `volume ${point.Name ?? ''} is a directory of another machine, of which no subpath can be mounted: name it in the volume's device`,
    );
  }
  const options = await Promise.all(words.map((word) => withAddress(word, point)));
  return {
    type,
    source: device,
    target: point.Destination,
    options: [...options, ...(point.RW ? [] : ['ro'])],
  };
}

/** The kernel knows no names: `addr=` is looked up here. */
async function withAddress(word: string, point: MountPoint): Promise<string> {
  const name = word.startsWith('addr=') ? word.slice('addr='.length) : '';
  if (name === '' || isIP(name) !== 0) return word;
  try {
    return `addr=${(await lookup(name)).address}`;
  } catch (error) {
    throw new DaemonError(
      'Internal',
      `error while mounting volume '${point.Source}': error resolving passed in network volume address: lookup ${name}: no such host`,
      { cause: error },
    );
  }
}

/** `-v /dev/null:/x` means the device, which the guest has, too; undefined for any other path. */
async function guestNodeBehind(path: string): Promise<string | undefined> {
  const stats = await stat(path).catch(() => undefined);
  if (stats?.isCharacterDevice() !== true) return undefined;
  return guestNodeOf(...deviceNumbers(stats.rdev));
}

/** Linux's dev_t, see makedev(3). */
function deviceNumbers(device: number): [major: number, minor: number] {
  const number = BigInt(device);
  return [
    Number(((number >> 8n) & 0xfffn) | ((number >> 32n) & ~0xfffn)),
    Number((number & 0xffn) | ((number >> 12n) & ~0xffn & 0xffffffffn)),
  ];
}

/** The image's files stay where they are. */
export function fillNothing(prepared: PreparedShares): void {
  prepared.fillable.clear();
  prepared.mounts = prepared.mounts.map((mount) => ({ ...mount, populate: false }));
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

/** Throws what dockerd says of a volume (`o=bind`) whose directory is not there, when it mounts that. */
async function requireDevice(device: string, mountFlags: number, mountpoint: string): Promise<void> {
  try {
    await stat(device);
  } catch (error) {
    const reason = errnoText(systemErrorCode(error) ?? errorMessage(error));
    throw new DaemonError(
      'Internal',
      `error while mounting volume '${mountpoint}': failed to mount local volume: mount ${device}:${mountpoint}, flags: 0x${mountFlags.toString(16)}: ${reason}`,
      { cause: error },
    );
  }
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
        `bind source ${path} is neither a directory, a regular file, a socket nor a device that every Linux has: FIFOs and other devices of the host can't be shared with a VM`,
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
  try {
    await makeOpenDirectory(path);
  } catch (error) {
    // A link that leads nowhere is in the way, and mkdir says ENOENT of it where Go says what dockerd tells.
    const dangling = await lstat(path).then(
      () => 'EEXIST',
      () => undefined,
    );
    const reason = errnoText(dangling ?? systemErrorCode(error) ?? errorMessage(error));
    throw new DaemonError(
      'Internal',
      `error while creating mount source path '${path}': mkdir ${path}: ${reason}`,
      { cause: error },
    );
  }
  return path;
}
