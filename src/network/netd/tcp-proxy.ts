// One TCP connection of a published port, carried to the container: half-closes and resets pass through both ways.

import { connect } from 'node:net';
import type { Socket } from 'node:net';

/** Takes over `client` (paused). Returns what ends the connection with a reset. */
export function proxyConnection(client: Socket, host: string, port: number): () => void {
  const guest = connect({ host, port, allowHalfOpen: true });
  client.setNoDelay(true);
  guest.setNoDelay(true);
  guest.once('connect', () => {
    client.pipe(guest);
    guest.pipe(client);
  });
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
    if (!client.writableEnded) client.resetAndDestroy();
  });
  return reset;
}
