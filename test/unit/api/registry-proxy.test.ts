import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import request from 'supertest';
import { createApi } from '../../../src/api/server';
import { setLogLevel } from '../../../src/log';
import { fakeBackend } from './fake-backend';

let registry: Server;
let target: string;
const seen: IncomingMessage[] = [];

beforeAll(async () => {
  setLogLevel('error');
  registry = createServer((req, res) => {
    seen.push(req);
    res.writeHead(200, { 'Docker-Distribution-Api-Version': 'registry/2.0' }).end('blob');
  }).listen(0, '127.0.0.1');
  await once(registry, 'listening');
  target = `http://127.0.0.1:${String((registry.address() as AddressInfo).port)}`;
});
beforeEach(() => (seen.length = 0));
afterAll(() => registry.close());

function proxied(address: string): ReturnType<typeof createApi> {
  return createApi(fakeBackend(), {
    daemonVersion: '0',
    registryProxy: { target: address, authorization: (path) => Promise.resolve(`Bearer for ${path}`) },
  });
}

test("a pull goes through with the daemon's credentials and none of the client's", async () => {
  const response = await request(proxied(target).app)
    .get('/v2/a/blobs/x?y=1')
    .set('Authorization', 'Basic c2VjcmV0')
    .set('Cookie', 'a=b')
    .buffer()
    .expect(200);
  expect(response.headers['docker-distribution-api-version']).toBe('registry/2.0');
  expect(seen[0]?.url).toBe('/v2/a/blobs/x?y=1');
  expect(seen[0]?.headers.authorization).toBe('Bearer for /v2/a/blobs/x');
  expect(seen[0]?.headers.cookie).toBeUndefined();
});

test.each(['post', 'put', 'delete', 'patch'] as const)('%s is refused', async (method) => {
  const response = await request(proxied(target).app)[method]('/v2/a/blobs/uploads/').expect(405);
  expect(response.body).toEqual({
    errors: [{ code: 'UNSUPPORTED', message: 'the registry is read-only here' }],
  });
  expect(seen).toEqual([]);
});

test('a registry that cannot be reached: 502', async () => {
  const written = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  await request(proxied('http://127.0.0.1:1').app).get('/v2/').expect(502);
  written.mockRestore();
});

test('other paths are the API', async () => {
  await request(proxied(target).app).get('/_ping').expect(200, 'OK');
  await request(proxied(target).app).get('/v1.41/version').expect(200);
});
