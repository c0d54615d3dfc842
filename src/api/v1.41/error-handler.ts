// The one table from error code to HTTP status, and the reply Docker's clients expect.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { errorMessage, isDaemonError, systemErrorCode } from '../../errors';
import type { ErrorCode } from '../../errors';
import { log } from '../../log';
import { isUpgrade } from '../http/hijack';
import { readOn } from '../http/read-on';
import { sendJson } from '../http/reply';
import { holds } from './old-versions';

const statuses: Record<ErrorCode, number> = {
  InvalidParameter: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  Conflict: 409,
  NotModified: 304,
  NotAcceptable: 406,
  TooLarge: 413,
  NotImplemented: 501,
  Unavailable: 503,
  Internal: 500,
};

/** How long an upload that was refused may go on. */
const drainMs = 5_000;

/** Status and message for anything that was thrown; logs what is nobody's fault but ours. */
export function describeError(request: IncomingMessage, error: unknown): { status: number; message: string } {
  if (isDaemonError(error)) {
    const status = statuses[error.code];
    if (error.code === 'Internal') {
      log.warn('request failed', {
        method: request.method,
        path: pathOf(request),
        status,
        message: error.message,
      });
    }
    return { status, message: error.message };
  }
  const status = expressStatus(error);
  if (status === undefined && isEndOfConnection(error)) {
    log.info('the client has left', {
      method: request.method,
      path: pathOf(request),
      message: errorMessage(error),
    });
  } else if (status === undefined) {
    log.error('request failed unexpectedly', { method: request.method, path: pathOf(request), error });
  }
  return { status: status ?? 500, message: errorMessage(error) };
}

/** Answers with the error; a response under way can only be cut off. */
export function sendError(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  const { status, message } = describeError(request, error);
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const answer = (): void => {
    if (response.destroyed) return;
    if (!request.complete) response.once('finish', () => drain(request));
    if (status === 304) response.writeHead(304).end();
    else if (holds('jsonErrors', request)) sendJson(response, status, { message });
    else sendPlainError(response, status, message);
  };
  if (request.complete || isUpgrade(request)) answer();
  else void readOn(request).then(answer);
}

/** As Go's http.Error: for clients that don't read errors in JSON. */
function sendPlainError(response: ServerResponse, status: number, message: string): void {
  const body = Buffer.from(`${message}\n`);
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'X-Content-Type-Options': 'nosniff',
    'Content-Length': body.length,
  });
  response.end(body);
}

/** What Node says when a client goes away in the middle of its request. */
function isEndOfConnection(error: unknown): boolean {
  const codes = ['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'ABORT_ERR'];
  return (
    codes.includes(systemErrorCode(error) ?? '') || (error instanceof Error && error.name === 'AbortError')
  );
}

/** A client that is still sending reads the answer only if the connection is not reset under it: Node drops the rest. */
function drain(request: IncomingMessage): void {
  // Node takes it away once the client has left: then nobody reads, and nothing more comes.
  const socket = request.socket as Socket | null;
  if (socket === null) return;
  const timer = setTimeout(() => socket.destroy(), drainMs);
  timer.unref();
  request.once('close', () => clearTimeout(timer));
  request.resume();
}

/** Express' own errors, as for a path that can't be decoded, carry a status below 500. */
function expressStatus(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('status' in error) || typeof error.status !== 'number') return undefined;
  return error.status >= 400 && error.status < 500 ? error.status : undefined;
}

/** Without the query, which may hold what a log should not. */
function pathOf(request: IncomingMessage): string {
  return (request.url ?? '').split('?', 1)[0] ?? '';
}
