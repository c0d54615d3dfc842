// api/: listening, and what is neither Docker's API (v1.41/) nor ours (v1/).
//
// The HTTP server: one application on every listening address. Knows sockets; the API itself is v1.41/router.ts.

import { existsSync } from 'node:fs';
import { ServerResponse, createServer } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { posix } from 'node:path';
import express from 'express';
import type { Express, NextFunction, Request, RequestHandler, Response } from 'express';
import { errorMessage } from '../errors';
import { log } from '../log';
import { Connections } from './connections';
import { listen, parseHosts, warnIfOpen, type HostAddress } from './listen';
import { registryProxy } from './registry-proxy';
import { recordReplies } from './reply-recorder';
import type { RegistryProxyOptions } from './registry-proxy';
import type { Backend } from './v1.41/backend';
import { refuseForeignPages } from './http/browser-guard';
import { prepareUpgrade } from './http/hijack';
import { sendJson } from './http/reply';
import { dockerApiRouter, errorHandler } from './v1.41/router';

export interface ApiOptions {
  daemonVersion: string;
  /** What clients are told; absent: false. */
  experimental?: boolean;
  /** What they are told to build with; absent: nothing. */
  preferredBuilder?: 'classic' | 'buildkit';
  /** Group of unix sockets by name or number; by default `docker`, where there is one. */
  socketGroup?: string;
  /** For tcp addresses. */
  tls?: TlsOptions;
  /** Answers below `/debug`, before the API; absent: 404. */
  debug?: RequestHandler;
  /** For tests: where replies are recorded. */
  recordRepliesTo?: string;
  /** Told of each request, when it came. */
  onRequest?: (request: IncomingMessage, response: ServerResponse) => void;
  /** Asked before Docker's API: `/v1`. */
  pods?: RequestHandler;
  /** Absent: `/v2/*` is 404. */
  registryProxy?: RegistryProxyOptions;
}

export interface Api {
  /** For tests that need no socket of ours, and for servers of others'. Connections are hijacked where those know how. */
  readonly app: Express;
  /** Answers a request that came on a server of somebody else's, which has decided that it may. */
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Listens on `unix://` and `tcp://` addresses; returns them with real ports. On an error none is left open. */
  listen(hosts: readonly string[]): Promise<string[]>;
  /** Makes unix sockets again whose files are gone. Resolves with their paths; connections go on. */
  mendSockets(): Promise<string[]>;
  /** Takes no new requests, gives those under way `graceMs`, then cuts them off. */
  close(graceMs?: number): Promise<void>;
}

/** As Go's: filters and credentials in headers and queries may be long. */
const maxHeaderBytes = 2 ** 20;
/** A client must have sent its header after this long. */
const headersTimeoutMs = 30_000;
const checkIntervalMs = 10_000;
const keepAliveProbeMs = 30_000;
const defaultGraceMs = 1_000;

export function createApi(backend: Backend, options: ApiOptions): Api {
  const app = createApp(backend, options);
  const listening = new Map<Server, HostAddress>();
  const connections = new Connections();

  async function open(host: HostAddress): Promise<string> {
    const tls = host.kind === 'tcp' ? options.tls : undefined;
    warnIfOpen(host, tls?.requestCert === true);
    const server = createHttpServer(app, connections, tls);
    listening.set(server, host);
    const address = await listen(server, host, options.socketGroup);
    log.info('API listening', { address, tls: tls !== undefined });
    return address;
  }

  async function close(graceMs = defaultGraceMs): Promise<void> {
    const closed = [...listening.keys()].map((server) => closeServer(server));
    listening.clear();
    connections.close();
    const timer = setTimeout(() => connections.destroyAll(), graceMs);
    await Promise.all(closed);
    clearTimeout(timer);
  }

  async function mendSockets(): Promise<string[]> {
    const missing: string[] = [];
    for (const [server, host] of [...listening]) {
      // one that is about to listen has no file yet
      if (host.kind !== 'unix' || !server.listening || existsSync(host.path)) continue;
      listening.delete(server);
      void closeServer(server); // first: its end removes the path
      await open(host);
      missing.push(host.path);
    }
    return missing;
  }

  return {
    app,
    // express adds what its own types ask for
    handle: (request, response) => void app(request as Request, response as Response),
    close,
    mendSockets,
    async listen(hosts) {
      const addresses: string[] = [];
      try {
        const all = hosts.flatMap((host) => parseHosts(host, options.tls !== undefined));
        for (const host of all) addresses.push(await open(host));
      } catch (error) {
        await close(0);
        throw error;
      }
      return addresses;
    },
  };
}

