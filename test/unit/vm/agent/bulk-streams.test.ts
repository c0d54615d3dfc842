import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { AgentInput } from '../../../../src/vm/contract/agent';
import { BulkReader, BulkWriter } from '../../../../src/vm/agent/bulk-streams';
import { ProtocolError } from '../../../../src/vm/agent/frame';
import { bulkPlain, bulkPlainBytes, bulkSlot } from '../../../../src/vm/contract/protocol';
import type { BulkArea } from '../../../../src/vm/contract/bulk';

const slotBytes = 128 * 1024;
const slots = 2;

/** An area in memory, as both sides see it. */
class MemoryArea implements BulkArea {
  readonly guest = { offset: 0, slotBytes, slots };
  readonly content: Buffer[] = [];
  reads = 0;

  write(turn: number, chunks: readonly Buffer[]): Promise<void> {
    this.content[turn % slots] = Buffer.concat(chunks);
    return Promise.resolve();
  }

  read(turn: number, length: number): Promise<Buffer> {
    this.reads += 1;
    return Promise.resolve(
      Buffer.from(this.content[turn % slots]?.subarray(0, length) ?? Buffer.alloc(length)),
    );
  }

  release = (): Promise<void> => Promise.resolve();
}

/** Takes what is written, and tells of it. */
class FakeInput implements AgentInput {
  readonly channel = 7;
  ended = false;
  onWrite: (data: Buffer) => void = () => undefined;

  write(data: Buffer): Promise<void> {
    this.onWrite(data);
    return Promise.resolve();
  }

  end(): void {
    this.ended = true;
    this.onWrite(Buffer.alloc(0));
  }
}

const record = (kind: number, length: number, bytes = Buffer.alloc(0)): Buffer => {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(kind, 0);
  header.writeUInt32LE(length, 4);
  return Buffer.concat([header, bytes]);
};

const pattern = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, index) => index % 251));

describe('to the guest', () => {
  /** Reads records as the guest does: a slot is free as soon as it was read. */
  function guestOf(
    input: FakeInput,
    area: MemoryArea,
    releases: PassThrough,
  ): { stream: Buffer[]; kinds: number[] } {
    const got = { stream: [] as Buffer[], kinds: [] as number[] };
    let turn = 0;
    input.onWrite = (data) => {
      if (data.length === 0) return;
      const [kind, length] = [data.readUInt32LE(0), data.readUInt32LE(4)];
      got.kinds.push(kind);
      if (kind === bulkPlain) got.stream.push(data.subarray(8));
      else got.stream.push(Buffer.from(area.content[turn++ % slots]!.subarray(0, length)));
      if (kind === bulkSlot) releases.write(Buffer.alloc(1));
    };
    return got;
  }

  test.each([0, 1, bulkPlainBytes, bulkPlainBytes + 1, bulkPlainBytes + slotBytes, 7 * slotBytes + 12_345])(
    '%d bytes arrive as they were, whatever their parts',
    async (length) => {
      const [input, area, releases] = [new FakeInput(), new MemoryArea(), new PassThrough()];
      const got = guestOf(input, area, releases);
      const writer = new BulkWriter(input, area, releases);
      const data = pattern(length);
      for (let at = 0, part = 1; at < length; at += part, part = ((part * 7) % 300_007) + 1) {
        await writer.write(data.subarray(at, at + part));
      }
      writer.end();
      while (!input.ended) await new Promise(setImmediate);
      expect(Buffer.concat(got.stream).equals(data)).toBe(true);
      expect(got.kinds.includes(bulkSlot)).toBe(length > 2 * bulkPlainBytes);
    },
  );

  test('a slot is not filled again before it is free', async () => {
    const [input, area, releases] = [new FakeInput(), new MemoryArea(), new PassThrough()];
    const writer = new BulkWriter(input, area, releases);
    await writer.write(pattern(bulkPlainBytes + slots * slotBytes));
    const third = writer.write(Buffer.alloc(slotBytes, 3));
    await new Promise(setImmediate);
    expect(area.content.map((slot) => slot[0])).toEqual([
      bulkPlainBytes % 251,
      (bulkPlainBytes + slotBytes) % 251,
    ]);
    releases.write(Buffer.alloc(1));
    await third;
    expect(area.content[0]![0]).toBe(3);
  });

  test('a job that ends lets nobody wait', async () => {
    const [input, area, releases] = [new FakeInput(), new MemoryArea(), new PassThrough()];
    const writer = new BulkWriter(input, area, releases);
    const write = writer.write(pattern(bulkPlainBytes + (slots + 1) * slotBytes));
    releases.destroy();
    await expect(write).rejects.toMatchObject({ systemCode: 'EPIPE' });
  });

  test('slots that were not filled are not released', async () => {
    const releases = new PassThrough();
    new BulkWriter(new FakeInput(), new MemoryArea(), releases);
    const failed = new Promise((resolve) => releases.once('error', resolve));
    releases.write(Buffer.alloc(1));
    expect(await failed).toBeInstanceOf(ProtocolError);
  });
});

describe('from the guest', () => {
  test('plain bytes and slots make one stream, however the records are cut', async () => {
    const area = new MemoryArea();
    const input = new FakeInput();
    const released = jest.fn();
    input.onWrite = released;
    const reader = new BulkReader(area, input);
    area.content[0] = Buffer.alloc(slotBytes, 1);
    area.content[1] = Buffer.alloc(slotBytes, 2);
    const wire = Buffer.concat([
      record(bulkPlain, 5, Buffer.from('hello')),
      record(bulkPlain, 0),
      record(bulkSlot, slotBytes),
      record(bulkSlot, 3),
      record(bulkPlain, 1, Buffer.from('!')),
    ]);
    const parts = [...wire].map((byte) => Buffer.of(byte));
    const all = await buffer(Readable.from(parts).pipe(reader));
    const expected = Buffer.concat([
      Buffer.from('hello'),
      area.content[0],
      Buffer.alloc(3, 2),
      Buffer.from('!'),
    ]);
    expect(all.equals(expected)).toBe(true);
    expect(released).toHaveBeenCalledTimes(2);
  });

  test.each([
    ['a slot of too many bytes', record(bulkSlot, slotBytes + 1)],
    ['a slot of none', record(bulkSlot, 0)],
    ['another kind', record(3, 1)],
    ['half a record', Buffer.alloc(3)],
    ['half the plain bytes', record(bulkPlain, 9, Buffer.from('half'))],
  ])('refuses %s', async (_, wire) => {
    const reader = new BulkReader(new MemoryArea(), new FakeInput());
    await expect(buffer(Readable.from([wire]).pipe(reader))).rejects.toBeInstanceOf(ProtocolError);
  });

  test('a few bytes that stand for much are not all looked up at once', async () => {
    const area = new MemoryArea();
    const reader = new BulkReader(area, new FakeInput());
    reader.write(Buffer.concat(Array.from({ length: 1000 }, () => record(bulkSlot, slotBytes))));
    for (let round = 0; round < 20; round += 1) await new Promise(setImmediate);
    expect(area.reads).toBeLessThan(4);
    reader.destroy();
  });

  test('a guest that does not listen is not told without end', async () => {
    const input = new FakeInput();
    input.write = () => new Promise(() => undefined);
    const reader = new BulkReader(new MemoryArea(), input);
    const wire = Buffer.concat(Array.from({ length: 1000 }, () => record(bulkSlot, slotBytes)));
    await expect(buffer(Readable.from([wire]).pipe(reader))).rejects.toBeInstanceOf(ProtocolError);
  });
});
