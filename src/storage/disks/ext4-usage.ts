// What the files on an ext4 disk take, read from its tables of inodes: no file system is mounted, no directory read. The disk
// is a guest's to write, so every number of it is checked against what the disk can hold.
//
// Kernel documentation: ext4 "Super Block", "Block Group Descriptors", "Index Nodes".

import type { FileHandle } from 'node:fs/promises';

const superblockOffset = 1024;
const superblockBytes = 1024;
const magic = 0xef53;
const incompatMetaGroups = 0x10;
const incompat64Bit = 0x80;
/** Either says that what a group's descriptor tells of unused inodes is so. */
const compatGroupChecksums = 0x10 | 0x400;
const groupInodesUnused = 0x1;
const readBytes = 2 ** 20;
const typeMask = 0xf000;
const regularFile = 0x8000;
const symbolicLink = 0xa000;
const smallestInode = 128;

interface Layout {
  blockBytes: number;
  inodeBytes: number;
  inodesPerGroup: number;
  groups: number;
  descriptorBytes: number;
  descriptorsAt: number;
  hasChecksums: boolean;
  firstInode: number;
}

/** A group's table, as far as it is in use. */
interface Table {
  offset: number;
  firstInode: number;
  inodes: number;
}

/**
 * Sizes of all regular files and symbolic links, each once however many names it has. Undefined for a disk that is laid out in
 * a way that isn't known, or can't be.
 */
export async function ext4FileBytes(file: FileHandle): Promise<number | undefined> {
  const { size: diskBytes } = await file.stat();
  const layout = layoutOf(await readAt(file, superblockOffset, superblockBytes), diskBytes);
  if (layout === undefined) return undefined;
  const descriptors = await readAt(file, layout.descriptorsAt, layout.groups * layout.descriptorBytes);
  if (descriptors.length < layout.groups * layout.descriptorBytes) return undefined;
  let bytes = 0;
  for (let group = 0; group < layout.groups; group += 1) {
    bytes += await tableBytes(file, layout, tableOf(layout, descriptors, group));
  }
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

function layoutOf(head: Buffer, diskBytes: number): Layout | undefined {
  if (head.length < superblockBytes || head.readUInt16LE(0x38) !== magic) return undefined;
  const incompatible = head.readUInt32LE(0x60);
  const exponent = head.readUInt32LE(0x18);
  if ((incompatible & incompatMetaGroups) !== 0 || exponent > 6) return undefined;
  const blockBytes = 1024 << exponent;
  const inodes = head.readUInt32LE(0);
  const inodesPerGroup = head.readUInt32LE(0x28);
  const inodeBytes = head.readUInt16LE(0x58);
  const descriptorBytes = (incompatible & incompat64Bit) !== 0 ? head.readUInt16LE(0xfe) : 32;
  const groups = Math.ceil(inodes / inodesPerGroup);
  const fits =
    inodeBytes >= smallestInode &&
    inodeBytes <= blockBytes &&
    (descriptorBytes === 32 || descriptorBytes === 64) &&
    inodes * inodeBytes <= diskBytes &&
    groups <= Math.ceil(diskBytes / (8 * blockBytes * blockBytes)); // a block of bits says which blocks of a group are taken
  if (!fits) return undefined;
  return {
    blockBytes,
    inodeBytes,
    inodesPerGroup,
    groups,
    descriptorBytes,
    descriptorsAt: (head.readUInt32LE(0x14) + 1) * blockBytes,
    hasChecksums: (head.readUInt32LE(0x64) & compatGroupChecksums) !== 0,
    firstInode: head.readUInt32LE(0x54),
  };
}

function tableOf(layout: Layout, descriptors: Buffer, group: number): Table {
  const at = group * layout.descriptorBytes;
  const isLong = layout.descriptorBytes === 64;
  const block =
    descriptors.readUInt32LE(at + 0x8) + (isLong ? descriptors.readUInt32LE(at + 0x28) * 2 ** 32 : 0);
  const unused =
    descriptors.readUInt16LE(at + 0x1c) + (isLong ? descriptors.readUInt16LE(at + 0x32) * 2 ** 16 : 0);
  const isUnused = (descriptors.readUInt16LE(at + 0x12) & groupInodesUnused) !== 0;
  const used = !layout.hasChecksums ? layout.inodesPerGroup : isUnused ? 0 : layout.inodesPerGroup - unused;
  return {
    offset: block * layout.blockBytes,
    firstInode: group * layout.inodesPerGroup + 1,
    inodes: Math.max(0, used),
  };
}

async function tableBytes(file: FileHandle, layout: Layout, table: Table): Promise<number> {
  const { inodeBytes, firstInode } = layout;
  const atOnce = Math.floor(readBytes / inodeBytes);
  let bytes = 0;
  for (let done = 0; done < table.inodes; done += atOnce) {
    const count = Math.min(atOnce, table.inodes - done);
    const data = await readAt(file, table.offset + done * inodeBytes, count * inodeBytes);
    for (let at = 0; at + inodeBytes <= data.length; at += inodeBytes) {
      // those before it are the file system's own, as its journal
      if (table.firstInode + done + at / inodeBytes >= firstInode) bytes += sizeOf(data, at);
    }
  }
  return bytes;
}

function sizeOf(data: Buffer, at: number): number {
  const type = data.readUInt16LE(at) & typeMask;
  const links = data.readUInt16LE(at + 0x1a);
  if (links === 0 || (type !== regularFile && type !== symbolicLink)) return 0;
  const high = type === regularFile ? data.readUInt32LE(at + 0x6c) : 0;
  return data.readUInt32LE(at + 0x4) + high * 2 ** 32;
}

/** As much as there is. */
async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  if (!Number.isSafeInteger(offset) || length === 0) return Buffer.alloc(0);
  const data = Buffer.alloc(length);
  const { bytesRead } = await file.read(data, 0, length, offset);
  return data.subarray(0, bytesRead);
}
