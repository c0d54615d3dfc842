// Bind mounts of unix sockets: the guest's connections are carried to the host's socket, a channel for each.

import { stat } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { log } from '../log';
import type { AgentTunnel } from '../vm/agent/agent';
import type { ContainerRegistry } from './container-registry';
import type { RunningPod } from './pods';

/** A socket of the host's, as the guest shows it. */
export interface SocketShare {
  name: string;
  mode: number;
  uid: number;
  gid: number;
}

/** Where clients expect Docker's socket: a bind of one of these is a bind of our own. */
const dockerSockets: readonly string[] = ['/var/run/docker.sock', '/run/docker.sock'];
/** The guest's own limit is the same (guest/init/tunnel.c). */
const maxConnectionsPerVm = 512;
const maxNameBytes = 128;

/** The first unix socket that the API listens on. */
export function apiSocketPath(hosts: readonly string[]): string | undefined {
  return hosts.find((host) => host.startsWith('unix://'))?.slice('unix://'.length);
}

export function tunnelPrefix(containerId: string): string {
  return `${containerId.slice(0, 12)}-`;
}

/** Names what mount `index` of a container shares. */
export function tunnelName(containerId: string, index: number): string {
  return `${tunnelPrefix(containerId)}${String(index)}`;
}

/** Where connections to a bind of `source` go. Docker's socket is ours; DOCKER_HOST tells of one more name for it. */
function destinationOf(source: string, apiSocket: string | undefined): string {
  const ofEnvironment = process.env['DOCKER_HOST'] ?? '';
  const docker = dockerSockets.includes(source) || `unix://${source}` === ofEnvironment;
  return docker && apiSocket !== undefined ? apiSocket : source;
}

/** The socket that a bind of `source` stands for, with owner and mode as on the host; undefined when it is none. */
export async function socketBehind(
  source: string,
  apiSocket: string | undefined,
): Promise<{ path: string; mode: number; uid: number; gid: number } | undefined> {
  const path = destinationOf(source, apiSocket);
  try {
    const stats = await stat(path);
    return stats.isSocket() ? { path, mode: stats.mode & 0o777, uid: stats.uid, gid: stats.gid } : undefined;
  } catch {
    return undefined;
  }
}

/** Serves what guests open. What a connection leads to follows from the container's record: a guest chooses among its own. */
export class SocketTunnels {
  readonly #registry: ContainerRegistry;
  readonly #apiSocket: string | undefined;
  /** Open connections by VM. */
  readonly #open = new Map<string, number>();

  constructor(registry: ContainerRegistry, apiSocket: string | undefined) {
    this.#registry = registry;
    this.#apiSocket = apiSocket;
  }

  serve(pod: RunningPod, tunnel: AgentTunnel): void {
    const vmId = pod.vm.id;
    const count = this.#open.get(vmId) ?? 0;
    if (count >= maxConnectionsPerVm) {
      refuse(tunnel);
      return;
    }
    this.#open.set(vmId, count + 1);
    carry(
      tunnel,
      (name) => this.#destination(pod, name),
      () => {
        const left = (this.#open.get(vmId) ?? 1) - 1;
        if (left > 0) this.#open.set(vmId, left);
        else this.#open.delete(vmId);
      },
    );
  }

  #destination(pod: RunningPod, name: string): string | undefined {
    for (const containerId of pod.members.keys()) {
      const mounts = this.#registry.byId(containerId)?.record.mounts ?? [];
      const point = mounts.find((_, index) => tunnelName(containerId, index) === name);
      if (point?.Type === 'bind') return destinationOf(point.Source, this.#apiSocket);
    }
    return undefined;
  }
}

function refuse({ output, input }: AgentTunnel): void {
  output.reset();
  input.end();
}

/** Joins the channel with the socket that its first line names. `onClosed` is called once, when both are done with. */
function carry(
  tunnel: AgentTunnel,
  destination: (name: string) => string | undefined,
  onClosed: () => void,
): void {
  const { output, input } = tunnel;
  let socket: Socket | undefined;
  let head = Buffer.alloc(0);
  let closed = false;
  const close = (): void => {
    if (closed) return;
    closed = true;
    socket?.destroy();
    refuse(tunnel);
    onClosed();
  };
  const open = (name: string): Socket | undefined => {
    const path = destination(name);
    if (path === undefined) return undefined;
    const opened = connect({ path, allowHalfOpen: true });
    opened.on('error', (error) => log.debug('connection of a VM to a socket of the host', { path, error }));
    opened.on('close', close);
    opened.on('end', () => input.end());
    opened.on('data', (data) => {
      opened.pause();
      input.write(data).then(
        () => opened.resume(),
        // The guest reads no more.
        () => opened.destroy(),
      );
    });
    return opened;
  };
  output.consume({
    onChunk: ({ data, offset }) => {
      if (closed) return;
      const end = offset + data.length;
      if (socket !== undefined) {
        socket.write(data, () => output.ack(end));
        return;
      }
      head = Buffer.concat([head, data]);
      const newline = head.indexOf('\n');
      if (newline < 0 && head.length <= maxNameBytes) return;
      socket = newline < 0 ? undefined : open(head.toString('latin1', 0, newline));
      if (socket === undefined) close();
      else socket.write(head.subarray(newline + 1), () => output.ack(end));
    },
    onEnd: () => {
      if (socket === undefined) close();
      else socket.end();
    },
    onLost: close,
  });
}
