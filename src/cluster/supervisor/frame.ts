// Frames between a daemon and a supervisor: pure. What comes in may be written by the container itself: all of it is checked.

import { frameHeaderBytes, frameKinds, maxDataBytes, maxRequestBytes } from './protocol';

export interface Frame {
  kind: number;
  /** A view into what was received, which nobody writes to again. */
  content: Buffer;
}

/** The other side broke the protocol: the session is of no more use. */
export class SupervisorProtocolError extends Error {
  override readonly name = 'SupervisorProtocolError';
}

const fromSupervisor = new Set<number>([
  frameKinds.reply,
  frameKinds.failure,
  frameKinds.records,
  frameKinds.stdout,
  frameKinds.stderr,
  frameKinds.exit,
  frameKinds.end,
  frameKinds.pong,
  frameKinds.taken,
]);

export function encodeFrame(kind: number, content: Buffer): Buffer {
  const limit = kind === frameKinds.request ? maxRequestBytes : maxDataBytes;
  if (content.length > limit) throw new SupervisorProtocolError(`a frame of ${content.length} bytes`);
  const frame = Buffer.alloc(frameHeaderBytes + content.length);
  frame[0] = kind;
  frame.writeUInt32LE(content.length, 4);
  content.copy(frame, frameHeaderBytes);
  return frame;
}

/** Cuts what comes into frames. */
export class FrameDecoder {
  #pending: Buffer = Buffer.alloc(0);

  /** The frames that these bytes complete. Throws SupervisorProtocolError. */
  push(bytes: Buffer): Frame[] {
    let rest = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    const frames: Frame[] = [];
    while (rest.length >= frameHeaderBytes) {
      const kind = rest.readUInt8(0);
      const length = rest.readUInt32LE(4);
      if (!fromSupervisor.has(kind)) throw new SupervisorProtocolError(`a frame of kind ${kind}`);
      if (length > maxDataBytes) throw new SupervisorProtocolError(`a frame of ${length} bytes`);
      const end = frameHeaderBytes + length;
      if (rest.length < end) break;
      frames.push({ kind, content: rest.subarray(frameHeaderBytes, end) });
      rest = rest.subarray(end);
    }
    this.#pending = Buffer.from(rest);
    return frames;
  }
}
