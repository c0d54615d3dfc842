// The name service on the gateway address of every network, UDP and TCP.

import { createSocket } from 'node:dgram';
import type { RemoteInfo, Socket as DatagramSocket } from 'node:dgram';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';

import { isLinkLocal, parseAddress } from '../addresses/addresses';
import { errorReply, judgeQuery, responseCodes } from './dns-answers';
import { DnsForwarder } from './dns-forwarder';
import { DnsStreamReader, frameDnsMessage } from './dns-stream';
import type { NameTable } from './name-table';
import type { ResolverSource } from '../addresses/netd-protocol';

const port = 53;
/** A TCP client that sends nothing (or half a query) for this long is cut off. */
const idleMs = 10_000;
const maxConnectionsPerClient = 16;
const maxConnectionsPerServer = 256;
/** Queries of one TCP connection that are answered at the same time. */
const maxPipelined = 32;

interface GatewayServer {
  networkId: string;
  udp: DatagramSocket;
  tcp: Server;
  connections: Map<string, number>;
}

export class DnsServers {
  readonly #names: NameTable;
  readonly #forwarder = new DnsForwarder();
  /** By gateway address. */
  readonly #servers = new Map<string, GatewayServer>();

  constructor(names: NameTable) {
    this.#names = names;
  }

  useResolver(source: ResolverSource): void {
    this.#forwarder.useResolver(source);
  }

  /** Brings the servers to the networks of the table. Rejects if an address cannot be bound; the others are served. */
  async update(): Promise<void> {
    const wanted = new Map(
      this.#names
        .networks()
        .flatMap(({ id, gateways }) => gateways.filter(isBindable).map((address) => [address, id] as const)),
    );
    for (const [address, server] of this.#servers) {
      if (wanted.get(address) !== server.networkId) this.#close(address, server);
    }
    const missing = [...wanted].filter(([address]) => !this.#servers.has(address));
    const results = await Promise.allSettled(missing.map(([address, id]) => this.#open(address, id)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  async #open(address: string, networkId: string): Promise<void> {
    const udp = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4', recvBufferSize: 1 << 20 });
    const tcp = createServer((client) => this.#serveTcp(server, client));
    const server: GatewayServer = { networkId, udp, tcp, connections: new Map() };
    tcp.maxConnections = maxConnectionsPerServer;
    this.#servers.set(address, server);
    try {
      await Promise.all([
        new Promise<void>((resolve, reject) => {
          udp.once('error', reject).bind(port, address, resolve);
        }),
        new Promise<void>((resolve, reject) => {
          tcp.once('error', reject).listen(port, address, resolve);
        }),
      ]);
    } catch (error) {
      this.#close(address, server);
      throw error;
    }
    udp.on('error', (error) => process.stderr.write(`netd: dns on ${address}: ${error.message}\n`));
    tcp.on('error', (error) => process.stderr.write(`netd: dns on ${address}: ${error.message}\n`));
    udp.on('message', (query, client) => void this.#serveUdp(server, query, client));
  }

  #close(address: string, server: GatewayServer): void {
    this.#servers.delete(address);
    server.udp.on('error', () => undefined).close();
    server.tcp.on('error', () => undefined).close();
  }

  async #serveUdp(server: GatewayServer, query: Buffer, client: RemoteInfo): Promise<void> {
    const reply = await this.#answer(server, query, client.address, 'udp');
    if (reply !== undefined) server.udp.send(reply, client.port, client.address, () => undefined);
  }

  #serveTcp(server: GatewayServer, client: Socket): void {
    const address = client.remoteAddress ?? '';
    const count = server.connections.get(address) ?? 0;
    client.on('error', () => undefined);
    if (count >= maxConnectionsPerClient) {
      client.resetAndDestroy();
      return;
    }
    server.connections.set(address, count + 1);
    client.on('close', () => {
      const left = (server.connections.get(address) ?? 1) - 1;
      if (left === 0) server.connections.delete(address);
      else server.connections.set(address, left);
    });
    // not setTimeout of the socket: single bytes would put it off for ever
    const deadline = setTimeout(() => client.destroy(), idleMs);
    client.on('close', () => clearTimeout(deadline));
    let pipelined = 0;
    const reader = new DnsStreamReader((query) => {
      if (++pipelined > maxPipelined) {
        client.destroy();
        return;
      }
      deadline.refresh();
      void this.#answer(server, query, address, 'tcp').then((reply) => {
        pipelined--;
        if (reply !== undefined && client.writable) client.write(frameDnsMessage(reply));
      });
    });
    client.on('data', (chunk) => reader.push(chunk));
  }

  async #answer(
    server: GatewayServer,
    query: Buffer,
    address: string,
    protocol: 'udp' | 'tcp',
  ): Promise<Buffer | undefined> {
    const verdict = judgeQuery(query, this.#names, server.networkId, address, protocol === 'udp');
    switch (verdict.kind) {
      case 'ignore':
        return undefined;
      case 'answer':
        return verdict.packet;
      case 'forward': {
        const reply = await this.#forwarder.forward(query, verdict.containerId, verdict.upstreams, protocol);
        return reply ?? errorReply(query, responseCodes.serverFailure);
      }
    }
  }
}

/** A link-local address is one of each link, so that it says nothing without a link; guests ask the other gateway. */
function isBindable(address: string): boolean {
  const parsed = parseAddress(address);
  return parsed !== undefined && (parsed.family === 4 || !isLinkLocal(parsed));
}
