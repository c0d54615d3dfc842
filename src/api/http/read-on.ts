// What is left of a request's body when its answer is there.

import type { IncomingMessage } from 'node:http';

/** Go's limit, in bytes. */
const mostRead = 256 * 1024;
const longestMs = 1_000;

/**
 * As Go's server: what is left of a body is read, up to a limit, before an answer that does not need it. A connection that is
 * closed with bytes unread is reset, and the answer may be lost with it. Resolves when there is no more, or enough was read.
 */
export function readOn(request: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let left = mostRead;
    const timer = setTimeout(done, longestMs);
    const onData = (data: Buffer): void => {
      left -= data.length;
      if (left <= 0) done();
    };
    function done(): void {
      clearTimeout(timer);
      request.off('data', onData).off('end', done).off('close', done);
      resolve();
    }
    request.on('data', onData).once('end', done).once('close', done);
    if (request.destroyed || request.readableEnded) done();
  });
}
