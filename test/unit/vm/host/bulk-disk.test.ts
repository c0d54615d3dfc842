import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BulkArea } from '../../../../src/vm/contract/bulk';
import { BulkDisk, bulkDiskBytes } from '../../../../src/vm/host/bulk-disk';

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bulk-'));
  path = join(directory, 'bulk');
  writeFileSync(path, '');
  truncateSync(path, bulkDiskBytes);
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function leases(disk: BulkDisk): Promise<BulkArea[]> {
  const found: BulkArea[] = [];
  for (let area = await disk.lease(); area !== undefined; area = await disk.lease()) found.push(area);
  return found;
}

test('parts lie within the disk and apart, and come to an end', async () => {
  const areas = await leases(new BulkDisk(path));
  const ends = areas.map(({ guest }) => ({
    from: guest.offset,
    to: guest.offset + guest.slots * guest.slotBytes,
  }));
  expect(areas.length).toBeGreaterThan(1);
  ends.forEach(({ from, to }, index) => {
    expect(from).toBe(ends[index - 1]?.to ?? 0);
    expect(to).toBeLessThanOrEqual(bulkDiskBytes);
  });
  await Promise.all(areas.map((area) => area.release()));
});

test('a slot holds what was written, and the next use of it something else', async () => {
  const disk = new BulkDisk(path);
  const [first, second] = await leases(disk);
  const { slots, slotBytes } = second!.guest;
  await second!.write(0, [Buffer.from('he'), Buffer.from('llo')]);
  await first!.write(0, [Buffer.alloc(slotBytes, 1)]);
  expect((await second!.read(0, 5)).toString()).toBe('hello');
  await second!.write(slots, [Buffer.from('again')]);
  expect((await second!.read(0, 5)).toString()).toBe('again');
  await expect(second!.write(0, [Buffer.alloc(slotBytes + 1)])).rejects.toThrow(RangeError);
  await expect(second!.read(0, slotBytes + 1)).rejects.toThrow(RangeError);
});

test('one that is given back can be had again, and with the last one goes what was there', async () => {
  const disk = new BulkDisk(path);
  const [area, ...others] = await leases(disk);
  await area!.write(0, [Buffer.alloc(100_000, 1)]);
  await area!.release();
  const again = await disk.lease();
  expect(again?.guest).toEqual(area!.guest);
  expect((await again!.read(0, 1))[0]).toBe(1);
  await Promise.all([again!, ...others].map((one) => one.release()));
  expect(statSync(path)).toMatchObject({ size: bulkDiskBytes, blocks: 0 });
  const fresh = await disk.lease();
  expect((await fresh!.read(0, 1))[0]).toBe(0);
  await fresh!.release();
});

test('the disk of a VM that another version has started is as large as it was, in smaller slots', async () => {
  const bytes = bulkDiskBytes / 2;
  truncateSync(path, bytes);
  const areas = await leases(new BulkDisk(path));
  const last = areas.at(-1)!;
  expect(last.guest.offset + last.guest.slots * last.guest.slotBytes).toBe(bytes);
  await last.write(0, [Buffer.alloc(last.guest.slotBytes, 1)]);
  await expect(last.write(0, [Buffer.alloc(last.guest.slotBytes + 1)])).rejects.toThrow(RangeError);
  await Promise.all(areas.map((area) => area.release()));
  expect(statSync(path)).toMatchObject({ size: bytes, blocks: 0 });
});

test('a VM without such a disk has no parts, and a file that was cut fails', async () => {
  expect(await new BulkDisk(join(directory, 'none')).lease()).toBeUndefined();
  writeFileSync(join(directory, 'empty'), '');
  expect(await new BulkDisk(join(directory, 'empty')).lease()).toBeUndefined();
  const area = await new BulkDisk(path).lease();
  truncateSync(path, 0);
  await expect(area!.read(0, 1)).rejects.toMatchObject({ code: 'Internal' });
  await area!.release();
});
