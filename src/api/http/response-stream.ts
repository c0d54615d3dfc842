// Responses that go on for a while: logs, events, progress, stats.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { drained } from '../../async/drained';

/** Aborted when the client is gone before the response is complete. Listens only until then. */
export function clientSignal(request: IncomingMessage, response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  const { socket } = request;
  const abort = () => controller.abort();
  // A client that closes its side while it waits for a stream is gone: Go's server takes it so too.
  socket.once('end', abort);
  response.once('close', () => {
    socket.off('end', abort);
    if (!response.writableFinished) abort();
  });
  if (response.destroyed || socket.destroyed) abort();
  return controller.signal;
}

/** Sends the header now, before there is a body. */
export function startStream(response: ServerResponse, headers: Record<string, string> = {}): void {
  response.writeHead(200, headers);
  response.flushHeaders();
}

/** Writes and waits while the client is slow; returns at once when it is gone. */
export async function writeChunk(response: ServerResponse, data: Buffer | string): Promise<void> {
  if (response.destroyed || response.write(data)) return;
  await drained(response);
}

/** Ends the response unless the client is gone. */
export function endStream(response: ServerResponse): void {
  if (!response.destroyed) response.end();
}
