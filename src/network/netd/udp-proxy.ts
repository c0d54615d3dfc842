// Datagrams of a published UDP port: each client gets a socket of its own towards the container, so that answers find
// their way back.

import { createSocket } from 'node:dgram';
import type { RemoteInfo, Socket } from 'node:dgram';

import type { SocketHandle } from './host-sockets';

/** Clients of one port at a time; the one that was quiet longest makes room. */
const maxFlows = 1024;
/** A client that neither sent nor got anything for this long is forgotten (docker-proxy's 90 s). */
const idleMs = 90_000;

interface Flow {
  socket: Socket;
  timer: NodeJS.Timeout;
}

export class UdpProxy {
  readonly #server: Socket;
  readonly #target: { targetAddress: string; targetPort: number };
  /** In order of last use. */
  readonly #flows = new Map<string, Flow>();

  constructor(handle: SocketHandle, port: { hostIp: string; targetAddress: string; targetPort: number }) {
    this.#target = port;
    this.#server = createSocket(port.hostIp.includes(':') ? 'udp6' : 'udp4');
    this.#server.on('message', (data, client) => this.#fromClient(data, client));
    this.#server.on('error', (error) => process.stderr.write(`netd: published udp port: ${error.message}\n`));
    // Node takes a handle here, as `child.send` of a dgram socket does; @types/node does not know
    (this.#server.bind as (handle: SocketHandle) => void).call(this.#server, handle);
  }

  close(): void {
    for (const key of [...this.#flows.keys()]) this.#forget(key);
    this.#server.close();
  }

  #fromClient(data: Buffer, client: RemoteInfo): void {
    const key = `${client.address} ${client.port}`;
    const flow = this.#flows.get(key) ?? this.#newFlow(key, client);
    this.#flows.delete(key);
    this.#flows.set(key, flow);
    flow.timer.refresh();
    flow.socket.send(data, this.#target.targetPort, this.#target.targetAddress, () => undefined);
  }

  #newFlow(key: string, client: RemoteInfo): Flow {
    const oldest = this.#flows.keys().next();
    if (this.#flows.size >= maxFlows && oldest.done !== true) this.#forget(oldest.value);
    const socket = createSocket(this.#target.targetAddress.includes(':') ? 'udp6' : 'udp4');
    const timer = setTimeout(() => this.#forget(key), idleMs);
    timer.unref();
    socket.on('message', (data, from) => {
      if (from.address !== this.#target.targetAddress || from.port !== this.#target.targetPort) return;
      timer.refresh();
      this.#server.send(data, client.port, client.address, () => undefined);
    });
    socket.on('error', () => undefined); // the container does not listen (yet)
    return { socket, timer };
  }

  #forget(key: string): void {
    const flow = this.#flows.get(key);
    if (flow === undefined) return;
    this.#flows.delete(key);
    clearTimeout(flow.timer);
    flow.socket.close();
  }
}
