// Frames of the agent's protocol: pure encoding and an incremental decoder (docs/agent-protocol.md, "Frames").
// What comes in is written by a guest that may be hostile: every number is checked before it is used.

import {
  frameCheckSeed,
  frameFlagMore,
  frameHeaderBytes,
  frameTrailer,
  frameTrailerBytes,
  FrameType,
  maxPayloadBytes,
  syncMagic,
  syncNonceBytes,
} from '../contract/protocol';

export interface Frame {
  type: FrameType;
  more: boolean;
  channel: number;
  /** A view into what was received, which nobody writes to again: it may be kept, but keeps a whole read alive. */
  payload: Buffer;
}

/** Writes a frame to the guest. What waits in memory is bounded by each channel's credit. */
export type FrameWriter = (frame: Buffer) => void;

/** The guest broke the protocol: the connection is of no more use. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

const frameTypes = new Set<number>(Object.values(FrameType));

/** Header, payload and trailer as one buffer. `payload` must not be longer than a frame allows. */
export function encodeFrame(type: FrameType, channel: number, payload: Buffer, more = false): Buffer {
  const frame = Buffer.allocUnsafe(frameHeaderBytes + payload.length + frameTrailerBytes);
  writeHeader(frame, type, more ? frameFlagMore : 0, channel, payload.length);
  payload.copy(frame, frameHeaderBytes);
  frame.writeUInt32LE(frameTrailer, frameHeaderBytes + payload.length);
  return frame;
}

/** A JSON message as one frame, or as several when it is longer than one may be. */
export function encodeMessage(type: FrameType, channel: number, message: object): Buffer[] {
  const text = Buffer.from(JSON.stringify(message));
  const frames: Buffer[] = [];
  for (let at = 0; at === 0 || at < text.length; at += maxPayloadBytes) {
    const end = at + maxPayloadBytes;
    frames.push(encodeFrame(type, channel, text.subarray(at, end), end < text.length));
  }
  return frames;
}

/** Most bytes of a stream that fit into one DATA frame, beside their offset. */
export const maxDataBytes = maxPayloadBytes - 8;

/** A DATA frame, built with one copy of the bytes. */
export function encodeData(channel: number, offset: number, data: Buffer): Buffer {
  const length = 8 + data.length;
  const frame = Buffer.allocUnsafe(frameHeaderBytes + length + frameTrailerBytes);
  writeHeader(frame, FrameType.data, 0, channel, length);
  frame.writeBigUInt64LE(BigInt(offset), frameHeaderBytes);
  data.copy(frame, frameHeaderBytes + 8);
  frame.writeUInt32LE(frameTrailer, frameHeaderBytes + length);
  return frame;
}

/** DATA, ACK, EOF and EVENT_ACK begin with (or are) a number of 64 bits. */
export function encodeOffset(type: FrameType, channel: number, offset: number): Buffer {
  const payload = Buffer.allocUnsafe(8);
  payload.writeBigUInt64LE(BigInt(offset));
  return encodeFrame(type, channel, payload);
}

/** Throws ProtocolError for a number that no counter of ours reaches. */
export function decodeOffset(payload: Buffer): number {
  if (payload.length < 8) throw new ProtocolError('a frame without its offset');
  const offset = Number(payload.readBigUInt64LE(0));
  if (!Number.isSafeInteger(offset)) throw new ProtocolError('an offset out of range');
  return offset;
}

function writeHeader(frame: Buffer, type: FrameType, flags: number, channel: number, length: number): void {
  frame.writeUInt32LE(type | (flags << 8), 0);
  frame.writeUInt32LE(channel >>> 0, 4);
  frame.writeUInt32LE(length, 8);
  frame.writeUInt32LE(checkOf(type, flags, channel, length), 12);
}

function checkOf(type: number, flags: number, channel: number, length: number): number {
  return (type ^ (flags << 8) ^ channel ^ length ^ frameCheckSeed) >>> 0;
}

/**
 * Turns received chunks into frames. Before the first frame it looks for the guest's answer to our sync (magic and
 * nonce) and drops everything in front of it: leftovers of an earlier connection.
 */
export class FrameDecoder {
  readonly #answer: Buffer;
  /** What does not make a frame yet: less than one frame and one chunk. Joined only when there is enough. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #neededBytes = 0;
  #synchronised = false;

  constructor(nonce: Buffer) {
    if (nonce.length !== syncNonceBytes) throw new RangeError('a nonce of the wrong size');
    this.#answer = Buffer.concat([Buffer.from(syncMagic, 'latin1'), nonce]);
    this.#neededBytes = this.#answer.length;
  }

  /** Calls `onFrame` for each whole frame. Throws ProtocolError when the guest breaks the format. */
  push(chunk: Buffer, onFrame: (frame: Frame) => void): void {
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    if (this.#pendingBytes < this.#neededBytes) {
      // One buffer for each read of a byte would weigh more than what it holds.
      if (this.#pending.length > 64) this.#pending = [Buffer.concat(this.#pending)];
      return;
    }
    let bytes = this.#pending.length === 1 ? chunk : Buffer.concat(this.#pending);
    if (!this.#synchronised) {
      const at = bytes.indexOf(this.#answer);
      if (at < 0) {
        this.#keep(bytes.subarray(bytes.length - this.#answer.length + 1), this.#answer.length);
        return;
      }
      this.#synchronised = true;
      bytes = bytes.subarray(at + this.#answer.length);
    }
    let at = 0;
    let needed = frameHeaderBytes;
    while (bytes.length - at >= frameHeaderBytes) {
      const length = headerLength(bytes, at);
      const end = at + frameHeaderBytes + length + frameTrailerBytes;
      needed = end - at;
      if (bytes.length < end) break;
      if (bytes.readUInt32LE(end - frameTrailerBytes) !== frameTrailer) {
        throw new ProtocolError('a frame without its trailer');
      }
      onFrame({
        type: bytes[at] as FrameType, // headerLength has checked it
        more: bytes[at + 1] === frameFlagMore,
        channel: bytes.readUInt32LE(at + 4),
        payload: bytes.subarray(at + frameHeaderBytes, end - frameTrailerBytes),
      });
      at = end;
      needed = frameHeaderBytes;
    }
    this.#keep(bytes.subarray(at), needed);
  }

  /** A copy, so that a chunk does not stay alive for a few bytes of it. */
  #keep(rest: Buffer, neededBytes: number): void {
    this.#pending = rest.length === 0 ? [] : [Buffer.from(rest)];
    this.#pendingBytes = rest.length;
    this.#neededBytes = neededBytes;
  }
}

function headerLength(bytes: Buffer, at: number): number {
  const type = bytes[at] ?? 0;
  const flags = bytes[at + 1] ?? 0;
  const length = bytes.readUInt32LE(at + 8);
  const check = bytes.readUInt32LE(at + 12);
  const wellFormed =
    check === checkOf(type, flags, bytes.readUInt32LE(at + 4), length) &&
    frameTypes.has(type) &&
    (flags === 0 || flags === frameFlagMore) &&
    bytes.readUInt16LE(at + 2) === 0;
  if (!wellFormed) {
    throw new ProtocolError('not a frame header');
  }
  if (length > maxPayloadBytes) throw new ProtocolError(`a frame of ${length} bytes`);
  return length;
}
