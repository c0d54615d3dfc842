// Docker's checksum of a file, "tarsum" version 1: of its tar header less the times, and its content. The cache compares
// these, and they stand in the history of images.

import { createHash, type Hash } from 'node:crypto';
import type { TarEntry } from '../storage/tar/tar-header';
import type { TreeNode } from './file-tree';

const xattrPrefix = 'SCHILY.xattr.';

export interface SummedHeader {
  /** All texts are latin1. */
  name: string;
  /** With the bits of the file's type. */
  mode: number;
  uid: number;
  gid: number;
  size: number;
  type: string;
  link: string;
  userName: string;
  groupName: string;
  deviceMajor: number;
  deviceMinor: number;
  xattrs: ReadonlyMap<string, Buffer>;
}

/** The checksum's beginning; the content is to be added. */
export function startSum(header: SummedHeader): Hash {
  const fields: [string, string | number][] = [
    ['name', header.name],
    ['mode', header.mode],
    ['uid', header.uid],
    ['gid', header.gid],
    ['size', header.size],
    ['typeflag', header.type],
    ['linkname', header.link],
    ['uname', header.userName],
    ['gname', header.groupName],
    ['devmajor', header.deviceMajor],
    ['devminor', header.deviceMinor],
  ];
  const hash = createHash('sha256');
  for (const [key, value] of fields) hash.update(`${key}${value}`, 'latin1');
  for (const [key, value] of [...header.xattrs].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(key.slice(xattrPrefix.length), 'latin1').update(value);
  }
  return hash;
}

/** Of an entry as it came in a build context. */
export function headerOfEntry(entry: TarEntry): SummedHeader {
  return {
    ...entry,
    mode: entry.asRead?.modeField ?? entry.mode,
    size: entry.sparse?.realSize ?? entry.size,
    userName: entry.asRead?.userName ?? '',
    groupName: entry.asRead?.groupName ?? '',
    xattrs: entry.records,
  };
}

/** Type bits by tar type, as in stat(2). */
const typeBits: Record<string, number> = {
  '0': 0o100000,
  '2': 0o120000,
  '3': 0o020000,
  '4': 0o060000,
  '5': 0o040000,
  '6': 0o010000,
};

/** Of a file of an image, as Docker makes a header of what stat(2) says. */
export function headerOfNode(name: string, node: TreeNode): SummedHeader {
  const { mode, uid, gid, xattrs } = node.attributes;
  const isDirectory = node.kind === 'directory';
  const type = isDirectory ? '5' : node.type;
  return {
    name: isDirectory ? `${name}/` : name,
    mode: mode | (typeBits[type] ?? 0),
    uid,
    gid,
    size: isDirectory ? 0 : node.size,
    type,
    link: isDirectory ? '' : node.link,
    userName: ownerName(uid),
    groupName: ownerName(gid),
    deviceMajor: isDirectory ? 0 : node.deviceMajor,
    deviceMinor: isDirectory ? 0 : node.deviceMinor,
    // FileInfoHeader reads this one only
    xattrs: new Map([...xattrs].filter(([key]) => key === `${xattrPrefix}security.capability`)),
  };
}

/** dockerd asks its host's /etc/passwd; what matters is that the name is the same each time. */
function ownerName(id: number): string {
  return id === 0 ? 'root' : '';
}
