// Sockets in the guest whose connections are carried, a channel for each: to a socket of the host's (bind mounts), or to wherever
// somebody says.

import { closeSync, constants, fstatSync, openSync, readlinkSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { log } from '../../log';
import type { AgentTunnel } from '../../vm/contract/agent';
import type { SocketTargets } from '../../semantics/containers/container-state';
import type { RunningPod } from './running-pod';

/** A socket of the host's, as the guest shows it. */
export interface SocketShare {
  name: string;
  mode: number;
  uid: number;
  gid: number;
}

/** Linux: the file itself, without opening it. Node has no name for it. */
const openPath = 0o10000000;
/** The guest's own limit is the same (guest/init/shares/tunnel.c). */
const maxConnectionsPerVm = 512;
const maxNameBytes = 128;

export function tunnelPrefix(containerId: string): string {
  return `${containerId.slice(0, 12)}-`;
}

/** Names what mount `index` of a container shares. */
export function tunnelName(containerId: string, index: number): string {
  return `${tunnelPrefix(containerId)}${String(index)}`;
}

/** Serves what guests open: each container its own binds, as they were resolved at its start. */
export class SocketTunnels {
  /** By container: what opens a connection, by name. */
  readonly #targets = new Map<string, ReadonlyMap<string, () => Duplex>>();
  /** Open connections by VM. */
  readonly #open = new Map<string, number>();

  /** Before the guest may connect. Names are those of tunnelName, of this container or of one that it goes on as. */
  allow(containerId: string, targets: SocketTargets): void {
    const streams = Object.entries(targets).map(([name, path]) => [name, () => connectPinned(path)] as const);
    this.allowStreams(containerId, new Map(streams));
  }

  /** As `allow`, for what is no socket of the host's. They may throw. */
  allowStreams(containerId: string, streams: ReadonlyMap<string, () => Duplex>): void {
    this.#targets.set(containerId, streams);
  }

  /** The container is gone. */
  forget(containerId: string): void {
    this.#targets.delete(containerId);
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

  /** A guest can only name what its own containers have. */
  #destination(pod: RunningPod, name: string): (() => Duplex) | undefined {
    for (const id of pod.members.keys()) {
      const found = this.#targets.get(id)?.get(name);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

/**
 * Connects to the socket at `path`, never through a link: a guest that has the directory too may have put one there.
 * Throws if there is none any more. The few calls block, and are for one local path that was good at the start.
 */
function connectPinned(path: string): Socket {
  const descriptor = openSync(path, openPath | constants.O_NOFOLLOW);
  const pinned = `/proc/self/fd/${String(descriptor)}`;
  try {
    if (readlinkSync(pinned) !== path) throw new Error(`${path} leads elsewhere now`);
    if (!fstatSync(descriptor).isSocket()) throw new Error(`${path} is no socket any more`);
    const socket = connect({ path: pinned, allowHalfOpen: true });
    const close = (): void => {
      socket.off('connect', close);
      socket.off('close', close);
      closeSync(descriptor);
    };
    socket.on('connect', close);
    socket.on('close', close);
    return socket;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

function refuse({ output, input }: AgentTunnel): void {
  output.reset();
  input.end();
}

/** Joins the channel with what its first line names. `onClosed` is called once, when both are done with. */
function carry(
  tunnel: AgentTunnel,
  destination: (name: string) => (() => Duplex) | undefined,
  onClosed: () => void,
): void {
  const { output, input } = tunnel;
  let socket: Duplex | undefined;
  let head = Buffer.alloc(0);
  let closed = false;
  const close = (): void => {
    if (closed) return;
    closed = true;
    socket?.destroy();
    refuse(tunnel);
    onClosed();
  };
  const open = (name: string): Duplex | undefined => {
    const connectTo = destination(name);
    if (connectTo === undefined) return undefined;
    const note = (error: unknown): void => log.debug('connection of a VM to outside of it', { name, error });
    let opened: Duplex;
    try {
      opened = connectTo();
    } catch (error) {
      note(error);
      return undefined;
    }
    opened.on('error', note);
    opened.on('close', close);
    opened.on('end', () => input.end());
    opened.on('data', (data: Buffer) => {
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
