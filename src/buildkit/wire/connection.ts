// What both ends of a gRPC connection have in common: HTTP/2's settings and bounds.

import * as http2 from 'node:http2';
import type { Http2Session, ServerHttp2Session, ServerOptions, Settings } from 'node:http2';
import type { Duplex } from 'node:stream';

/** Node's default of 64 KiB makes a round trip of every second packet of a context. */
const windowBytes = 4 * 1024 * 1024;
/** bake has four open for each target. */
const maxStreams = 1000;
const megabyte = 1024 * 1024;

const settings: Settings = {
  initialWindowSize: windowBytes,
  maxConcurrentStreams: maxStreams,
  // what an error says in its trailers may have a Dockerfile in it
  maxHeaderListSize: megabyte,
};

export const http2Options: ServerOptions = {
  settings,
  /** Of what waits to be sent, header tables and frames to be acknowledged, in MB. Data that came has the windows. */
  maxSessionMemory: 64,
  /** Patterns of a local source are headers. */
  maxSendHeaderBlockLength: 4 * megabyte,
  maxHeaderListPairs: 4096,
};

/** To be called at once. What came and wasn't read is at most this, all streams together. */
export function widenWindow(session: Http2Session): void {
  session.once('connect', () => {
    if (!session.destroyed) session.setLocalWindowSize(windowBytes);
  });
}

/** Node has it, its types have not. Takes a socket after HTTP/1.1's upgrade. */
export const { performServerHandshake } = http2 as unknown as {
  performServerHandshake: (socket: Duplex, options: ServerOptions) => ServerHttp2Session;
};

/**
 * A peer that sends no more is gone: HTTP/2 knows no half of a connection. Sockets of the API may be open in one direction, and what
 * is never written to would not tell.
 */
export function endWithPeer(socket: Duplex): void {
  socket.once('end', () => socket.destroy());
}
