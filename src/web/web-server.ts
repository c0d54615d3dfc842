// web/: the page's own HTTP server: who may use it, the page's files, and what it asks for besides the APIs.
//
// Everything that is asked below /api/AREA needs the session that the area belongs to; what of it is not this folder's goes to the
// API's own application, which therefore exists once.

import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer, ServerResponse } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import { type AddressInfo, Socket } from 'node:net';
import { acceptWebSocket, isWebSocketRequest } from '../api/v1.41/attach-websocket';
import type { ExecBackend } from '../api/v1.41/backend';
import { prepareUpgrade } from '../api/http/hijack';
import { readBody } from '../api/http/body';
import { sendJson } from '../api/http/reply';
import { describeError, sendError } from '../api/v1.41/error-handler';
import { DaemonError, errorMessage } from '../errors';
import { log } from '../log';
import { Assets } from './assets';
import { dataPolicy, isSafe, pageHeaders, requireOwnHost, requireOwnPage } from './guard';
import type { Sampler } from './sampler';
import { Sessions } from './sessions';
import type { BuildDetail, BuildSummary, DoctorFinding, DoctorReply, LoginReply, WebInfo } from './types';

export interface WebOptions {
  /** `host:port`; port 0: any free one. */
  address: string;
  /** Nothing is changed, run or attached to. */
  readOnly: boolean;
  /** Where the page was built to. */
  assetsDir: string;
  /** Takes sessions, and the address with its token. */
  runDir: string;
  version: string;
  experimental: boolean;
  /** Docker's API and ours. */
  api: (request: IncomingMessage, response: ServerResponse) => void;
  execs: Pick<ExecBackend, 'start'>;
  sampler: Pick<Sampler, 'history'>;
  /** What is wrong with this machine; absent: nobody can tell. */
  doctor?: () => Promise<DoctorFinding[]>;
  builds: WebBuilds;
  /** Ports from here on are not root's alone; absent: as the kernel says. */
  firstPortOfAll?: number;
}

/** The builds that were, and run. */
export interface WebBuilds {
  list(): BuildSummary[];
  /** Undefined for one that has told nothing that was kept. */
  detail(ref: string): Promise<BuildDetail | undefined>;
}

export interface Web {
  /** `http://host:port` */
  readonly origin: string;
  /** With the token that is good now. */
  readonly url: string;
  close(): Promise<void>;
}

interface Call {
  request: IncomingMessage;
  response: ServerResponse;
  /** What follows the area, with the query. */
  path: string;
  isUpgrade: boolean;
}

const largestLogin = 1024;
const headersTimeoutMs = 30_000;
const doctorGoodMs = 10_000;

/** Rejects with InvalidParameter for an address that can't be listened on, and where the page was not built. */
export async function serveWeb(options: WebOptions): Promise<Web> {
  const { host, port } = parseAddress(options.address);
  const assets = await Assets.open(options.assetsDir);
  const sessions = await Sessions.open(options.runDir, port !== 0 && port < (await firstPortOfAll(options)));
  const site = new Site(options, assets, sessions);
  const server = createServer(
    { requestTimeout: 0, headersTimeout: headersTimeoutMs, keepAlive: true, noDelay: true },
    (request, response) => void site.answer(request, response, false),
  );
  // One that was upgraded is no longer the server's to close.
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (request, socket, head) => {
    if (!(socket instanceof Socket)) socket.destroy();
    else serveUpgrade(site, request, socket, head);
  });
  await listen(server, host, port, options.address);
  const { port: bound } = server.address() as AddressInfo; // it listens on TCP
  const name = host === '' || host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  const origin = `http://${name.includes(':') ? `[${name}]` : name}:${bound}`;
  if (!isLoopback(name) || name !== host) {
    log.warn('the web page is not on the loopback alone, and is not encrypted', { address: options.address });
  }
  await sessions.offer(origin);
  log.info('web page', { address: origin, readOnly: options.readOnly, withToken: sessions.urlFile });
  return {
    origin,
    get url() {
      return sessions.url;
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
      await sessions.close();
    },
  };
}

