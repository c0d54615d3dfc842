// Two ends of a connection inside of this process, for what needs a socket of the system's: Node's HTTP/2 on any other stream may end the
// process with an assertion of its own when that stream ends in the wrong moment.

import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Each half ends by itself. Nobody else can have either end. What goes wrong with one is told by its 'close'. */
export async function socketPair(): Promise<[Socket, Socket]> {
  const directory = await mkdtemp(join(tmpdir(), 'caisson-pair-'));
  const server = createServer({ allowHalfOpen: true });
  try {
    const path = join(directory, 's');
    await once(server.listen(path), 'listening');
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const one = connect({ path, allowHalfOpen: true });
    const [[other]] = await Promise.all([accepted, once(one, 'connect')]);
    for (const socket of [one, other]) socket.on('error', () => undefined);
    return [one, other];
  } finally {
    server.close();
    await rm(directory, { recursive: true, force: true });
  }
}
