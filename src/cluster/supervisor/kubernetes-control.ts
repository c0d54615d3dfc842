// The way to a supervisor through Kubernetes: `ctl` in its Pod, by the API server's exec over a WebSocket.

import { Readable, Writable } from 'node:stream';
import { Exec, type KubeConfig, type V1Status } from '@kubernetes/client-node';
import { within } from '../../async/deadline';
import { DaemonError, errorMessage, isDaemonError } from '../../errors';
import type { ControlConnection } from './session';

/** A container of a Pod. */
export interface ControlTarget {
  namespace: string;
  pod: string;
  container: string;
}

/** Of the channel protocol: standard input. */
const inputChannel = 0;
const command = ['/.caisson/init', 'ctl'];
/** How long the API server, the kubelet and the runtime may take until `ctl` runs. */
const openTimeoutMs = 60_000;
const maxComplaintBytes = 4096;

/** What of a WebSocket is used here. */
interface Socket {
  send(data: Buffer, done: (error?: Error | null) => void): void;
  pause(): void;
  resume(): void;
  terminate(): void;
  on(event: 'close' | 'error', listener: () => void): void;
}

/** Rejects with Unavailable when the container can't be reached. */
export async function openKubernetesControl(
  config: KubeConfig,
  target: ControlTarget,
  signal?: AbortSignal,
): Promise<ControlConnection> {
  const what = `the container of Pod ${target.namespace}/${target.pod}`;
  let socket: Socket | undefined;
  let complaint = '';
  let isOver = false;
  const output = new Readable({
    read: () => socket?.resume(),
    destroy: (error, callback) => {
      socket?.terminate();
      callback(error);
    },
  });
  output.on('error', () => undefined); // whoever reads it has listeners of its own
  const stdout = writer((data) => {
    if (!output.destroyed && !output.push(data)) socket?.pause();
  });
  const stderr = writer((data) => {
    complaint = `${complaint}${data.toString()}`.slice(0, maxComplaintBytes);
  });
  const onStatus = (status: V1Status): void => {
    isOver = true;
    if (output.destroyed) return;
    if (status.status === 'Success') output.push(null);
    else output.destroy(unreachable(what, complaint === '' ? (status.message ?? 'it failed') : complaint));
  };
  const silent = new Readable({ read: () => undefined });
  const { namespace, pod, container } = target;
  const connecting = new Exec(config).exec(
    namespace,
    pod,
    container,
    command,
    stdout,
    stderr,
    silent,
    false,
    onStatus,
  ) as Promise<unknown> as Promise<Socket>; // its types are those of browsers; Node's has more
  try {
    socket = await within(connecting, openTimeoutMs, { signal });
  } catch (error) {
    connecting.then((late) => late.terminate()).catch(() => undefined);
    if (signal?.aborted === true) throw error;
    throw unreachable(what, reasonOf(error), error);
  }
  const open = socket;
  const onGone = (): void => {
    if (!isOver && !output.destroyed) output.destroy(unreachable(what, 'the connection is lost'));
  };
  // What came before the status is read first.
  open.on('close', () => setImmediate(onGone));
  open.on('error', onGone);
  return {
    output,
    write: (data) =>
      new Promise((resolve, reject) => {
        open.send(Buffer.concat([Buffer.of(inputChannel), data]), (error) => {
          if (error instanceof Error) reject(unreachable(what, error.message, error));
          else resolve(); // null, where a socket has written it
        });
      }),
    close: () => {
      output.destroy();
      open.terminate();
    },
  };
}

/** The kubelet has no such container: nothing was asked of it. A Pod's container is there shortly before the cluster says so. */
export function isNotThereYet(error: unknown): boolean {
  return isDaemonError(error, 'Unavailable') && /container not found/i.test(error.message);
}

function writer(take: (data: Buffer) => void): Writable {
  return new Writable({
    write: (data: Buffer, _encoding, done) => {
      take(data);
      done();
    },
  });
}

function unreachable(what: string, reason: string, cause?: unknown): DaemonError {
  return new DaemonError('Unavailable', `${what} can't be reached: ${reason.trim()}`, { cause });
}

/** What `ws` says of a handshake that failed is an event around the error. */
function reasonOf(event: unknown): string {
  if (typeof event === 'object' && event !== null && 'message' in event) return String(event.message);
  return errorMessage(event);
}
