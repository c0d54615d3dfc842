// Two ends of a connection of the system.

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket, type AddressInfo } from 'node:net';

export class SocketPairs {
  readonly #sockets: Socket[] = [];
  #server: Server | undefined;

  async pair(): Promise<[Socket, Socket]> {
    this.#server ??= createServer();
    const server = this.#server;
    if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening');
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const [served] = await accepted;
    for (const socket of [client, served]) socket.on('error', () => undefined);
    this.#sockets.push(client, served);
    return [client, served];
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server === undefined) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }
}
