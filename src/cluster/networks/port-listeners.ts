// Published ports: listeners of this daemon, whose connections go through a container's tunnel.

import { existsSync } from 'node:fs';
import { createSocket, type RemoteInfo, type Socket as DatagramSocket } from 'node:dgram';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { DaemonError, errorMessage, systemErrorCode } from '../../errors';
import { log } from '../../log';
import { joinStreams } from './open-tunnel';

export interface WantedPort {
  containerPort: number;
  protocol: 'tcp' | 'udp';
  /** '': all addresses, IPv6's too. */
  hostIp: string;
  /** 0: any free one; with `lastHostPort`, a free one of the range. */
  hostPort: number;
  lastHostPort?: number;
}

/** As Docker tells of it. */
export interface BoundPort {
  containerPort: number;
  protocol: 'tcp' | 'udp';
  hostIp: string;
  hostPort: number;
}

/** A connection into the container. Rejects when there is none to be had. */
export type Dial = (port: number, protocol: 'tcp' | 'udp') => Promise<Duplex>;

interface Listener {
  bound: BoundPort;
  close(): void;
}

/** After so long without a datagram either way a client's next one is a new conversation's, as in the kernel's tracking. */
const datagramIdleMs = 180_000;
const maxDatagramClients = 1024;
/** For a number that is free for every address. */
const mostTries = 16;

const systemMessages: Readonly<Record<string, string>> = {
  EADDRNOTAVAIL: 'cannot assign requested address',
  EACCES: 'permission denied',
};

/** The listeners of one container. */
export class PortListeners {
  readonly #listeners: Listener[] = [];
  readonly #dial: Dial;

  private constructor(dial: Dial) {
    this.#dial = dial;
  }

  /** Binds all of them, or none. Throws Internal in Docker's words where one is taken; `endpoint`: whose they are, for these. */
  static async open(wanted: readonly WantedPort[], endpoint: string, dial: Dial): Promise<PortListeners> {
    const listeners = new PortListeners(dial);
    try {
      for (const port of wanted) await listeners.#bind(port, endpoint);
      return listeners;
    } catch (error) {
      listeners.close();
      throw error;
    }
  }

  get bound(): BoundPort[] {
    return this.#listeners.map(({ bound }) => bound);
  }

  /** Connections end with their listeners, as those through Docker's rules do with the container. */
  close(): void {
    for (const listener of this.#listeners.splice(0)) listener.close();
  }

  async #bind(wanted: WantedPort, endpoint: string): Promise<void> {
    const addresses = wanted.hostIp === '' ? ['0.0.0.0', ...(hasIpv6() ? ['::'] : [])] : [wanted.hostIp];
    const last = wanted.lastHostPort ?? wanted.hostPort;
    let hostPort = wanted.hostPort;
    for (let tries = 1; ; tries += 1) {
      try {
        this.#listeners.push(...(await this.#listenOn(addresses, { ...wanted, hostPort })));
        return;
      } catch (error) {
        const isTaken = error instanceof Error && systemErrorCode(error.cause) === 'EADDRINUSE';
        if (isTaken && hostPort < last) hostPort += 1;
        else if (!isTaken || hostPort > 0 || tries === mostTries) {
          const reason = isTaken && last > wanted.hostPort ? 'all ports are allocated' : errorMessage(error);
          throw unreachable(endpoint, reason, error);
        }
      }
    }
  }

