// One TCP connection of a published port, carried to the container: half-closes and resets pass through both ways.

import { connect } from 'node:net';
import type { Socket } from 'node:net';

import { ReadBuffer } from './read-buffer';

/** Takes over `client` (paused). Returns what ends the connection with a reset. */
export function proxyConnection(client: Socket, host: string, port: number): () => void {
  const buffer = new ReadBuffer();
  // What containers send is most of what passes, so it goes without Node's streams, which take a new buffer for each read.
  const guest = connect({
    host,
    port,
    allowHalfOpen: true,
    onread: {
      buffer: () => buffer.next(),
      callback: (bytes, data) => {
        buffer.filled(bytes);
        client.write(data.subarray(0, bytes));
        if (client.writableLength === 0) return true;
        // the kernel has not taken all of it: the buffer is in use until it has
        client.write('', () => guest.resume());
        return false;
      },
    },
  });
  client.setNoDelay(true);
  guest.setNoDelay(true);
  guest.once('connect', () => {
    client.pipe(guest);
    guest.resume();
  });
  guest.once('end', () => client.end());
  const reset = (): void => {
    client.resetAndDestroy();
    guest.resetAndDestroy();
  };
  // A refused connection, a reset and a time-out all look like a reset to the other side.
  client.on('error', reset);
  guest.on('error', reset);
  // closed by its own end and the other's, or by an error that `reset` has dealt with
  client.on('close', () => {
    if (!guest.writableEnded) guest.resetAndDestroy();
  });
  guest.on('close', () => {
    buffer.release();
    if (!client.writableEnded) client.resetAndDestroy();
  });
  return reset;
}
