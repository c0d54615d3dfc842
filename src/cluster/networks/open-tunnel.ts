// Tunnels over sessions of a supervisor, and what flows through them.

import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SupervisorJob } from '../supervisor/protocol';
import type { Supervisor } from '../supervisor/supervisor';
import { Tunnel, type TakeConnection } from './tunnel';

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

/** Carries bytes both ways, ends apart, until both have ended or one side is lost: then the other is, too, by `cutOff` the socket. */
export function joinStreams(socket: Socket, inside: Duplex, cutOff: () => void): void {
  inside.on('error', cutOff);
  inside.on('close', () => {
    if (!inside.readableEnded) socket.destroy();
  });
  // What was sent before a clean end is still on its way.
  socket.on('close', (hadError) => {
    if (hadError || !socket.readableEnded || !socket.writableFinished) inside.destroy();
  });
  socket.pipe(inside).pipe(socket);
}

async function* stdoutOf(
  output: AsyncIterable<{ stream: 'stdout' | 'stderr'; data: Buffer }>,
): AsyncGenerator<Buffer> {
  for await (const { stream, data } of output) if (stream === 'stdout') yield data;
}
