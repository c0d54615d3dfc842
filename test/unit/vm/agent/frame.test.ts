import fc from 'fast-check';
import {
  decodeOffset,
  encodeData,
  encodeFrame,
  encodeMessage,
  encodeOffset,
  FrameDecoder,
  ProtocolError,
  type Frame,
} from '../../../../src/vm/agent/frame';
import {
  frameHeaderBytes,
  FrameType,
  maxPayloadBytes,
  syncMagic,
  syncNonceBytes,
} from '../../../../src/vm/contract/protocol';

const nonce = Buffer.alloc(syncNonceBytes, 7);
const answer = Buffer.concat([Buffer.from(syncMagic), nonce]);

function copied(frame: Frame): Frame {
  return { ...frame, payload: Buffer.from(frame.payload) };
}

function decode(chunks: Buffer[]): Frame[] {
  const decoder = new FrameDecoder(nonce);
  const frames: Frame[] = [];
  for (const chunk of [answer, ...chunks]) decoder.push(chunk, (frame) => frames.push(copied(frame)));
  return frames;
}

/** Cuts at the given places, whatever they are. */
function cut(bytes: Buffer, places: number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((start, index) => bytes.subarray(start, at[index] ?? bytes.length));
}

const frameOf = fc.record({
  type: fc.constantFrom(...Object.values(FrameType)),
  channel: fc.integer({ min: 0, max: 0xffff_ffff }),
  payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  more: fc.boolean(),
});

describe('frames', () => {
  test('come out as they went in, however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(frameOf, { maxLength: 8 }),
        fc.array(fc.nat(4000), { maxLength: 40 }),
        (frames, places) => {
          const bytes = Buffer.concat(
            frames.map(({ type, channel, payload, more }) => encodeFrame(type, channel, payload, more)),
          );
          expect(decode(cut(bytes, places))).toEqual(frames);
        },
      ),
    );
  });

  test('one byte at a time', () => {
    const bytes = encodeFrame(FrameType.data, 3, Buffer.alloc(200, 1));
    expect(decode([...bytes].map((byte) => Buffer.from([byte])))).toHaveLength(1);
  });

  test('of the largest size', () => {
    const [frame] = decode(
      cut(encodeFrame(FrameType.data, 1, Buffer.alloc(maxPayloadBytes, 5)), [10, 70_000]),
    );
    expect(frame?.payload.length).toBe(maxPayloadBytes);
  });

  test('DATA carries its offset, also beyond 32 bits', () => {
    const [frame] = decode([encodeData(9, 2 ** 40, Buffer.from('abc'))]);
    expect(decodeOffset(frame!.payload)).toBe(2 ** 40);
    expect(frame!.payload.subarray(8).toString()).toBe('abc');
  });

  test('long messages are continued', () => {
    const message = { text: 'x'.repeat(3 * maxPayloadBytes) };
    const frames = decode(encodeMessage(FrameType.request, 4, message));
    expect(frames.map((frame) => frame.more)).toEqual([true, true, true, false]);
    expect(JSON.parse(Buffer.concat(frames.map((frame) => frame.payload)).toString())).toEqual(message);
  });
});

describe('synchronisation', () => {
  test('drops everything before the answer, also an answer to another nonce', () => {
    const frame = encodeFrame(FrameType.hello, 0, Buffer.from('{}'));
    const other = Buffer.concat([Buffer.from(syncMagic), Buffer.alloc(syncNonceBytes, 8)]);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.array(fc.nat(200)), (noise, places) => {
        const decoder = new FrameDecoder(nonce);
        const frames: Frame[] = [];
        const bytes = Buffer.concat([noise, frame, other, answer, frame]);
        for (const chunk of cut(bytes, places)) decoder.push(chunk, (found) => frames.push(copied(found)));
        expect(frames).toHaveLength(1);
      }),
    );
  });
});

describe('hostile bytes', () => {
  test('never come out as anything but frames or a ProtocolError', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 20 }), (chunks) => {
        try {
          decode(chunks.map((chunk) => Buffer.from(chunk)));
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
      }),
    );
  });

  test.each<[string, (frame: Buffer) => void]>([
    ['an unknown type', (frame) => frame.writeUInt8(77, 0)],
    ['unknown flags', (frame) => frame.writeUInt8(0x80, 1)],
    ['reserved bytes', (frame) => frame.writeUInt8(1, 2)],
    ['another channel than was checked', (frame) => frame.writeUInt32LE(5, 4)],
    ['another length than was checked', (frame) => frame.writeUInt32LE(4, 8)],
    ['a wrong trailer', (frame) => frame.writeUInt8(0, frame.length - 1)],
  ])('%s', (_, spoil) => {
    const frame = encodeFrame(FrameType.data, 1, Buffer.alloc(20));
    spoil(frame);
    expect(() => decode([frame])).toThrow(ProtocolError);
  });

  test('a length beyond the maximum is refused at the header, not waited for', () => {
    const frame = encodeFrame(FrameType.data, 1, Buffer.alloc(maxPayloadBytes + 1));
    expect(() => decode([frame.subarray(0, frameHeaderBytes)])).toThrow(/65537 bytes/);
  });

  test('an offset that no counter reaches', () => {
    const payload = Buffer.alloc(8, 0xff);
    expect(() => decodeOffset(payload)).toThrow(ProtocolError);
    expect(() => decodeOffset(Buffer.alloc(7))).toThrow(ProtocolError);
    expect(decodeOffset(encodeOffset(FrameType.ack, 1, 12).subarray(frameHeaderBytes))).toBe(12);
  });
});
