import { crc32 } from 'node:zlib';

import { makeBundle } from '../../../../src/storage/layers/layer-bundle';

const files = [
  { path: '/layers/one', sizeBytes: 4096 },
  { path: '/layers/two', sizeBytes: 12_288 },
];

interface Extent {
  sectors: number;
  path: string;
  offset: number;
}

function extentsOf(descriptor: string): Extent[] {
  return [...descriptor.matchAll(/^RW (\d+) FLAT "(.+)" (\d+)$/gm)].map(([, sectors, path = '', offset]) => ({
    sectors: Number(sectors),
    path,
    offset: Number(offset),
  }));
}

/** The disk as a VM reads it; layers are filled with their number. */
function diskOf({ descriptor, table }: ReturnType<typeof makeBundle>): Buffer {
  return Buffer.concat(
    extentsOf(descriptor).map(({ sectors, path, offset }) =>
      path === '/table'
        ? table.subarray(offset * 512, (offset + sectors) * 512)
        : Buffer.alloc(sectors * 512, files.findIndex((file) => file.path === path) + 1),
    ),
  );
}

function headerAt(disk: Buffer, sector: number) {
  const header = Buffer.from(disk.subarray(sector * 512, sector * 512 + 92));
  const checksum = header.readUInt32LE(16);
  header.writeUInt32LE(0, 16);
  const entriesAt = Number(header.readBigUInt64LE(72)) * 512;
  return {
    signature: header.toString('latin1', 0, 8),
    isWhole: checksum === crc32(header),
    own: Number(header.readBigUInt64LE(24)),
    other: Number(header.readBigUInt64LE(32)),
    entriesAreWhole: header.readUInt32LE(88) === crc32(disk.subarray(entriesAt, entriesAt + 128 * 128)),
    entriesAt,
  };
}

test('each file is a partition, in order, and lies where the table says', () => {
  const disk = diskOf(makeBundle(files, '/table'));
  const { entriesAt } = headerAt(disk, 1);
  files.forEach(({ sizeBytes }, i) => {
    const at = entriesAt + i * 128;
    const first = Number(disk.readBigUInt64LE(at + 32));
    const last = Number(disk.readBigUInt64LE(at + 40));
    expect((last + 1 - first) * 512).toBe(sizeBytes);
    expect(first % 8).toBe(0);
    expect(disk.subarray(first * 512, (last + 1) * 512).every((byte) => byte === i + 1)).toBe(true);
  });
  expect(
    disk.subarray(entriesAt + files.length * 128, entriesAt + 128 * 128).every((byte) => byte === 0),
  ).toBe(true);
});

test('both tables are whole and know of each other', () => {
  const disk = diskOf(makeBundle(files, '/table'));
  const last = disk.length / 512 - 1;
  const whole = { signature: 'EFI PART', isWhole: true, entriesAreWhole: true };
  expect(headerAt(disk, 1)).toMatchObject({ ...whole, own: 1, other: last });
  expect(headerAt(disk, last)).toMatchObject({ ...whole, own: last, other: 1 });
  expect(disk.readUInt16LE(510)).toBe(0xaa55);
});

test('no empty line stands before an extent: QEMU would take it twice', () => {
  expect(makeBundle(files, '/table').descriptor).not.toMatch(/\n\s*\n/);
});

test('what can be no partition is refused', () => {
  expect(() => makeBundle([{ path: '/odd', sizeBytes: 100 }], '/table')).toThrow(RangeError);
  const many = Array.from({ length: 129 }, () => ({ path: '/x', sizeBytes: 512 }));
  expect(() => makeBundle(many, '/table')).toThrow(RangeError);
});
