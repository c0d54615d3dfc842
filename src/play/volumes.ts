// The volumes of a Pod: directories of Docker's volumes with the files that manifests give, and checks of the host's paths.

import { constants } from 'node:fs';
import { chmod, chown, mkdir, open, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Stats } from 'node:fs';
import { DaemonError, isDaemonError, systemErrorCode } from '../errors';
import { makeOpenDirectory } from '../host/directories';
import type { PodPlan, VolumePlan } from '../kubernetes/plan';
import type { PlayHost } from './host';

/** On every volume that goes with its Pod, or was made for a claim. */
export const playLabel = 'caisson.play';

/** Makes what the Pod mounts. Volumes that are there already stay as they are, but for those of files. */
export async function prepareVolumes(host: PlayHost, { template, volumes }: PodPlan): Promise<void> {
  for (const volume of volumes) {
    const { source, volumeName } = volume;
    if (source.kind === 'host') await checkHostPath(source.path, source.type);
    if (volumeName === undefined) continue;
    const path = await volumeDirectory(host, volume, volumeName, template.name);
    if (path === undefined) continue;
    if (source.kind === 'files') await writeFiles(path, volume);
    if (volume.fsGroup !== undefined) {
      await chown(path, 0, volume.fsGroup);
      await chmod(path, source.kind === 'files' ? 0o2755 : 0o2775);
    } else if (source.kind === 'empty') await chmod(path, 0o777);
    // After that: what is made below has the volume's group and mode.
    for (const subPath of volume.subPaths) await makeBelow(path, subPath);
  }
}

/** Removes those that go with the Pod, and are its own. */
export async function removeVolumes(host: PlayHost, { template, volumes }: PodPlan): Promise<void> {
  for (const { source, volumeName } of volumes) {
    if (volumeName === undefined || source.kind === 'claim') continue;
    try {
      const { Labels } = await host.volumes.inspect(volumeName);
      if (Labels?.[playLabel] === template.name) await host.volumes.remove(volumeName, { force: true });
    } catch (error) {
      if (!isDaemonError(error, 'NotFound')) throw error;
    }
  }
}

/** Undefined: the volume is not to be touched. */
async function volumeDirectory(
  host: PlayHost,
  { source }: VolumePlan,
  Name: string,
  podName: string,
): Promise<string | undefined> {
  try {
    const { Mountpoint, Labels } = await host.volumes.inspect(Name);
    if (source.kind === 'claim') return Mountpoint;
    if (Labels?.[playLabel] !== podName) {
      throw new DaemonError('Conflict', `volume ${Name} exists, and is not the Pod's`);
    }
    // What a guest may have made in it is not written over: it is made anew.
    if (source.kind === 'empty') return undefined;
    await host.volumes.remove(Name, { force: true });
  } catch (error) {
    if (!isDaemonError(error, 'NotFound')) throw error;
    if (source.kind === 'claim' && !source.declared) {
      throw new DaemonError(
        'NotFound',
        `PersistentVolumeClaim "${source.claimName}" is not in the file, and there is no such volume`,
        { cause: error },
      );
    }
  }
  const label = source.kind === 'claim' ? '' : podName;
  return (await host.volumes.create({ Name, Labels: { [playLabel]: label } })).Mountpoint;
}

/** The directory is new, and no guest has it yet. */
async function writeFiles(directory: string, { source, fsGroup }: VolumePlan): Promise<void> {
  if (source.kind !== 'files') return;
  for (const { path, mode, content } of source.files) {
    const file = join(directory, path);
    await makeOpenDirectory(dirname(file));
    await writeFile(file, content, { flag: 'wx' });
    if (fsGroup !== undefined) await chown(file, 0, fsGroup);
    // a group that is to have the files can read them
    await chmod(file, fsGroup === undefined ? mode : mode | 0o040);
  }
}

/** Directory by directory, without following links that a guest may have made. */
async function makeBelow(root: string, subPath: string): Promise<void> {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  let directory = await open(root, flags);
  try {
    for (const part of subPath.split('/').filter((name) => name !== '' && name !== '.')) {
      const below = `/proc/self/fd/${directory.fd}/${part}`;
      const isNew = await mkdir(below).then(
        () => true,
        (error: unknown) => {
          if (systemErrorCode(error) !== 'EEXIST') throw error;
          return false;
        },
      );
      const next = await open(below, flags).catch((error: unknown) => {
        // A file may be mounted too; whether it is within the volume is looked at when it is.
        if (systemErrorCode(error) === 'ENOTDIR') return undefined;
        throw error;
      });
      if (next === undefined) return;
      if (isNew) await next.chmod((await directory.stat()).mode & 0o7777);
      await directory.close();
      directory = next;
    }
  } finally {
    await directory.close();
  }
}

const kinds: Readonly<Record<string, (stats: Stats) => boolean>> = {
  Directory: (stats) => stats.isDirectory(),
  DirectoryOrCreate: (stats) => stats.isDirectory(),
  File: (stats) => stats.isFile(),
  FileOrCreate: (stats) => stats.isFile(),
  Socket: (stats) => stats.isSocket(),
};

async function checkHostPath(path: string, type: string): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) {
    if (type === 'DirectoryOrCreate') await makeOpenDirectory(path);
    else if (type === 'FileOrCreate') {
      await writeFile(path, '', { flag: 'a' });
      await chmod(path, 0o644);
    } else throw new DaemonError('InvalidParameter', `hostPath ${path} does not exist`);
    return;
  }
  if (kinds[type]?.(found) === false) {
    throw new DaemonError('InvalidParameter', `hostPath ${path} is no ${type.replace('OrCreate', '')}`);
  }
}