  /** With one number on all of them, or on none. */
  async #listenOn(addresses: readonly string[], wanted: WantedPort): Promise<Listener[]> {
    const listeners: Listener[] = [];
    const listen = wanted.protocol === 'tcp' ? listenStream : listenDatagrams;
    for (const hostIp of addresses) {
      const port = { ...wanted, hostIp, hostPort: listeners[0]?.bound.hostPort ?? wanted.hostPort };
      try {
        listeners.push(await listen(port, this.#dial));
      } catch (error) {
        for (const listener of listeners) listener.close();
        throw new Error(bindReason(port, error), { cause: error });
      }
    }
    return listeners;
  }
}

/** A machine may be without. */
export function hasIpv6(): boolean {
  return existsSync('/proc/net/if_inet6');
}

/** As Docker says it; `endpoint`: whose ports they are. */
export function unreachable(endpoint: string, reason: string, cause?: unknown): DaemonError {
  return new DaemonError(
    'Internal',
    `driver failed programming external connectivity on endpoint ${endpoint}: ${reason}`,
    { cause },
  );
}

function bindReason({ protocol, hostIp, hostPort }: WantedPort, error: unknown): string {
  const address = `${hostIp.includes(':') ? `[${hostIp}]` : hostIp}:${hostPort}`;
  const code = systemErrorCode(error) ?? '';
  if (code === 'EADDRINUSE') return `Bind for ${address} failed: port is already allocated`;
  const family = hostIp.includes(':') ? '6' : '4';
  const reason = systemMessages[code] ?? errorMessage(error);
  return `Error starting userland proxy: listen ${protocol}${family} ${address}: bind: ${reason}`;
}

async function listenStream(wanted: WantedPort, dial: Dial): Promise<Listener> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    void joinStream(socket, wanted, dial);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port: wanted.hostPort, host: wanted.hostIp, ipv6Only: true }, resolve);
  });
  server.on('error', (error) => log.warn('a published port failed', { error: error.message }));
  const { port } = server.address() as AddressInfo; // it listens on TCP
  return {
    bound: { ...place(wanted), hostPort: port },
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function joinStream(socket: Socket, { containerPort }: WantedPort, dial: Dial): Promise<void> {
  let inside: Duplex;
  try {
    inside = await dial(containerPort, 'tcp');
  } catch (error) {
    log.debug('a connection to a published port could not be passed on', { error: errorMessage(error) });
    socket.resetAndDestroy();
    return;
  }
  joinStreams(socket, inside, () => socket.resetAndDestroy());
}

async function listenDatagrams(wanted: WantedPort, dial: Dial): Promise<Listener> {
  const type = wanted.hostIp.includes(':') ? 'udp6' : 'udp4';
  const socket: DatagramSocket = createSocket({ type, ipv6Only: type === 'udp6' });
  const clients = new DatagramClients(socket, wanted.containerPort, dial);
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ port: wanted.hostPort, address: wanted.hostIp }, resolve);
  });
  socket.on('error', (error) => log.warn('a published port failed', { error: error.message }));
  socket.on('message', (data, from) => clients.take(data, from));
  return {
    bound: { ...place(wanted), hostPort: socket.address().port },
    close: () => {
      socket.close();
      clients.close();
    },
  };
}

/** A conversation for each client's address: what the container answers goes there. */
class DatagramClients {
  readonly #socket: DatagramSocket;
  readonly #port: number;
  readonly #dial: Dial;
  readonly #conversations = new Map<string, { inside: Promise<Duplex>; timer: NodeJS.Timeout }>();

  constructor(socket: DatagramSocket, port: number, dial: Dial) {
    this.#socket = socket;
    this.#port = port;
    this.#dial = dial;
  }

  take(data: Buffer, from: RemoteInfo): void {
    const key = `${from.address} ${from.port}`;
    const known = this.#conversations.get(key);
    if (known === undefined && this.#conversations.size >= maxDatagramClients) return;
    const conversation = known ?? this.#begin(key, from);
    conversation.timer.refresh();
    conversation.inside.then(
      (inside) => inside.write(data),
      () => this.#end(key),
    );
  }

  close(): void {
    for (const key of [...this.#conversations.keys()]) this.#end(key);
  }

  #begin(key: string, from: RemoteInfo): { inside: Promise<Duplex>; timer: NodeJS.Timeout } {
    const timer = setTimeout(() => this.#end(key), datagramIdleMs).unref();
    const inside = this.#dial(this.#port, 'udp').then((stream) => {
      stream.on('data', (answer: Buffer) => {
        timer.refresh();
        this.#socket.send(answer, from.port, from.address);
      });
      stream.on('close', () => this.#end(key));
      return stream;
    });
    const conversation = { inside, timer };
    this.#conversations.set(key, conversation);
    return conversation;
  }

  #end(key: string): void {
    const conversation = this.#conversations.get(key);
    if (conversation === undefined) return;
    this.#conversations.delete(key);
    clearTimeout(conversation.timer);
    conversation.inside.then(
      (stream) => stream.destroy(),
      () => undefined,
    );
  }
}

function place({ containerPort, protocol, hostIp }: WantedPort): Omit<BoundPort, 'hostPort'> {
  return { containerPort, protocol, hostIp };
}
