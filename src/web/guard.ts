// Whom the page's server speaks to: browsers that were sent to this very address, and of what they send only what this page asked
// for. A name of somebody else's may lead to 127.0.0.1 (DNS rebinding), and any page may send requests to any address.

import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { DaemonError } from '../errors';
import { refuseForeignPages } from '../api/http/browser-guard';

/** Throws Forbidden unless `Host` is an address or a name of the loopback, whichever address the request came to. */
export function requireOwnHost({ headers: { host } }: IncomingMessage): void {
  const name = (host ?? '')
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
  if (isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost')) return;
  throw new DaemonError(
    'Forbidden',
    `"${(host ?? '').slice(0, 200)}" is no address: open the page by an address or as localhost`,
  );
}

/**
 * Throws Forbidden for what another page has sent. What changes something, and every WebSocket, must say that this page sent it:
 * browsers always do.
 */
export function requireOwnPage(request: IncomingMessage, isUpgrade: boolean): void {
  refuseForeignPages(request);
  const { origin, host = '' } = request.headers;
  if (origin !== undefined && origin.toLowerCase() !== `http://${host.toLowerCase()}`) {
    throw new DaemonError(
      'Forbidden',
      `requests of other pages are refused (Origin: ${origin.slice(0, 200)})`,
    );
  }
  if (origin === undefined && (isUpgrade || !isSafe(request))) {
    throw new DaemonError('Forbidden', 'a request that changes something needs the Origin of this page');
  }
}

/** It changes nothing. */
export function isSafe({ method }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** Of every answer: nothing but this server's own, in no frame, and whatever a guest made is never run. */
export const pageHeaders = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
} as const;

/** What the API answers is data: shown by itself it can do nothing. */
export const dataPolicy = "default-src 'none'; frame-ancestors 'none'; sandbox";

/** `nonce`: for the style sheet that the terminal makes. */
export function pagePolicy(nonce: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}
