// Tar streams as responses: save, export, cp.

import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { log } from '../../log';
import { errorMessage } from '../../errors';

/** Sends `archive` to its end. A failure on the way can only cut the response off. */
export async function sendTar(
  response: ServerResponse,
  archive: NodeJS.ReadableStream,
  headers: Record<string, string> = { 'Content-Type': 'application/x-tar' },
): Promise<void> {
  response.writeHead(200, headers);
  try {
    await pipeline(archive, response);
  } catch (error) {
    // the client left, or the source broke: pipeline has destroyed both ends
    log.info('archive ended early', { error: errorMessage(error) });
  }
}