function createApp(backend: Backend, options: ApiOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', false);
  app.enable('case sensitive routing');
  app.enable('strict routing');
  const { onRequest } = options;
  if (onRequest !== undefined) {
    app.use((req, res, next) => {
      onRequest(req, res);
      next();
    });
  }
  app.use((req, _res, next) => {
    refuseForeignPages(req);
    next();
  });
  if (options.recordRepliesTo !== undefined) app.use(recordReplies(options.recordRepliesTo));
  app.use(cleanPath);
  if (options.debug !== undefined) app.use('/debug', options.debug);
  app.use(options.registryProxy === undefined ? noRegistry : registryProxy(options.registryProxy));
  if (options.pods !== undefined) app.use(options.pods);
  app.use(dockerApiRouter(backend, options));
  app.use(errorHandler);
  return app;
}

/** dockerd's router redirects `//` and `..` to the clean path. */
function cleanPath(req: Request, res: Response, next: NextFunction): void {
  const [path = '', ...query] = req.url.split('?');
  if (!/\/\/|\/\.\.?(?:\/|$)/.test(path)) {
    next();
    return;
  }
  const location = [posix.normalize(path), ...query].join('?');
  res.writeHead(301, { Location: location, 'Content-Length': 0 }).end();
}

/** Without it the path would be taken for version 2 of the API. */
function noRegistry(req: Request, res: Response, next: NextFunction): void {
  if (/^\/v2(?:[/?]|$)/.test(req.url)) sendJson(res, 404, { message: 'page not found' });
  else next();
}

function createHttpServer(app: Express, connections: Connections, tls: TlsOptions | undefined): Server {
  const httpOptions = {
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: headersTimeoutMs,
    requestTimeout: 0, // an image to load may take its time; small bodies have a limit of their own
    connectionsCheckingInterval: checkIntervalMs,
    keepAliveTimeout: 0, // as dockerd: an idle client may come back any time
    keepAlive: true,
    keepAliveInitialDelay: keepAliveProbeMs,
    noDelay: true,
  };
  const server =
    tls === undefined
      ? createServer(httpOptions, app)
      : createTlsServer({ ...httpOptions, ...tls, allowHalfOpen: true }, app);
  // A client that closes its sending side still gets its answer. Node has the option, its types have not.
  Object.assign(server, { httpAllowHalfOpen: true });
  if (tls === undefined) server.on('connection', (socket: Socket) => connections.add(socket));
  else serveTls(server, connections);
  server.prependListener('request', (request, response) => connections.begin(request.socket, response));
  server.on('upgrade', (request, socket, head) => {
    if (!(socket instanceof Socket)) {
      socket.destroy();
      return;
    }
    const response = new ServerResponse(request);
    connections.begin(socket, response);
    prepareUpgrade(request, response, { socket, head });
    // the same routes; express adds what its own types ask for
    app(request as Request, response as Response);
  });
  return server;
}

function serveTls(server: Server, connections: Connections): void {
  connections.addTls(server);
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const { remoteAddress } = plainSocketOf(socket) ?? socket;
    log.info('TLS handshake failed', { address: remoteAddress, error: errorMessage(error) });
    // In the words of Go's server, which clients know.
    if (error.code !== 'ERR_SSL_HTTP_REQUEST') return;
    plainSocketOf(socket)?.end(
      'HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n',
    );
  });
}

/** The TCP socket below a TLS one, which is of no use after a failed handshake. */
function plainSocketOf(socket: Socket): Socket | undefined {
  const { _parent: parent } = socket as Socket & { _parent?: unknown };
  return parent instanceof Socket ? parent : undefined;
}

function closeServer(server: Server): Promise<void> {
  // an error says that it was not listening
  return new Promise((resolve) => server.close(() => resolve()));
}
