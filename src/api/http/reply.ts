// http/: what every HTTP surface shares.
//
// Plain replies, in dockerd's form: `application/json` without charset, a newline at the end.

import type { ServerResponse } from 'node:http';

/** Sends `value` as JSON, stringified once. */
export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': body.length });
  response.end(body);
}

/** Sends a status without a body. */
export function sendStatus(response: ServerResponse, status: number): void {
  response.writeHead(status, status === 204 || status === 304 ? {} : { 'Content-Length': 0 });
  response.end();
}

/** Sends plain text and ends the connection, where dockerd answers so. */
export function sendText(response: ServerResponse, status: number, text: string, type?: string): void {
  // dockerd has taken the connection over by then: the headers that handlers add are not sent.
  response.removeHeader('Docker-Experimental');
  response.removeHeader('Ostype');
  response.writeHead(status, {
    ...(type === undefined ? {} : { 'Content-Type': type }),
    'Content-Length': Buffer.byteLength(text),
    Connection: 'close',
  });
  response.end(text);
}
