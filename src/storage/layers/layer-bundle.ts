// Many layers as one disk: a VMDK descriptor whose extents are the layers' own files behind a partition table. Nothing is
// copied, and a VM finds them all by one look at the disk (docs/adr/0005-layer-bundles.md).

import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

export interface BundledFile {
  path: string;
  sizeBytes: number;
}

export interface LayerBundle {
  /** Text of the VMDK descriptor. */
  descriptor: string;
  /** What lies before and behind the layers on the disk. */
  table: Buffer;
}

const sector = 512;
const entryBytes = 128;
/** As many as tables have by custom; Linux takes the number from the header. */
export const maxBundledFiles = 128;
const entrySectors = (maxBundledFiles * entryBytes) / sector;
/** Protective MBR, header, entries; rounded up, so that layers lie on blocks of 4 KiB. */
const headSectors = 40;
const tailSectors = entrySectors + 1;
/** "Linux filesystem data", as it lies on the disk. */
const linuxType = Buffer.from('af3dc60f838472478e793d69d8477de4', 'hex');

/** The files become partitions 1, 2 … in their order. Their sizes must be whole sectors. `tablePath`: where `table` will be. */
export function makeBundle(files: readonly BundledFile[], tablePath: string): LayerBundle {
  if (files.length > maxBundledFiles) throw new RangeError(`${files.length} layers are too many for a disk`);
  let next = headSectors;
  const parts = files.map(({ path, sizeBytes }) => {
    if (sizeBytes % sector !== 0) throw new RangeError(`${path} does not end with a whole sector`);
    const first = next;
    next += sizeBytes / sector;
    return { path, first, count: sizeBytes / sector };
  });
  const totalSectors = next + tailSectors;
  const diskId = createHash('sha256')
    .update(files.map(({ path }) => path).join('\n'))
    .digest();
  const entries = Buffer.alloc(maxBundledFiles * entryBytes);
  parts.forEach(({ first, count }, i) => {
    const at = i * entryBytes;
    linuxType.copy(entries, at);
    diskId.copy(entries, at + 16, 0, 16);
    entries.writeUInt16LE(i + 1, at + 30); // so that no two are alike
    entries.writeBigUInt64LE(BigInt(first), at + 32);
    entries.writeBigUInt64LE(BigInt(first + count - 1), at + 40);
  });
  const header = (own: number, other: number, entriesAt: number): Buffer =>
    gptHeader({ own, other, entriesAt, lastUsable: next - 1, diskId, entries });
  const table = Buffer.alloc((headSectors + tailSectors) * sector);
  protectiveMbr(totalSectors).copy(table);
  header(1, totalSectors - 1, 2).copy(table, sector);
  entries.copy(table, 2 * sector);
  entries.copy(table, headSectors * sector);
  header(totalSectors - 1, 1, next).copy(table, (headSectors + entrySectors) * sector);
  const extents = [
    { path: tablePath, count: headSectors, offset: 0 },
    ...parts.map(({ path, count }) => ({ path, count, offset: 0 })),
    { path: tablePath, count: tailSectors, offset: headSectors },
  ];
  const lines = extents.map(({ path, count, offset }) => `RW ${count} FLAT "${path}" ${offset}`);
  const head = ['# Disk DescriptorFile', 'version=1', 'CID=fffffffe', 'parentCID=ffffffff'];
  // No empty line before the first extent: QEMU would take it for two.
  const text = [...head, 'createType="twoGbMaxExtentFlat"', '# Extents', ...lines, ''];
  return { descriptor: text.join('\n'), table };
}

/** UEFI specification, "GPT Header". */
function gptHeader(given: {
  own: number;
  other: number;
  entriesAt: number;
  lastUsable: number;
  diskId: Buffer;
  entries: Buffer;
}): Buffer {
  const header = Buffer.alloc(sector);
  header.write('EFI PART', 0, 'latin1');
  header.writeUInt32LE(0x0001_0000, 8);
  header.writeUInt32LE(92, 12); // bytes of this header
  header.writeBigUInt64LE(BigInt(given.own), 24);
  header.writeBigUInt64LE(BigInt(given.other), 32);
  header.writeBigUInt64LE(BigInt(headSectors), 40);
  header.writeBigUInt64LE(BigInt(given.lastUsable), 48);
  given.diskId.copy(header, 56, 16, 32);
  header.writeBigUInt64LE(BigInt(given.entriesAt), 72);
  header.writeUInt32LE(maxBundledFiles, 80);
  header.writeUInt32LE(entryBytes, 84);
  header.writeUInt32LE(crc32(given.entries), 88);
  header.writeUInt32LE(crc32(header.subarray(0, 92)), 16);
  return header;
}

/** Says to who knows no GPT that the disk is taken. */
function protectiveMbr(totalSectors: number): Buffer {
  const mbr = Buffer.alloc(sector);
  mbr.set([0x00, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff], 446);
  mbr.writeUInt32LE(1, 454);
  mbr.writeUInt32LE(Math.min(totalSectors - 1, 0xffff_ffff), 458);
  mbr.writeUInt16LE(0xaa55, 510);
  return mbr;
}
