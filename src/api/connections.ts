// Which connections are open, and which of them have a request under way: what a graceful close needs to know.

import type { ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';

export class Connections {
  private readonly open = new Set<Socket>();
  private readonly busy = new Set<Socket>();
  private closing = false;

  add(socket: Socket): void {
    this.open.add(socket);
    socket.once('close', () => {
      this.open.delete(socket);
      this.busy.delete(socket);
    });
  }

  /** All connections of a TLS server. One that is still at its handshake counts as idle. */
  addTls(server: Server): void {
    const handshakes = new Map<string, Socket>();
    server.on('connection', (socket: Socket) => {
      const peer = peerOf(socket);
      handshakes.set(peer, socket);
      this.open.add(socket);
      socket.once('close', () => {
        this.open.delete(socket);
        if (handshakes.get(peer) === socket) handshakes.delete(peer);
      });
    });
    server.on('secureConnection', (secure: Socket) => {
      const peer = peerOf(secure);
      const socket = handshakes.get(peer);
      handshakes.delete(peer);
      // From here on the secure one stands for both.
      if (socket !== undefined) this.open.delete(socket);
      this.add(secure);
    });
  }

  /** A request began. One whose socket is taken from HTTP stays under way until the socket closes. */
  begin(socket: Socket, response: ServerResponse): void {
    this.busy.add(socket);
    response.once('close', () => {
      this.busy.delete(socket);
      if (this.closing) socket.destroySoon();
    });
  }

  /** Ends idle connections now and the others with their request; `destroyAll` ends what is left. */
  close(): void {
    this.closing = true;
    for (const socket of this.open) {
      if (!this.busy.has(socket)) socket.destroy();
    }
  }

  destroyAll(): void {
    for (const socket of this.open) socket.destroy();
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress ?? ''} ${remotePort ?? 0}`;
}
