// Raw HTTP to an engine's unix socket: for cases about the wire itself, and for readiness.

import { type IncomingMessage, request } from 'node:http';

export interface HttpRequest {
  method: string;
  path: string;
  headers?: Record<string, string>;
  /** An object is sent as JSON, a string or Buffer as it is. */
  body?: unknown;
  timeoutMs?: number;
}

export interface HttpResponse {
  status: number;
  headers: Record<string, string>;
  body: string;
}

export function socketPathOf(host: string): string {
  if (!host.startsWith('unix://')) throw new Error(`not a unix socket: ${host}`);
  return host.slice('unix://'.length);
}

/**
 * One request on a connection of its own; collects the whole reply. A connection that was taken over (101) is closed.
 * Rejects when the connection breaks.
 */
export function sendHttp(host: string, options: HttpRequest): Promise<HttpResponse> {
  const isText = typeof options.body === 'string' || Buffer.isBuffer(options.body);
  const body = options.body === undefined || isText ? options.body : JSON.stringify(options.body);
  const contentType = options.body === undefined || isText ? {} : { 'Content-Type': 'application/json' };
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        socketPath: socketPathOf(host),
        method: options.method,
        path: options.path,
        headers: { Host: 'docker', ...contentType, ...options.headers },
        agent: false,
        timeout: options.timeoutMs ?? 180_000,
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('error', reject);
        incoming.on('end', () => {
          resolve({
            status: incoming.statusCode ?? 0,
            headers: textHeaders(incoming),
            body: Buffer.concat(chunks).toString(),
          });
        });
      },
    );
    outgoing.on('upgrade', (incoming, socket) => {
      socket.destroy();
      resolve({ status: incoming.statusCode ?? 0, headers: textHeaders(incoming), body: '' });
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`${options.method} ${options.path}: no answer`)));
    outgoing.on('error', reject);
    // isText has told that the rest is a string
    outgoing.end(body as string | Buffer | undefined);
  });
}

function textHeaders(incoming: IncomingMessage): Record<string, string> {
  return Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]));
}

/** True when the engine answers its ping. */
export async function pings(host: string): Promise<boolean> {
  try {
    return (await sendHttp(host, { method: 'GET', path: '/_ping', timeoutMs: 5000 })).status === 200;
  } catch {
    return false;
  }
}