/** `127.0.0.1:8090`, `[::1]:8090`, `localhost:8090`, `:8090`. */
export function parseAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([\da-fA-F:.]+)\]|([^:/[\]]*)):(\d{1,5})$/.exec(address);
  if (match === null || Number(match[3]) > 65_535) {
    throw new DaemonError('InvalidParameter', `invalid address for the web page: ${address}`);
  }
  const host = match[1] ?? match[2] ?? '';
  return { host: host === '' ? '127.0.0.1' : host, port: Number(match[3]) };
}

/** Those below it are root's: of this network namespace. */
async function firstPortOfAll({ firstPortOfAll: known }: WebOptions): Promise<number> {
  if (known !== undefined) return known;
  const text = await readFile('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8').catch(() => '');
  return Number.parseInt(text, 10) || 0;
}

async function listen(server: Server, host: string, port: number, address: string): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port }, resolve);
    });
  } catch (error) {
    throw new DaemonError('InvalidParameter', `web page on ${address}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

function serveUpgrade(site: Site, request: IncomingMessage, socket: Socket, head: Buffer): void {
  const response = new ServerResponse(request);
  prepareUpgrade(request, response, { socket, head });
  void site.answer(request, response, true);
}

class Site {
  readonly #options: WebOptions;
  readonly #assets: Assets;
  readonly #sessions: Sessions;
  readonly #instance = randomUUID();
  #doctor: { at: number; reply: Promise<DoctorReply> } | undefined;

  constructor(options: WebOptions, assets: Assets, sessions: Sessions) {
    this.#options = options;
    this.#assets = assets;
    this.#sessions = sessions;
  }

  /** Never rejects. */
  async answer(request: IncomingMessage, response: ServerResponse, isUpgrade: boolean): Promise<void> {
    try {
      for (const [name, value] of Object.entries(pageHeaders)) response.setHeader(name, value);
      response.setHeader('Content-Security-Policy', dataPolicy);
      requireOwnHost(request);
      await this.#route(request, response, isUpgrade);
    } catch (error) {
      sendError(request, response, error);
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse, isUpgrade: boolean): Promise<void> {
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    const called = /^\/api\/([\w-]{1,64})(\/.*)$/.exec(request.url ?? '');
    if (called !== null) {
      requireOwnPage(request, isUpgrade);
      const [, area = '', rest = ''] = called;
      if (!this.#sessions.admits(area, request.headers.cookie)) {
        throw new DaemonError(
          'Unauthorized',
          'this session is over: open the page by an address with a token',
        );
      }
      response.setHeader('Cache-Control', 'no-store');
      await this.#call({ request, response, path: rest, isUpgrade }, area);
    } else if (path === '/login' && request.method === 'POST' && !isUpgrade) {
      requireOwnPage(request, isUpgrade);
      await this.#login(request, response);
    } else if (isSafe(request) && !isUpgrade) {
      await this.#assets.send(path, request, response);
    } else {
      throw new DaemonError('NotFound', 'page not found');
    }
  }

  async #login(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request, largestLogin);
    const session = await this.#sessions.exchange(tokenIn(body.toString()));
    if (session === undefined) {
      throw new DaemonError(
        'Unauthorized',
        'this token is not good, or was used: each is good for one browser',
      );
    }
    log.info('a browser has opened the web page', { address: request.socket.remoteAddress });
    response.setHeader('Set-Cookie', session.cookie);
    response.setHeader('Cache-Control', 'no-store');
    sendJson(response, 200, { area: session.area } satisfies LoginReply);
  }

  async #call(call: Call, area: string): Promise<void> {
    const { request, response, path, isUpgrade } = call;
    if (path.startsWith('/web/')) {
      await this.#own(call, area);
      return;
    }
    if (this.#options.readOnly && (isUpgrade || !isSafe(request))) {
      throw new DaemonError('Forbidden', 'this page is for looking only (--web-read-only)');
    }
    const exec = /^\/exec\/([\w-]+)\/ws(?:\?(.*))?$/.exec(path);
    if (exec !== null) {
      await this.#exec(call, exec[1] ?? '', new URLSearchParams(exec[2]));
      return;
    }
    // neither a registry nor the daemon's own memory is for a page
    if (/^\/(?:v2|debug)(?:[/?]|$)/.test(path)) throw new DaemonError('NotFound', 'page not found');
    request.url = path;
    this.#options.api(request, response);
  }

  /** What is neither Docker's nor of the API of Pods. */
  async #own({ request, response, path, isUpgrade }: Call, area: string): Promise<void> {
    const url = new URL(path, 'http://web');
    if (isUpgrade) throw new DaemonError('NotFound', 'page not found');
    if (url.pathname === '/web/logout' && request.method === 'POST') {
      response.setHeader('Set-Cookie', await this.#sessions.end(area));
      response.writeHead(204).end();
      return;
    }
    if (!isSafe(request)) throw new DaemonError('NotFound', 'page not found');
    sendJson(response, 200, await this.#ownReply(url));
  }

  async #ownReply({ pathname, searchParams }: URL): Promise<unknown> {
    const { version, readOnly, experimental } = this.#options;
    switch (pathname) {
      case '/web/info':
        return { version, instance: this.#instance, readOnly, experimental } satisfies WebInfo;
      case '/web/history': {
        const span = searchParams.get('span') === 'day' ? 'day' : 'minutes';
        const [kind, id] = [searchParams.get('kind') ?? undefined, searchParams.get('id') ?? undefined];
        return this.#options.sampler.history(span, { kind, id });
      }
      case '/web/doctor':
        return this.#diagnose();
      case '/web/builds':
        return this.#options.builds.list();
      case '/web/build': {
        const detail = await this.#options.builds.detail(searchParams.get('ref') ?? '');
        if (detail === undefined) throw new DaemonError('NotFound', 'nothing is kept of this build');
        return detail;
      }
      default:
        throw new DaemonError('NotFound', 'page not found');
    }
  }

  /** It starts programs: one at a time, and what it said is good for a moment. */
  #diagnose(): Promise<DoctorReply> {
    const now = performance.now();
    if (this.#doctor === undefined || now - this.#doctor.at > doctorGoodMs) {
      const findings = this.#options.doctor?.() ?? Promise.resolve([]);
      const reply = findings.then((found) => ({ at: Math.floor(Date.now() / 1000), findings: found }));
      this.#doctor = { at: Infinity, reply };
      const mark = (): void => {
        if (this.#doctor?.reply === reply) this.#doctor.at = performance.now();
      };
      reply.then(mark, mark);
    }
    return this.#doctor.reply;
  }

  /** A page can't hijack a connection, as exec's clients do: its streams as binary messages, like attach/ws. */
  async #exec({ request, response, isUpgrade }: Call, execId: string, query: URLSearchParams): Promise<void> {
    if (!isUpgrade || !isWebSocketRequest(request)) {
      throw new DaemonError('InvalidParameter', 'not websocket protocol');
    }
    const [rows, columns] = [Number(query.get('h')), Number(query.get('w'))];
    const hasSize = Number.isInteger(rows) && Number.isInteger(columns) && rows > 0 && columns > 0;
    const options = {
      detach: false,
      tty: query.get('tty') === '1',
      ...(hasSize ? { consoleSize: { rows, columns } } : {}),
    };
    let socket: ReturnType<typeof acceptWebSocket> | undefined;
    try {
      await this.#options.execs.start(execId, options, () => {
        socket = acceptWebSocket(request, response, { stdin: true });
        return socket.client;
      });
    } catch (error) {
      if (socket === undefined) throw error;
      const { message } = describeError(request, error);
      await socket.client.write('stdout', Buffer.from(`${message}\r\n`));
    } finally {
      socket?.finish();
    }
  }
}

/** Empty for a body that has none. */
function tokenIn(text: string): string {
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body !== 'object' || body === null || !('token' in body)) return '';
    return typeof body.token === 'string' ? body.token : '';
  } catch {
    return '';
  }
}
