// netd's end of the control socket: parses requests, calls the servers, answers. Only the daemon's user can connect.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import split2 from 'split2';

import type { DnsServers } from './dns-servers';
import type { HostSockets } from './host-sockets';
import type { NameTable } from './name-table';
import type { PortServers } from './port-servers';
import { netdProtocolVersion } from '../addresses/netd-protocol';
import { probeAddress } from './reachability';
import type { NetdOperation, NetdOperations, NetdReply, NetdRequest } from '../addresses/netd-protocol';

interface Parts {
  names: NameTable;
  dns: DnsServers;
  ports: PortServers;
  sockets: HostSockets;
}

type Handlers = {
  [Op in NetdOperation]: (
    params: NetdOperations[Op]['params'],
  ) => NetdOperations[Op]['result'] | Promise<NetdOperations[Op]['result']>;
};

export class ControlServer {
  readonly #handlers: Handlers;
  readonly #clients = new Set<Socket>();
  /** Requests are done one after the other: a `network.put` may wait for sockets to be bound. */
  #last: Promise<void> = Promise.resolve();

  constructor(parts: Parts) {
    this.#handlers = handlersOf(parts);
    parts.sockets.onEgress((egress) => {
      for (const client of this.#clients) reply(client, { event: 'egress', egress });
    });
  }

  listen(descriptor: number): void {
    createServer((client) => this.#serve(client)).listen({ fd: descriptor });
  }

  #serve(client: Socket): void {
    this.#clients.add(client);
    client.on('error', () => undefined);
    client.on('close', () => this.#clients.delete(client));
    client.pipe(split2()).on('data', (line: string) => {
      const request = JSON.parse(line) as NetdRequest; // the daemon wrote it: protocol.ts
      // A probe takes as long as its target, and changes nothing.
      if (request.op === 'probe') void this.#handle(client, request);
      else this.#last = this.#last.then(() => this.#handle(client, request));
    });
  }

  async #handle(client: Socket, request: NetdRequest): Promise<void> {
    try {
      const handler = this.#handlers[request.op] as ((params: unknown) => unknown) | undefined;
      if (handler === undefined) throw new Error(`no such operation: ${request.op}`);
      reply(client, { id: request.id, result: await handler(request.params) });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const code = error instanceof Error && 'code' in error ? { code: String(error.code) } : {};
      reply(client, { id: request.id, error: { message, ...code } });
    }
  }
}

function reply(client: Socket, message: NetdReply): void {
  if (client.writable) client.write(`${JSON.stringify(message)}\n`);
}

function handlersOf({ names, dns, ports, sockets }: Parts): Handlers {
  return {
    hello: () => ({
      version: netdProtocolVersion,
      pid: process.pid,
      egress: sockets.egress,
      ports: ports.list(),
    }),
    state: async ({ networks, endpoints, resolver }) => {
      names.clear();
      for (const network of networks) names.putNetwork(network);
      for (const endpoint of endpoints) names.putEndpoint(endpoint);
      dns.useResolver(resolver);
      await dns.update();
      return {};
    },
    'network.put': async (network) => {
      names.putNetwork(network);
      await dns.update();
      return {};
    },
    'network.remove': async ({ id }) => {
      names.removeNetwork(id);
      await dns.update();
      return {};
    },
    'endpoint.put': (endpoint) => {
      names.putEndpoint(endpoint);
      return {};
    },
    'endpoint.remove': ({ networkId, containerId }) => {
      names.removeEndpoint(networkId, containerId);
      return {};
    },
    'port.open': async (port) => ({ hostPort: await ports.open(port) }),
    'port.close': ({ containerId, only, keepConnections }) => {
      ports.close(containerId, only, keepConnections);
      return {};
    },
    probe: async (probe) => ({ failure: await probeAddress(probe) }),
    counters: async () => ({ text: await readFile('/proc/net/dev', 'utf8') }),
  };
}
