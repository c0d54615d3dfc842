// The NDJSON of pull, push, load, import and build: 200 with the first line; an error before it is a status, and after
// it a last line.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { errorMessage } from '../../errors';
import { log } from '../../log';
import type { ProgressWriter } from './backend';
import type { ProgressLine } from '../../docker/types';
import { clientSignal } from '../http/response-stream';

/** Above this much unsent output, progress bars are thinned out. */
const congestedBytes = 256 * 1024;

/** One line as dockerd writes it: its key order, HTML characters escaped, CRLF. */
export function progressLine(line: ProgressLine): string {
  const { stream, status, progressDetail, progress, id, errorDetail, error, aux } = line;
  const ordered = { stream, status, progressDetail, progress, id, errorDetail, error, aux };
  const json = JSON.stringify(ordered).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `${json}\r\n`;
}

/**
 * Runs `work` and sends what it reports. A client that reads slowly gets every status, but of a layer's moving bar only
 * the latest state. Throws what `work` threw if nothing was sent yet.
 */
export async function streamProgress(
  request: IncomingMessage,
  response: ServerResponse,
  work: (progress: ProgressWriter, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const sender = new ProgressSender(response);
  try {
    await work((line) => sender.send(line), clientSignal(request, response));
  } catch (error) {
    if (!response.headersSent) throw error;
    log.info('request failed after its first line', {
      path: request.url?.split('?', 1)[0],
      error: errorMessage(error),
    });
    const message = errorMessage(error);
    sender.send({ errorDetail: { message }, error: message });
  }
  sender.finish();
}

class ProgressSender {
  private readonly response: ServerResponse;
  /** Latest bar by layer, held back while the client is slow. */
  private readonly held = new Map<string, ProgressLine>();

  constructor(response: ServerResponse) {
    this.response = response;
    response.on('drain', () => this.flush());
  }

  send(line: ProgressLine): void {
    if (this.response.destroyed || this.response.writableEnded) return;
    this.start();
    if (this.response.writableLength > congestedBytes && isBar(line)) {
      this.held.set(line.id ?? '', line);
      return;
    }
    // a layer's next status makes its held bar void
    if (line.id !== undefined) this.held.delete(line.id);
    this.response.write(progressLine(line));
  }

  /** Sends what is still held, and the header if there was no line. */
  finish(): void {
    this.start();
    if (!this.response.destroyed) this.response.end([...this.held.values()].map(progressLine).join(''));
  }

  private start(): void {
    if (!this.response.headersSent) this.response.writeHead(200, { 'Content-Type': 'application/json' });
  }

  private flush(): void {
    const lines = [...this.held.values()];
    this.held.clear();
    for (const line of lines) this.send(line);
  }
}

function isBar(line: ProgressLine): boolean {
  return (
    line.id !== undefined && line.progressDetail?.current !== undefined && line.errorDetail === undefined
  );
}
