// Tunnels over sessions of a supervisor, and what flows through them.

import type { Duplex } from 'node:stream';
import { pause } from '../../async/pause';
import { errorMessage } from '../../errors';
import { log } from '../../log';
import type { SupervisorJob } from '../supervisor/protocol';
import type { Supervisor } from '../supervisor/supervisor';
import { Tunnel, type TakeConnection } from './tunnel';

/** Between tries to reach a supervisor. */
const retryMs = 1_000;

/** `take`: of `sockets`, who has the connections that come. Rejects when the supervisor can't be reached, or refuses. */
export async function openTunnel(
  supervisor: Supervisor,
  job: Extract<SupervisorJob, { kind: 'tunnel' | 'sockets' }>,
  take?: TakeConnection,
): Promise<Tunnel> {
  const process = await supervisor.job(job);
  return new Tunnel(
    {
      output: stdoutOf(process.output),
      write: (data) => process.input.write(data),
      close: () => process.close(),
    },
    take,
  );
}

/**
 * Joins each connection to a socket of the container with what `connectTo` gives for it, until the signal: then they all end. A supervisor
 * that can't be reached is tried again. Never rejects; undefined, and what is thrown, ends the connection.
 */
export async function serveSockets(
  supervisor: Supervisor,
  connectTo: (socket: number) => Duplex | undefined,
  signal: AbortSignal,
): Promise<void> {
  const take: TakeConnection = (connection, socket) => {
    try {
      const other = connectTo(socket);
      if (other === undefined) throw new Error(`no socket ${socket}`);
      carry(connection, other);
    } catch (error) {
      tell(error);
      connection.destroy();
    }
  };
  do {
    try {
      const tunnel = await openTunnel(supervisor, { kind: 'sockets' }, take);
      const close = (): void => tunnel.close();
      signal.addEventListener('abort', close, { once: true });
      if (signal.aborted) close();
      await tunnel.ended;
      signal.removeEventListener('abort', close);
    } catch (error) {
      tell(error);
    }
  } while (await pause(retryMs, signal));
}

function carry(connection: Duplex, other: Duplex): void {
  other.on('error', (error) => {
    tell(error);
    connection.destroy();
  });
  joinStreams(other, connection, () => other.destroy());
}

function tell(error: unknown): void {
  log.debug("a connection to a container's socket is not carried", { error: errorMessage(error) });
}

/** Carries bytes both ways, ends apart, until both have ended or one side is lost: then the other is, too, `outer` by `cutOff`. */
export function joinStreams(outer: Duplex, inside: Duplex, cutOff: () => void): void {
  inside.on('error', cutOff);
  inside.on('close', () => {
    if (!inside.readableEnded) outer.destroy();
  });
  // What was sent before a clean end is still on its way.
  outer.on('close', () => {
    if (outer.errored !== null || !outer.readableEnded || !outer.writableFinished) inside.destroy();
  });
  outer.pipe(inside).pipe(outer);
}

async function* stdoutOf(
  output: AsyncIterable<{ stream: 'stdout' | 'stderr'; data: Buffer }>,
): AsyncGenerator<Buffer> {
  for await (const { stream, data } of output) if (stream === 'stdout') yield data;
}
