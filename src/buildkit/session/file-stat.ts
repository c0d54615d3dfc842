// Attributes of files between fsutil's Stat, whose modes are Go's, and ours.

import type { FileStat } from '../contract/session';
import type { Stat, StatInit } from '../messages/files';

type FileType = FileStat['type'];

/** Bits of Go's os.FileMode that say what a file is. */
const typeBits: Readonly<Record<FileType, number>> = {
  file: 0,
  directory: 2 ** 31,
  symlink: 2 ** 27,
  fifo: 2 ** 25,
  socket: 2 ** 24,
  block: 2 ** 26,
  character: 2 ** 26 + 2 ** 21,
};
const irregular = 2 ** 19;
const allTypes = Object.values(typeBits).reduce((all, bits) => (all | bits) >>> 0, irregular);
/** POSIX, Go. */
const special: readonly (readonly [number, number])[] = [
  [0o4000, 2 ** 23],
  [0o2000, 2 ** 22],
  [0o1000, 2 ** 20],
];

/** Throws RangeError for a type that no file system has. The path is as it came. */
export function fileStatOf(stat: Stat): FileStat {
  const { mode } = stat;
  const bits = (mode & allTypes) >>> 0;
  const type = (Object.keys(typeBits) as FileType[]).find((name) => typeBits[name] === bits);
  if (type === undefined) throw new RangeError(`${JSON.stringify(stat.path)} is of no known type`);
  const permissions = special.reduce(
    (sum, [posix, go]) => sum + ((mode & go) === 0 ? 0 : posix),
    mode & 0o777,
  );
  return {
    path: stat.path,
    type,
    mode: permissions,
    uid: stat.uid,
    gid: stat.gid,
    sizeBytes: type === 'file' ? Math.max(0, stat.size) : 0,
    modifiedNs: stat.modTime,
    linkName: stat.linkname,
    deviceMajor: stat.devmajor,
    deviceMinor: stat.devminor,
    xattrs: stat.xattrs,
  };
}

export function toStat(stat: FileStat): StatInit {
  const bits = special.reduce(
    (sum, [posix, go]) => sum + ((stat.mode & posix) === 0 ? 0 : go),
    stat.mode & 0o777,
  );
  return {
    path: stat.path,
    mode: bits + typeBits[stat.type],
    uid: stat.uid,
    gid: stat.gid,
    size: stat.sizeBytes,
    modTime: stat.modifiedNs,
    linkname: stat.linkName,
    devmajor: stat.deviceMajor,
    devminor: stat.deviceMinor,
    xattrs: stat.xattrs,
  };
}
