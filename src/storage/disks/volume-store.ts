// Volumes of the `local` driver: a directory each, below `<dataRoot>/volumes/<name>/_data`, and a record. VMs reach
// the files through the VM's file server (native/fs-server); nothing but a tmpfs is ever mounted on the host. Or a disk, which one
// VM at a time has, with a link to it beside the directory.

import { randomBytes } from 'node:crypto';
import { symlinkSync } from 'node:fs';
import { chmod, mkdir, opendir, readdir, readlink, rename, rm, rmdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { DaemonError, noSpaceText, systemErrorCode } from '../../errors';
import { log } from '../../log';
import { makePrivateDirectory } from '../../host/directories';
import { runTool } from '../../host/run-tool';
import type { DocumentStore } from '../contract/stores';
import { TmpfsVolumes, type TmpfsOptions } from './tmpfs-volumes';
import { VolumeFillings } from './volume-filling';
import { DiskFileStore } from './writable-disk-store';

export interface Volume {
  name: string;
  /** As the client gave them; null when it gave none, which inspect shows as such. */
  labels: Record<string, string> | null;
  options: Record<string, string> | null;
  /** RFC 3339 in UTC, whole seconds. */
  createdAt: string;
  /** Made for a container without a name, or for one Pod: goes with `rm -v` and `run --rm`. */
  anonymous: boolean;
  /** Id of its disk, if it is one. */
  disk?: string;
}

/** With the value `disk` the volume is one. */
const kindLabel = 'caisson.volume';
/** Its value is the name of the Pod that the volume is of, and goes with. */
export const podVolumeLabel = 'caisson.pod.volume';

/**
 * What a volume's files are: a directory of the host that is shared, a tmpfs of the host that is mounted there (`tmpfs.use`), or
 * a directory of another machine that the guest mounts. `mountFlags`: of mount(2), for a directory elsewhere (`o=bind`).
 */
export type VolumeSource =
  | { kind: 'directory'; hostPath: string; mountFlags?: number }
  | ({ kind: 'tmpfs'; hostPath: string } & TmpfsOptions)
  | { kind: 'nfs'; type: string; device: string; words: readonly string[] };

const collection = 'volumes';
/** Of volumes that are disks; below the data root. */
export const volumeDisksName = 'volume-disks';
/** Beside `_data`: leads to the disk. */
const diskLinkName = 'disk';
const diskSuffix = '.ext4';
/** What guests see of a volume's root. On the host nobody but root gets there. */
const dataMode = 0o755;
const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const anonymousPattern = /^[0-9a-f]{64}$/;
/** As Docker's clients and engine read sizes. */
const sizePattern = /^\d+(\.\d+)? ?([kmgtp]?(i?b)?)$/i;
/** As in mount(2). */
const mountFlagBits: Readonly<Record<string, number>> = {
  ...{ ro: 0x1, nosuid: 0x2, nodev: 0x4, noexec: 0x8, sync: 0x10, dirsync: 0x80, noatime: 0x400 },
  ...{ nodiratime: 0x800, bind: 0x1000, rbind: 0x5000 },
};
/** Of mkdir(2), as Go words them. */
const directoryErrors = new Map([
  ['ENAMETOOLONG', 'file name too long'],
  ['ENOSPC', noSpaceText],
]);
const knownOptions = ['type', 'o', 'device', 'size'];

export class VolumeStore {
  readonly #documents: DocumentStore;
  readonly #root: string;
  readonly #volumes: Map<string, Volume>;
  /** Containers that are being made, by the volumes that they will have. */
  readonly #claims = new Map<string, Set<string>>();
  readonly #disks: DiskFileStore;
  readonly #diskBytes: number;
  readonly fillings: VolumeFillings;
  readonly tmpfs: TmpfsVolumes;

  /** `diskBytes`: what one that is a disk can hold. */
  constructor(documents: DocumentStore, dataRoot: string, diskBytes = 2 ** 30) {
    this.#documents = documents;
    this.#disks = new DiskFileStore(dataRoot, volumeDisksName);
    this.#diskBytes = diskBytes;
    this.#root = join(dataRoot, 'volumes');
    this.fillings = new VolumeFillings(this.#root);
    this.tmpfs = new TmpfsVolumes((name) => this.hostPath(name));
    this.#volumes = new Map(documents.all<Volume>(collection).map((volume) => [volume.name, volume]));
  }

  list(): Volume[] {
    return [...this.#volumes.values()];
  }

  find(name: string): Volume | undefined {
    return this.#volumes.get(name);
  }

  /** Throws NotFound in Docker's words. */
  get(name: string): Volume {
    const volume = this.#volumes.get(name);
    if (volume === undefined) throw new DaemonError('NotFound', `get ${name}: no such volume`);
    return volume;
  }

  /** From now on until `unclaim` the volume of this name, made or not, is one of the container's that is being made. */
  claim(name: string, containerId: string): void {
    const claims = this.#claims.get(name) ?? new Set();
    this.#claims.set(name, claims.add(containerId));
  }

  /** The container is in the registry, or will not be. */
  unclaim(containerId: string): void {
    for (const [name, claims] of this.#claims) {
      claims.delete(containerId);
      if (claims.size === 0) this.#claims.delete(name);
    }
  }

  /** Ids of containers that are being made and will have it. */
  claimedBy(name: string): string[] {
    return [...(this.#claims.get(name) ?? [])];
  }

  /** `Mountpoint` of inspect. */
  hostPath(name: string): string {
    return join(this.#root, name, '_data');
  }

  /** Of one that is a disk. */
  diskPath(name: string): string | undefined {
    const { disk } = this.get(name);
    return disk === undefined ? undefined : this.#disks.path(disk);
  }

  /**
   * Finds the volume of this name or makes it; without a name, an anonymous one. Options and labels of one that exists
   * stay as they are, as in Docker. `claimedBy`: a container to be, as by `claim`. `isDisk`, or a label: it is to be a disk if
   * there is nothing that it is already. Throws InvalidParameter and NotFound (driver) in Docker's words.
   */
  async create(request: {
    name?: string;
    driver?: string;
    options?: Record<string, string> | null;
    labels?: Record<string, string> | null;
    claimedBy?: string;
    isDisk?: boolean;
  }): Promise<{ volume: Volume; created: boolean }> {
    const anonymous = request.name === undefined || request.name === '';
    const name = request.name === undefined || anonymous ? randomBytes(32).toString('hex') : request.name;
    if (request.claimedBy !== undefined) this.claim(name, request.claimedBy);
    const driver = request.driver ?? '';
    if (driver !== '' && driver !== 'local') {
      throw new DaemonError(
        'NotFound',
        `create ${name}: error looking up volume plugin ${driver}: plugin "${driver}" not found`,
      );
    }
    const existing = this.#volumes.get(name);
    if (existing !== undefined) return { volume: existing, created: false };
    if (Buffer.byteLength(name) === 1) {
      const reason = 'volume name is too short, names should be at least two alphanumeric characters';
      throw new DaemonError('InvalidParameter', `create ${name}: ${reason}`);
    }
    if (!namePattern.test(name)) throw invalidName(name);
    const options = request.options ?? null;
    validateOptions(name, options);
    const volume: Volume = {
      name,
      labels: request.labels ?? null,
      options,
      createdAt: volumeTime(new Date()),
      anonymous: anonymous || request.labels?.[podVolumeLabel] !== undefined,
    };
    const isDisk = request.isDisk === true || request.labels?.[kindLabel] === 'disk';
    const disk =
      isDisk && Object.keys(options ?? {}).length === 0 ? randomBytes(16).toString('hex') : undefined;
    return this.#make(disk === undefined ? volume : { ...volume, disk });
  }

  /** Directory and disk first, the record last: a daemon that dies in between finds what nothing knows of, and removes it. */
  async #make(volume: Volume): Promise<{ volume: Volume; created: boolean }> {
    const { name, disk } = volume;
    let created = false;
    if (disk !== undefined) await this.#disks.create(disk, this.#diskBytes);
    try {
      await this.#makeDirectory(name);
      const other = this.#volumes.get(name);
      if (other !== undefined) return { volume: other, created };
      // no other create comes in between
      if (disk !== undefined) symlinkSync(this.#disks.path(disk), join(this.#root, name, diskLinkName));
      this.#documents.put(collection, name, volume);
      this.#volumes.set(name, volume);
      created = true;
      return { volume, created };
    } finally {
      if (!created) await this.#unmake(volume);
    }
  }

  /** A volume that has no record, unless another create of its name has made one meanwhile. */
  async #unmake({ name, disk }: Volume): Promise<void> {
    if (disk !== undefined) await this.#disks.remove(disk);
    if (this.#volumes.has(name)) return;
    if (disk !== undefined) await rm(join(this.#root, name, diskLinkName), { force: true });
    await this.#removeEmpty(name);
  }

  async #removeEmpty(name: string): Promise<void> {
    await rmdir(this.hostPath(name)).catch(() => undefined);
    await rmdir(join(this.#root, name)).catch(() => undefined);
  }

  async #makeDirectory(name: string): Promise<void> {
    const path = this.hostPath(name);
    const root = join(this.#root, name);
    try {
      // One by one: of several at once that a full disk refuses, Node says that the first is not there.
      for (const directory of [this.#root, root]) await mkdirIfMissing(directory, 0o700);
      await mkdirIfMissing(path, dataMode);
    } catch (error) {
      const why = directoryErrors.get(systemErrorCode(error) ?? '');
      if (why === undefined) throw error;
      await rmdir(root).catch(() => undefined); // unless it has something in it
      throw new DaemonError(
        'Internal',
        `create ${name}: error while creating volume root path '${root}': mkdir ${root}: ${why}`,
        { cause: error },
      );
    }
  }

  /** What a container that mounts it gets. Throws NotImplemented for file systems that no guest can be given. */
  source(name: string): VolumeSource {
    const options = this.get(name).options ?? {};
    const type = options['type'] ?? '';
    const words = (options['o'] ?? '').split(',').filter((word) => word !== '');
    const device = options['device'] ?? '';
    if (type === 'tmpfs') return { kind: 'tmpfs', hostPath: this.hostPath(name), device, words };
    if (type === 'nfs' || type === 'nfs4') return { kind: 'nfs', type, device, words };
    if (words.includes('bind') || words.includes('rbind')) {
      const mountFlags = words.reduce((flags, word) => flags | (mountFlagBits[word] ?? 0), 0);
      return { kind: 'directory', hostPath: device, mountFlags };
    }
    if (type === '') return { kind: 'directory', hostPath: this.hostPath(name) };
    throw new DaemonError(
      'NotImplemented',
      `volume ${name}: file system type "${type}" can't be mounted for a VM: use type=nfs, type=tmpfs, or type=none with o=bind`,
    );
  }

  /** Removes record and files. The caller has made sure that no container uses it. */
  async remove(name: string): Promise<void> {
    const volume = this.get(name);
    // Before anything else: what is mounted could not be moved away.
    if (isTmpfs(volume)) await this.tmpfs.release(name);
    // The record goes first and the files by one rename: what a crash leaves, `repair` finds by its name.
    this.#documents.delete(collection, name);
    this.#volumes.delete(name);
    if (volume.disk !== undefined) await this.#disks.remove(volume.disk);
    const doomed = join(this.#root, `.removing-${randomBytes(16).toString('hex')}`);
    try {
      await rename(join(this.#root, name), doomed);
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') throw error;
      return;
    }
    await removeTree(doomed);
  }

  /** Unmounts those in memory that nobody has any more: of containers that have ended while no daemon was there. Never rejects. */
  async releaseUnused(): Promise<void> {
    await Promise.all(
      this.list()
        .filter(isTmpfs)
        .map(({ name }) => this.tmpfs.release(name)),
    );
  }

  /** Bytes of the volume's files, each hard-linked file once. 0 for a volume without files of its own. */
  async usageBytes(name: string): Promise<number> {
    const { disk, options } = this.get(name);
    if (disk !== undefined) return this.#disks.fileBytes(disk);
    const { type, o } = options ?? {};
    return (type ?? '') === '' && (o ?? '') === '' ? directoryBytes(this.hostPath(name)) : 0;
  }

  /**
   * At start-up: ends removals that a crash cut short, and makes directories that it kept from being made. A directory with
   * files of which there is no record is a volume all the same, as to dockerd: a crash of the host may lose the last records,
   * and not what was synced to a volume. So is a disk with files.
   */
  async repair(): Promise<void> {
    await makePrivateDirectory(this.#root);
    await this.#disks.open();
    for await (const { name } of await opendir(this.#root)) {
      if (this.#volumes.has(name)) continue;
      const disk = namePattern.test(name) ? await this.#diskWithFiles(name) : undefined;
      if (disk !== undefined || (namePattern.test(name) && (await this.#hasFiles(name))))
        await this.#adopt(name, disk);
      else await removeTree(join(this.#root, name));
    }
    const known = new Set(this.list().map(({ disk }) => disk));
    for (const disk of await this.#disks.list()) if (!known.has(disk)) await this.#disks.remove(disk);
    for (const name of this.#volumes.keys()) {
      await makePrivateDirectory(join(this.#root, name));
      await mkdirIfMissing(this.hostPath(name), dataMode);
    }
  }

  async #hasFiles(name: string): Promise<boolean> {
    try {
      return (await readdir(this.hostPath(name))).length > 0;
    } catch (error) {
      if (['ENOENT', 'ENOTDIR'].includes(systemErrorCode(error) ?? '')) return false;
      throw error;
    }
  }

  /** Of a volume without a record. */
  async #diskWithFiles(name: string): Promise<string | undefined> {
    const target = await readlink(join(this.#root, name, diskLinkName)).catch(() => '');
    const disk = basename(target, diskSuffix);
    if (!target.endsWith(diskSuffix) || this.#disks.path(disk) !== target) return undefined;
    return (await this.#disks.fileBytes(disk)) > 0 ? disk : undefined;
  }

  async #adopt(name: string, disk?: string): Promise<void> {
    const { birthtime } = await stat(this.hostPath(name));
    const volume: Volume = {
      name,
      labels: null,
      options: null,
      createdAt: volumeTime(birthtime),
      anonymous: anonymousPattern.test(name),
      ...(disk === undefined ? {} : { disk }),
    };
    this.#documents.put(collection, name, volume);
    this.#volumes.set(name, volume);
    log.warn('a volume was found of which there was no record', { volume: name });
  }
}

function isTmpfs({ options }: Volume): boolean {
  return options?.['type'] === 'tmpfs';
}

function volumeTime(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}

async function mkdirIfMissing(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error;
    return;
  }
  if (mode !== 0o700) await chmod(path, mode); // whatever the umask is
}

function invalidName(name: string): DaemonError {
  return new DaemonError(
    'InvalidParameter',
    `create ${name}: "${name}" includes invalid characters for a local volume name, only ` +
      '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path',
  );
}

/** As the `local` driver does: known names only, and `device` whenever something is to be mounted. */
function validateOptions(name: string, options: Record<string, string> | null): void {
  for (const option of Object.keys(options ?? {})) {
    if (!knownOptions.includes(option)) {
      throw new DaemonError('InvalidParameter', `create ${name}: invalid option: "${option}"`);
    }
  }
  const { type, o, device, size } = options ?? {};
  const missing = (option: string): never => {
    throw new DaemonError('InvalidParameter', `create ${name}: missing required option: "${option}"`);
  };
  // Whether they are there, not what they say: dockerd takes empty ones.
  if ((type !== undefined || o !== undefined) && device === undefined) missing('device');
  if ((device !== undefined || o !== undefined) && type === undefined) missing('type');
  if (size === undefined) return;
  if (!sizePattern.test(size)) {
    throw new DaemonError('InvalidParameter', `create ${name}: invalid size: '${size}'`);
  }
  if (Number.parseFloat(size) > 0) {
    throw new DaemonError('InvalidParameter', `create ${name}: quota size requested but no quota support`);
  }
}

/** By rm(1), which paths of any length don't stop. */
async function removeTree(path: string): Promise<void> {
  await runTool('rm', ['-rf', '--', path]);
}

/** By find(1), whose walk knows names in any encoding and paths of any length, and forgives what is removed meanwhile. */
async function directoryBytes(path: string): Promise<number> {
  const format = '%n %D:%i %s\\n';
  const listing = await runTool('find', [
    path,
    '-ignore_readdir_race',
    '!',
    '-type',
    'd',
    '-size',
    '+0',
    '-printf',
    format,
  ]);
  const seen = new Set<string>();
  let total = 0;
  for (const line of listing.split('\n')) {
    const [links, file = '', bytes] = line.split(' ');
    if (links !== '1' && seen.has(file)) continue;
    if (links !== '1') seen.add(file);
    total += Number(bytes ?? 0);
  }
  return total;
}
