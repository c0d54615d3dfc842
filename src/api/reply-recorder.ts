// For tests: what the API answers in JSON, a line for each reply, so that it can be checked against the declared types.

import { appendFileSync } from 'node:fs';
import type { RequestHandler } from 'express';

const longestBody = 1 << 20;

/** Writes `{method, path, status, body}` to the file when a reply is over. Bodies that go on are cut. */
export function recordReplies(file: string): RequestHandler {
  return (req, res, next) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const keep = (chunk: unknown): void => {
      if (!(typeof chunk === 'string' || chunk instanceof Uint8Array) || length > longestBody) return;
      const bytes = Buffer.from(chunk as Uint8Array); // a string is taken as well
      chunks.push(bytes);
      length += bytes.length;
    };
    const write = res.write.bind(res) as (...args: unknown[]) => boolean;
    const end = res.end.bind(res) as (...args: unknown[]) => typeof res;
    res.write = ((...args: unknown[]) => {
      keep(args[0]);
      return write(...args);
    }) as typeof res.write;
    res.end = ((...args: unknown[]) => {
      keep(args[0]);
      return end(...args);
    }) as typeof res.end;
    const { method, url: path } = req;
    res.once('close', () => {
      if (!String(res.getHeader('content-type')).startsWith('application/json')) return;
      const body = Buffer.concat(chunks).toString();
      appendFileSync(file, `${JSON.stringify({ method, path, status: res.statusCode, body })}\n`);
    });
    next();
  };
}
