// Names that are not ours go to the container's own servers or to the host's resolvers, through the egress.

import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { statSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';

import { parseResolvConf, usableNameservers } from '../addresses/resolv-conf';
import { DnsStreamReader, frameDnsMessage } from './dns-stream';
import type { ResolverSource } from '../addresses/netd-protocol';

const port = 53;
/** Per server; a client's own patience is usually 5 s. */
const timeoutMs = 2500;
const maxServers = 3;
/** Docker's limit of queries that one container may have under way. */
const maxPerContainer = 100;
const maxInAll = 2000;

export class DnsForwarder {
  #source: ResolverSource = { path: '/etc/resolv.conf', loopbackAddress: '' };
  #cached: { stamp: string; servers: string[] } = { stamp: '', servers: [] };
  readonly #underWay = new Map<string, number>();
  #total = 0;

  useResolver(source: ResolverSource): void {
    this.#source = source;
    this.#cached = { stamp: '', servers: [] };
  }

  /**
   * The reply, with the query's id; undefined if nobody answered or too much is under way. As with dockerd the next server
   * is asked when one has an error to tell, also that there is no such name.
   */
  async forward(
    query: Buffer,
    containerId: string,
    upstreams: readonly string[],
    protocol: 'udp' | 'tcp',
  ): Promise<Buffer | undefined> {
    const count = this.#underWay.get(containerId) ?? 0;
    if (count >= maxPerContainer || this.#total >= maxInAll) return undefined;
    this.#underWay.set(containerId, count + 1);
    this.#total++;
    try {
      const servers = upstreams.length > 0 ? upstreams : this.#hostServers();
      let failure: Buffer | undefined;
      for (const server of servers.slice(0, maxServers)) {
        const reply = await (protocol === 'udp' ? askByUdp(query, server) : askByTcp(query, server));
        if (reply !== undefined && isSuccess(reply)) return reply;
        failure = reply ?? failure;
      }
      return failure;
    } finally {
      this.#total--;
      const left = (this.#underWay.get(containerId) ?? 1) - 1;
      if (left === 0) this.#underWay.delete(containerId);
      else this.#underWay.set(containerId, left);
    }
  }

  #hostServers(): string[] {
    try {
      const { mtimeMs, ino, size } = statSync(this.#source.path);
      const stamp = `${mtimeMs} ${ino} ${size}`;
      if (stamp !== this.#cached.stamp) {
        const { nameservers } = parseResolvConf(readFileSync(this.#source.path, 'utf8'));
        this.#cached = { stamp, servers: usableNameservers(nameservers, this.#source.loopbackAddress) };
      }
    } catch {
      return [this.#source.loopbackAddress]; // no resolv.conf: the resolver's default is the loopback
    }
    return this.#cached.servers;
  }
}

/** A socket, and so a source port, for each query: with the random id that makes forging answers hard. */
function askByUdp(query: Buffer, server: string): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(server.includes(':') ? 'udp6' : 'udp4');
    const finish = (reply: Buffer | undefined): void => {
      clearTimeout(timer);
      socket.removeAllListeners().on('error', () => undefined);
      socket.close();
      resolve(reply);
    };
    const timer = setTimeout(() => finish(undefined), timeoutMs);
    const asked = withId(query, randomInt(0x10000));
    socket.on('error', () => finish(undefined));
    socket.on('message', (reply, from) => {
      if (from.port === port && answers(asked, reply)) finish(withId(reply, query.readUInt16BE(0)));
    });
    // connected: the kernel drops what comes from elsewhere, and a refusal is told at once
    socket.connect(port, server, () => socket.send(asked));
  });
}

function askByTcp(query: Buffer, server: string): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: server, port });
    const asked = withId(query, randomInt(0x10000));
    const finish = (reply: Buffer | undefined): void => {
      socket.destroy();
      resolve(reply);
    };
    const reader = new DnsStreamReader((reply) => {
      finish(answers(asked, reply) ? withId(reply, query.readUInt16BE(0)) : undefined);
    });
    socket.setTimeout(timeoutMs, () => finish(undefined));
    socket.on('error', () => finish(undefined));
    socket.on('close', () => finish(undefined));
    socket.on('data', (chunk) => reader.push(chunk));
    socket.on('connect', () => socket.write(frameDnsMessage(asked)));
  });
}

function withId(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message);
  copy.writeUInt16BE(id, 0);
  return copy;
}

/** RCODE 0 (RFC 1035, 4.1.1). */
function isSuccess(reply: Buffer): boolean {
  return (reply.readUInt8(3) & 15) === 0;
}

/** Same id, and a response. */
function answers(asked: Buffer, reply: Buffer): boolean {
  return (
    reply.length >= 12 &&
    reply.readUInt16BE(0) === asked.readUInt16BE(0) &&
    (reply.readUInt16BE(2) & 0x8000) !== 0
  );
}
