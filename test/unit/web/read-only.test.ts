// A page for looking only, against every route that there is: what changes something is refused before the API hears of it, and what
// is let through calls nothing that changes.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Router } from 'express';
import { createApi } from '../../../src/api/server';
import { playRouter } from '../../../src/api/v1/play-router';
import { podsRouter } from '../../../src/api/v1/router';
import { dockerApiRouter } from '../../../src/api/v1.41/router';
import { DaemonError } from '../../../src/errors';
import { setLogLevel } from '../../../src/log';
import { serveWeb, type Web } from '../../../src/web/web-server';

const called: string[] = [];
let directory: string;
let web: Web;
let own: Record<string, string>;
let base: string;

/** Whatever is called of it is noted, and goes wrong. It stands for any interface: `never` goes everywhere. */
function backendOf(path = ''): never {
  const call = (): never => {
    called.push(path);
    throw new DaemonError('NotFound', 'nothing here');
  };
  const get = (_: unknown, name: string | symbol): unknown => {
    if (typeof name === 'symbol' || name === 'then') return undefined;
    return backendOf(path === '' ? name : `${path}.${name}`);
  };
  return new Proxy(call, { get }) as unknown as never;
}

interface Layer {
  route?: { path: string | string[]; methods: Record<string, boolean> };
  handle?: { stack?: Layer[] };
}

function routesOf(router: Router): { method: string; path: string }[] {
  const layers = (router as unknown as { stack: Layer[] }).stack;
  return layers.flatMap(({ route, handle }) => {
    if (route === undefined) return handle?.stack === undefined ? [] : routesOf(handle as unknown as Router);
    const paths = [route.path].flat().map((path) => path.replace(/[:*]\w+/g, 'x').replace(/[{}]/g, ''));
    const methods = Object.keys(route.methods).flatMap((method) =>
      method === '_all' ? ['get', 'post', 'put'] : [method],
    );
    return methods.flatMap((method) => paths.map((path) => ({ method, path })));
  });
}

const pods = podsRouter(backendOf());
const plays = playRouter(backendOf());
const docker = dockerApiRouter(backendOf(), { daemonVersion: '1', experimental: true });
const routes = [pods, plays, docker].flatMap(routesOf);

beforeAll(async () => {
  setLogLevel('error');
  directory = mkdtempSync(join(tmpdir(), 'caisson-web-'));
  mkdirSync(join(directory, 'assets'));
  writeFileSync(join(directory, 'index.html'), '');
  const options = { daemonVersion: '1', experimental: true, pods: plays.use(pods) };
  const api = createApi(backendOf(), options);
  web = await serveWeb({
    ...{ address: '127.0.0.1:0', readOnly: true, assetsDir: directory, runDir: directory, version: '1' },
    ...{ experimental: true, execs: backendOf(), sampler: backendOf(), builds: backendOf() },
    api: (request, response) => api.handle(request, response),
  });
  const token = new URL(web.url).searchParams.get('token');
  const { headers, body } = await ask('POST', '/login', { Origin: web.origin }, JSON.stringify({ token }));
  base = `/api/${(JSON.parse(body) as { area: string }).area}`;
  own = { Origin: web.origin, Cookie: String(headers['set-cookie']?.[0]).split(';')[0] ?? '' };
});
afterAll(async () => {
  await web.close();
  rmSync(directory, { recursive: true });
});
beforeEach(() => {
  called.length = 0;
});

function ask(
  method: string,
  path: string,
  headers: Record<string, string>,
  body = '',
): Promise<{ status: number; headers: Record<string, string | string[] | undefined>; body: string }> {
  return new Promise((resolve, reject) => {
    const url = new URL(web.origin);
    const sent = httpRequest(
      {
        host: url.hostname,
        port: url.port,
        method,
        path,
        headers: { ...headers, 'Content-Length': body.length },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('close', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
        );
      },
    );
    sent.on('error', reject).end(body);
  });
}

test('there are as many routes as there are operations', () => {
  expect(routes.filter(({ method }) => method === 'get').length).toBeGreaterThan(30);
  expect(routes.filter(({ method }) => method !== 'get').length).toBeGreaterThan(60);
});

test('whatever is not GET or HEAD is refused, whoever asks in whichever way', async () => {
  for (const { method, path } of routes.filter((route) => !['get', 'head'].includes(route.method))) {
    for (const version of path.startsWith('/v1/') ? [''] : ['', '/v1.41']) {
      const { status } = await ask(method.toUpperCase(), `${base}${version}${path}`, own, '{}');
      expect([method, path, status]).toEqual([method, path, 403]);
    }
  }
  for (const header of ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override']) {
    await ask('GET', `${base}/v1.41/containers/x/start`, { ...own, [header]: 'POST' });
    await ask('GET', `${base}/v1.41/containers/x/start?_method=POST`, own);
  }
  expect(called).toEqual([]);
});

test('what is let through only reads', async () => {
  for (const { path } of routes.filter(({ method }) => method === 'get'))
    await ask('GET', `${base}${path}`, own);
  expect([...new Set(called)].sort()).toEqual([
    'containers.changes',
    'containers.checkpointList',
    'containers.export',
    'containers.inspect',
    'containers.list',
    'containers.stats',
    'containers.top',
    'exec.inspect',
    'images.distribution',
    'images.history',
    'images.inspect',
    'images.list',
    'images.save',
    'images.search',
    'info',
    'list',
    'networks.inspect',
    'networks.list',
    'pods.containerId',
    'pods.inspect',
    'pods.list',
    'system.diskUsage',
    'system.events',
    'system.info',
    'system.version',
    'vms.console',
    'vms.inspect',
    'vms.list',
    'volumes.inspect',
    'volumes.list',
  ]);
});
