// The daemon's listening addresses: `unix:///path`, `tcp://host:port` and systemd's `fd://`, as in dockerd's --host.

import { chownSync, lstatSync, readFileSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import type { ListenOptions, Server } from 'node:net';
import { dirname } from 'node:path';
import { DaemonError, systemErrorCode } from '../errors';
import { makeOpenDirectory } from '../host/directories';
import { log } from '../log';
import { activatedDescriptors } from './socket-activation';

export type HostAddress =
  | { kind: 'unix'; path: string }
  | { kind: 'tcp'; host: string; port: number }
  | { kind: 'descriptor'; descriptor: number };

const defaultPort = 2375;
const defaultTlsPort = 2376;
const defaultGroup = 'docker';
const socketMode = 0o660;

/** The addresses that one `--host` stands for. Throws InvalidParameter for anything but the three forms. */
export function parseHosts(host: string, hasTls: boolean): HostAddress[] {
  if (!host.startsWith('fd://')) return [parseHost(host, hasTls)];
  return activatedDescriptors(host.slice('fd://'.length)).map((descriptor) => ({
    kind: 'descriptor',
    descriptor,
  }));
}

/** Throws InvalidParameter for anything but unix:// and tcp://. */
export function parseHost(host: string, hasTls = false): HostAddress {
  if (host.startsWith('unix://') && host.length > 'unix://'.length) {
    return { kind: 'unix', path: host.slice('unix://'.length) };
  }
  const tcp = /^tcp:\/\/(?:\[([\da-f:.]+)\]|([^:/[\]]*))(?::(\d+))?\/?$/i.exec(host);
  const port = Number(tcp?.[3] ?? (hasTls ? defaultTlsPort : defaultPort));
  if (tcp === null || port > 65_535)
    throw new DaemonError('InvalidParameter', `invalid host address: ${host}`);
  const name = tcp[1] ?? tcp[2] ?? '';
  return { kind: 'tcp', host: name === '' ? '127.0.0.1' : name, port };
}

/**
 * Starts listening and returns the address as a client would write it, with the real port. A unix socket gets mode 0660
 * and `group`; its file is replaced if it is a socket nobody listens on. Throws Conflict if somebody does.
 */
export async function listen(server: Server, address: HostAddress, group?: string): Promise<string> {
  if (address.kind === 'descriptor') {
    await bind(server, { fd: address.descriptor });
    return `fd://${address.descriptor}`;
  }
  if (address.kind === 'tcp') {
    await bind(server, { host: address.host, port: address.port });
    const bound = server.address();
    const port = typeof bound === 'object' && bound !== null ? bound.port : address.port;
    return `tcp://${address.host.includes(':') ? `[${address.host}]` : address.host}:${port}`;
  }
  await makeOpenDirectory(dirname(address.path));
  await removeStaleSocket(address.path);
  // the file must never be there with a wider mode; libuv binds before `listen` returns
  const previous = process.umask(0o777 & ~socketMode);
  try {
    const bound = bind(server, { path: address.path });
    process.umask(previous);
    await bound;
  } finally {
    process.umask(previous);
  }
  const gid = groupId(group ?? defaultGroup);
  if (gid !== undefined) giveToGroup(address.path, gid);
  else if (group !== undefined) throw new DaemonError('InvalidParameter', `group ${group} not found`);
  return `unix://${address.path}`;
}

/** Clients that may wait to be let in: as many as the kernel allows by default. Past them a unix socket refuses at once. */
const backlog = 4096;

function bind(server: Server, options: ListenOptions | { fd: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...options, backlog }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** As dockerd warns: whoever reaches such an address controls the daemon. */
export function warnIfOpen(address: HostAddress, verifiesClients: boolean): void {
  if (address.kind !== 'tcp' || verifiesClients || isLoopback(address.host)) return;
  log.warn('whoever reaches this address controls the daemon: use --tlsverify', { ...address });
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

async function removeStaleSocket(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) throw new DaemonError('Conflict', `${path} exists and is not a socket`);
  if (await isListening(path)) throw new DaemonError('Conflict', `another daemon is listening on ${path}`);
  unlinkSync(path);
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error) => {
      const code = systemErrorCode(error);
      if (code === 'ECONNREFUSED' || code === 'ENOENT') resolve(false);
      // a listener whose queue is full is alive too
      else if (code === 'EAGAIN') resolve(true);
      else reject(error);
    });
  });
}

function giveToGroup(path: string, gid: number): void {
  try {
    chownSync(path, process.geteuid?.() ?? -1, gid);
  } catch (error) {
    log.warn('could not give the socket to its group', { path, gid, error });
  }
}

/** By name or number; undefined if there is no such group. */
function groupId(group: string): number | undefined {
  if (/^\d+$/.test(group)) return Number(group);
  for (const line of readFileSync('/etc/group', 'utf8').split('\n')) {
    const [name, , gid] = line.split(':');
    if (name === group) return Number(gid);
  }
  return undefined;
}
