// Published ports: one listener on the host for each, and what it carries to the container.

import { createServer } from 'node:net';
import type { Server } from 'node:net';

import type { HostSockets } from './host-sockets';
import type { NetdPort } from '../addresses/netd-protocol';
import { proxyConnection } from './tcp-proxy';
import { UdpProxy } from './udp-proxy';

/** Connections at one published port; more are refused, so that no client takes every descriptor. */
const maxConnections = 4096;

interface OpenPort {
  port: NetdPort;
  close: () => void;
}

export class PortServers {
  readonly #sockets: HostSockets;
  readonly #open: OpenPort[] = [];

  constructor(sockets: HostSockets) {
    this.#sockets = sockets;
  }

  list(): NetdPort[] {
    return this.#open.map(({ port }) => port);
  }

  /** Returns the host's port. Rejects with BindError. */
  async open(wanted: NetdPort): Promise<number> {
    const { handle, port: hostPort } = await this.#sockets.open(
      wanted.protocol,
      wanted.hostIp,
      wanted.hostPort,
    );
    const port = { ...wanted, hostPort };
    if (port.protocol === 'udp') {
      const proxy = new UdpProxy(handle, port);
      this.#open.push({ port, close: () => proxy.close() });
      return hostPort;
    }
    const connections = new Set<() => void>();
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
      const end = proxyConnection(client, port.targetAddress, port.targetPort);
      connections.add(end);
      client.on('close', () => connections.delete(end));
    });
    server.maxConnections = maxConnections;
    await listening(server, handle);
    this.#open.push({
      port,
      close: () => {
        server.close();
        for (const end of [...connections]) end();
      },
    });
    return hostPort;
  }

  /** Closes the ports of a container, or one of them, and resets their connections. */
  close(containerId: string, only?: Pick<NetdPort, 'protocol' | 'hostIp' | 'hostPort'>): void {
    for (const entry of this.#open.filter(({ port }) => port.containerId === containerId)) {
      const { protocol, hostIp, hostPort } = entry.port;
      if (
        only !== undefined &&
        (only.protocol !== protocol || only.hostIp !== hostIp || only.hostPort !== hostPort)
      )
        continue;
      entry.close();
      this.#open.splice(this.#open.indexOf(entry), 1);
    }
  }
}

function listening(server: Server, handle: object): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(handle, () => {
      server.off('error', reject);
      server.on('error', (error) => process.stderr.write(`netd: published port: ${error.message}\n`));
      resolve();
    });
  });
}
