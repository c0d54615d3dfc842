// Frames of a tunnel (protocol/supervisor-tunnel.h, whose numbers a test compares): pure. What comes in may be written by the container
// itself: all of it is checked.

export const tunnelHeaderBytes = 12;
export const maxTunnelDataBytes = 65_536;
/** So many bytes may be under way each way before they are taken. */
export const tunnelWindowBytes = 262_144;

export const tunnelKinds = { open: 1, opened: 2, data: 3, end: 4, reset: 5, taken: 6 } as const;
export const tunnelProtocols = { tcp: 6, udp: 17 } as const;

export interface TunnelFrame {
  connection: number;
  kind: number;
  content: Buffer;
}

/** The other side broke the protocol: the tunnel is of no more use. */
export class TunnelProtocolError extends Error {
  override readonly name = 'TunnelProtocolError';
}

export function encodeTunnelFrame(
  connection: number,
  kind: number,
  content: Buffer = Buffer.alloc(0),
): Buffer {
  const frame = Buffer.alloc(tunnelHeaderBytes + content.length);
  frame.writeUInt32LE(connection, 0);
  frame.writeUInt32LE(kind, 4);
  frame.writeUInt32LE(content.length, 8);
  content.copy(frame, tunnelHeaderBytes);
  return frame;
}

export function openFrame(connection: number, port: number, protocol: keyof typeof tunnelProtocols): Buffer {
  const content = Buffer.alloc(4);
  content.writeUInt16LE(port, 0);
  content.writeUInt16LE(tunnelProtocols[protocol], 2);
  return encodeTunnelFrame(connection, tunnelKinds.open, content);
}

export function takenFrame(connection: number, bytes: number): Buffer {
  const content = Buffer.alloc(4);
  content.writeUInt32LE(bytes, 0);
  return encodeTunnelFrame(connection, tunnelKinds.taken, content);
}

/** Cuts what comes into frames. */
export class TunnelDecoder {
  #pending: Buffer = Buffer.alloc(0);

  /** The frames that these bytes complete. Throws TunnelProtocolError. */
  push(bytes: Buffer): TunnelFrame[] {
    let rest = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    const frames: TunnelFrame[] = [];
    while (rest.length >= tunnelHeaderBytes) {
      const length = rest.readUInt32LE(8);
      if (length > maxTunnelDataBytes) throw new TunnelProtocolError(`a frame of ${length} bytes`);
      const end = tunnelHeaderBytes + length;
      if (rest.length < end) break;
      frames.push({
        connection: rest.readUInt32LE(0),
        kind: rest.readUInt32LE(4),
        content: rest.subarray(tunnelHeaderBytes, end),
      });
      rest = rest.subarray(end);
    }
    this.#pending = Buffer.from(rest);
    return frames;
  }
}
