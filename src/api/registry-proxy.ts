// `/v2/*`: a pass-through to one registry with the daemon's credentials, so that an engine inside a VM can pull
// through the daemon and needs neither secrets nor egress.

import type { ServerResponse } from 'node:http';
import type { RequestHandler } from 'express';
import { createProxyServer } from 'http-proxy';
import { errorMessage } from '../errors';
import { log } from '../log';

export interface RegistryProxyOptions {
  /** `https://registry.example`. */
  target: string;
  /** Value of the Authorization header for this path, if any; the client's own is never passed on. */
  authorization?: (path: string) => Promise<string | undefined>;
}

const timeoutMs = 60_000;

/** Pulls only: whoever may reach the daemon may not, for that, push with its credentials. */
export function registryProxy(options: RegistryProxyOptions): RequestHandler {
  const proxy = createProxyServer({
    target: options.target,
    changeOrigin: true,
    proxyTimeout: timeoutMs,
    xfwd: false,
  });
  proxy.on('error', (error, _request, response) => {
    log.warn('registry proxy failed', { target: options.target, error: errorMessage(error) });
    // a plain socket stands here only for WebSockets, which are not proxied
    if ('writeHead' in response)
      sendRegistryError(response, 502, 'UNAVAILABLE', 'the registry cannot be reached');
  });
  return async (req, res, next) => {
    const path = req.url.split('?', 1)[0] ?? '';
    if (path !== '/v2' && !path.startsWith('/v2/')) {
      next();
      return;
    }
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      sendRegistryError(res, 405, 'UNSUPPORTED', 'the registry is read-only here');
      return;
    }
    const authorization = await options.authorization?.(path);
    delete req.headers.authorization;
    delete req.headers.cookie;
    proxy.web(req, res, authorization === undefined ? {} : { headers: { authorization } });
  };
}

function sendRegistryError(response: ServerResponse, status: number, code: string, message: string): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify({ errors: [{ code, message }] }));
}
