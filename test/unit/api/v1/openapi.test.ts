import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import express from 'express';
import request from 'supertest';
import { parse } from 'yaml';
import { errorHandler } from '../../../../src/api/v1.41/router';
import type { PlayHost } from '../../../../src/play/host';
import { PlayService } from '../../../../src/play/play-service';
import { playRouter } from '../../../../src/api/v1/play-router';
import type { PodsBackend } from '../../../../src/api/v1/backend';
import { podsRouter } from '../../../../src/api/v1/router';
import { checkRequest, requestSchemas } from '../../../../src/api/v1/schemas';
import { projectDir } from '../../../support/process/project-dir';

interface OpenApi {
  paths: Record<string, Record<string, unknown>>;
  components: { schemas: Record<string, unknown> };
}

const document = parse(readFileSync(join(projectDir, 'docs/openapi/caisson-v1.yaml'), 'utf8')) as OpenApi;
const methods = ['get', 'put', 'post', 'delete', 'head'];

/** `get /v1/pods/{pod}`; what Docker's router answers is there by whatever method the file has. */
function documented(): string[] {
  return Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations)
      .filter((method) => methods.includes(method))
      .map((method) => `${method} ${path}`),
  );
}

interface Layer {
  route?: { path: string; methods: Record<string, boolean> };
}

function routed(): string[] {
  const plays = new PlayService({ pods: { setHooks: () => undefined } } as unknown as PlayHost);
  const routers = [podsRouter({} as PodsBackend), playRouter(plays)];
  // A router keeps its routes there; its types do not say so.
  const layers = routers.flatMap((router) => (router as unknown as { stack: Layer[] }).stack);
  return layers.flatMap(({ route }) => {
    if (route === undefined) return [];
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}');
    const every = route.methods['_all'] === true;
    const own = every ? Object.keys(document.paths[path] ?? {}) : Object.keys(route.methods);
    return own.filter((method) => methods.includes(method)).map((method) => `${method} ${path}`);
  });
}

it('has every route, and no other', () => {
  expect(routed().sort()).toEqual(documented().sort());
});

it('has the schemas that requests are checked by', () => {
  expect(document.components.schemas).toMatchObject(requestSchemas);
});

it('refers to nothing that it has not', () => {
  const text = JSON.stringify(document);
  const refs = [...text.matchAll(/#\/components\/schemas\/(\w+)/g)].map(([, name]) => name ?? '');
  expect(refs.filter((name) => !(name in document.components.schemas))).toEqual([]);
});

it.each([
  [{ name: 'x', containers: [], typo: 1 }, 'invalid PodTemplate: typo: there is no such field'],
  [{ containers: [] }, "invalid PodTemplate: must have required property 'name'"],
  [
    { name: 'x', containers: [{ name: 'a', body: {}, role: 'boss' }] },
    'invalid PodTemplate: containers[0].role must be equal to one of the allowed values: init, sidecar, main',
  ],
  [
    { name: 'x', containers: [{ name: 'a', body: {}, bodi: {} }] },
    'invalid PodTemplate: containers[0].bodi: there is no such field',
  ],
  [
    { name: 'x', portMappings: [{ containerPort: 70_000 }], containers: [{ name: 'a', body: {} }] },
    'invalid PodTemplate: portMappings[0].containerPort must be <= 65535',
  ],
])('refuses %j', (value, message) => {
  expect(() => checkRequest('PodTemplate', value)).toThrow(message);
});

describe('routes', () => {
  const calls: unknown[][] = [];
  const backend = {
    pods: {
      list: (options: object) => [options],
      stop: (...args: unknown[]) => Promise.resolve(void calls.push(args)).then(() => ({ id: 'x' })),
      containerId: (pod: string, name: string) => `${pod}-${name}`,
    },
  } as unknown as PodsBackend;
  const app = express()
    .use(podsRouter(backend))
    .use((req, res) => res.json({ docker: req.url }))
    .use(errorHandler);

  it('parse what they are sent', async () => {
    expect((await request(app).get('/v1/pods?label=a&label=b%3Dc')).body).toEqual([{ labels: ['a', 'b=c'] }]);
    await request(app).post('/v1/pods/web/stop').send({ keepVm: true }).expect(200);
    expect(calls).toEqual([['web', { keepVm: true }]]);
  });

  it('refuse what is no JSON, or more than there is', async () => {
    const stop = () => request(app).post('/v1/pods/web/stop').set('Content-Type', 'application/json');
    expect((await stop().send('{')).body).toMatchObject({ message: expect.stringContaining('no JSON') });
    expect((await stop().send('{"time":1}')).body).toEqual({
      message: 'invalid PodStopRequest: time: there is no such field',
    });
  });

  it("lead on to Docker's for what is a container's", async () => {
    const { body } = await request(app).get('/v1/pods/web/logs?container=a&stdout=1');
    expect(body).toEqual({ docker: '/containers/web-a/logs?container=a&stdout=1' });
    await request(app).get('/v1/pods/web/nosuch').expect(404);
    expect((await request(app).get('/v1.41/info')).body).toEqual({ docker: '/v1.41/info' });
  });
});
