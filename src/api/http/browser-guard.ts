// Keeps web pages out: a page in a browser on this machine can send requests to a loopback port, open WebSockets to it, and,
// by a name of its own that leads to 127.0.0.1 (DNS rebinding), read the answers. No Docker client sends what browsers do.

import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { DaemonError } from '../../errors';

/** Throws Forbidden for a request that a page of somebody else's has sent. */
export function refuseForeignPages(request: IncomingMessage): void {
  const { origin, host } = request.headers;
  if (origin !== undefined && !isOwnOrigin(origin, host)) {
    throw new DaemonError('Forbidden', `requests of web pages are refused (Origin: ${origin.slice(0, 200)})`);
  }
  const site = request.headers['sec-fetch-site'];
  if (site === 'cross-site' || site === 'same-site') {
    throw new DaemonError('Forbidden', 'requests of web pages are refused (Sec-Fetch-Site)');
  }
  if (host === undefined || !isLoopback(request.socket.localAddress)) return;
  const name = nameOf(host);
  if (isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost')) return;
  throw new DaemonError(
    'Forbidden',
    `"${host.slice(0, 200)}" is no name of this machine's loopback: use localhost or an address`,
  );
}

/** A page that was served from where it sends its requests to, by a proxy for example. */
function isOwnOrigin(origin: string, host: string | undefined): boolean {
  return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();
}

/** Undefined for a unix socket, which has no address. */
function isLoopback(address: string | undefined): boolean {
  if (address === undefined) return false;
  const plain = address.replace(/^::ffff:/, '');
  return plain === '::1' || plain.startsWith('127.');
}

/** Without port and brackets. */
function nameOf(host: string): string {
  return host
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
}
