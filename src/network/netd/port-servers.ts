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
  /** Takes no more connections. Resolves when the last that there is has ended; undefined: there are none. */
  drain?: () => Promise<void> | undefined;
}

export class PortServers {
  readonly #sockets: HostSockets;
  readonly #open: OpenPort[] = [];
  /** Closed, with connections that go on. */
  readonly #draining = new Set<OpenPort>();

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
      drain: () => {
        const last = new Promise<void>((resolve) => server.close(() => resolve()));
        return connections.size === 0 ? undefined : last;
      },
    });
    return hostPort;
  }

  /** Closes the ports of a container, or one of them, and resets their connections, unless those are to be kept. */
  close(
    containerId: string,
    only?: Pick<NetdPort, 'protocol' | 'hostIp' | 'hostPort'>,
    keepConnections = false,
  ): void {
    if (only === undefined) this.#endDrained(containerId);
    for (const entry of this.#open.filter(({ port }) => port.containerId === containerId)) {
      const { protocol, hostIp, hostPort } = entry.port;
      if (
        only !== undefined &&
        (only.protocol !== protocol || only.hostIp !== hostIp || only.hostPort !== hostPort)
      )
        continue;
      if (keepConnections) this.#drain(entry);
      else entry.close();
      this.#open.splice(this.#open.indexOf(entry), 1);
    }
  }

  #drain(entry: OpenPort): void {
    if (entry.drain === undefined) {
      entry.close();
      return;
    }
    const ended = entry.drain();
    if (ended === undefined) return;
    this.#draining.add(entry);
    void ended.then(() => this.#draining.delete(entry));
  }

  #endDrained(containerId: string): void {
    for (const entry of this.#draining) {
      if (entry.port.containerId === containerId) entry.close();
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
