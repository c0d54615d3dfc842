// Paths that `docker cp` names, and what it may do there. Pure.

import { posix } from 'node:path';
import type { ContainerPathStat } from '../../docker/types';
import { DaemonError } from '../../errors';
import { goFileMode } from '../../go/file-mode';
import { formatTimestamp } from '../../go/timestamp';
import type { ContainerRecord } from '../containers/container-record';

/** dockerd unpacks in a process of its own, and says how that ended. */
export const untarFailed = 'Error processing tar file(exit status 1): ';

export interface PathInfo {
  stat: ContainerPathStat;
  /** st_mode of what the path leads to in the end; 0: nothing. */
  targetMode: number;
  /** Where the path leads, without links. */
  target: string;
}

/** In Docker's words. */
export function noSuchFile(path: string, ref: string): DaemonError {
  return new DaemonError('NotFound', `Could not find the file ${path} in container ${ref}`);
}

/** Of what the guest's job `stat` says. */
export function parsePathInfo(output: Buffer, path: string): PathInfo {
  const [numbers = '', , linkTarget = '', target = ''] = output.toString().split('\0');
  const [mode = 0, size = 0, seconds = 0, nanoseconds = 0, targetMode = 0] = numbers.split(' ').map(Number);
  return {
    stat: {
      name: baseName(absolutePath(path)),
      size,
      mode: goFileMode(mode),
      mtime: formatTimestamp(BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds)),
      linkTarget,
    },
    targetMode,
    target,
  };
}

/** From the root, with a "/" or "/." at the end kept: it says that a link is to be followed. */
export function absolutePath(path: string): string {
  const clean = posix.normalize(`/${path}`).replace(/(.)\/$/, '$1');
  if (path.endsWith('/.') || path === '.') return clean === '/' ? '/.' : `${clean}/.`;
  return path.endsWith('/') && clean !== '/' ? `${clean}/` : clean;
}

/** Go's filepath.Base. */
export function baseName(path: string): string {
  return path.endsWith('/.') ? '.' : path === '/' ? '/' : posix.basename(path);
}

/** As dockerd: a volume counts by its own mode, everything else by the root's. */
export function requireWritable(
  { mounts, hostConfig }: Pick<ContainerRecord, 'mounts' | 'hostConfig'>,
  target: string,
): void {
  const within = (destination: string): boolean =>
    target === destination || target.startsWith(`${destination}/`);
  const point = mounts
    .filter(({ Destination }) => within(Destination))
    .sort((a, b) => b.Destination.length - a.Destination.length)[0];
  if (point !== undefined) {
    if (!point.RW) throw new DaemonError('Internal', 'mounted volume is marked read-only');
    return;
  }
  if (hostConfig.ReadonlyRootfs) throw new DaemonError('Internal', 'container rootfs is marked read-only');
}

/** Docker's copyUIDGID: all that comes belongs to the container's user. A name is left to the archive's own numbers. */
export function extractOwner(user: string): { setOwner: boolean; uid: number; gid: number } {
  const [, uid, gid] = /^(\d+)(?::(\d+))?$/.exec(user) ?? [];
  return { setOwner: uid !== undefined, uid: Number(uid ?? 0), gid: Number(gid ?? uid ?? 0) };
}
