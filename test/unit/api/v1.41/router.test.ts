import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import request from 'supertest';
import { createApi } from '../../../../src/api/server';
import { DaemonError, type ErrorCode } from '../../../../src/errors';
import { setLogLevel } from '../../../../src/log';
import { fakeBackend } from '../fake-backend';
import { operations } from './operations';

const backend = fakeBackend();
const { app } = createApi(backend, { daemonVersion: '1.2.3' });

beforeAll(() => setLogLevel('error'));
beforeEach(() => jest.clearAllMocks());

function send(method: string, path: string): request.Test {
  const verb = method.toLowerCase() as 'get' | 'post' | 'put' | 'delete' | 'head';
  return request(app)[verb](path);
}

describe('every operation of API 1.41', () => {
  const documentation = readFileSync(join(__dirname, '../../../../docs/compatibility.md'), 'utf8');

  // Without a body or parameters many answer an error of their own; none may be unknown to the router.
  test.each(operations)('%s is routed', async (_id, method, path) => {
    const verb = method.toLowerCase() as 'get';
    const response = await request(app)[verb](`/v1.41${path.replace(/\{\w+\}/g, 'x')}`);
    expect(response.status === 404 && response.text.includes('page not found')).toBe(false);
    if (method === 'HEAD') expect(response.status).not.toBe(404);
  });

  test.each(operations)('%s has its line in docs/compatibility.md', (id) => {
    expect(documentation).toMatch(new RegExp(`^\\| ${id} +\\|.*\\| (yes|partly|no) +\\|`, 'm'));
  });

  test('the table names each of them once', () => {
    expect(new Set(operations.map(([id]) => id)).size).toBe(operations.length);
    expect(operations).toHaveLength(106);
  });
});

test.each([
  [undefined, undefined],
  ['classic', '1'],
  ['buildkit', '2'],
] as const)('of the builder %s the ping says %s', async (preferredBuilder, version) => {
  const own = createApi(backend, {
    daemonVersion: '1.2.3',
    ...(preferredBuilder === undefined ? {} : { preferredBuilder }),
  });
  const { headers } = await request(own.app).head('/_ping').expect(200);
  expect(headers['builder-version']).toBe(version);
});

describe('what is the same everywhere', () => {
  test('identity headers as dockerd sends them', async () => {
    const response = await send('GET', '/version').expect(200);
    expect(response.headers).toMatchObject({
      'api-version': '1.44',
      'docker-experimental': 'false',
      ostype: 'linux',
      server: 'Caisson/1.2.3 (linux)',
      'content-type': 'application/json',
    });
    expect(response.headers).not.toHaveProperty('x-powered-by');
    expect(response.headers).not.toHaveProperty('etag');
    expect(response.text).toBe('{"Version":"0"}\n');
  });

  test.each([
    ['GET', '/nosuch'],
    ['GET', '/v1.41/nosuch'],
    ['GET', '/v1.41/'],
    ['GET', '/'],
    ['GET', '/version/'],
    ['GET', '/Version'],
    ['PUT', '/containers/create'],
    ['PATCH', '/version'],
    ['POST', '/containers/x/json'],
    ['GET', '/v2/'],
    ['GET', '/v2/library/x/manifests/latest'],
  ])('%s %s: 404 page not found', async (method, path) => {
    const response = await request(app)[method.toLowerCase() as 'get'](path).expect(404);
    expect(response.text).toBe('{"message":"page not found"}\n');
  });

  test('HEAD only where the API has it', async () => {
    await send('HEAD', '/version').expect(404);
    await send('HEAD', '/containers/json').expect(404);
    await send('HEAD', '/_ping').expect(200);
    expect(backend.containers.list).not.toHaveBeenCalled();
  });

  test('OPTIONS: an empty 200', async () => {
    await request(app).options('/nosuch').expect(200, '');
  });

  test.each([
    '/v1.12/version',
    '/v1.24/version',
    '/v1.41/version',
    '/v01.41/version',
    '/v1.48/version',
    '/version',
  ])('%s is served', (path) => send('GET', path).expect(200));

  test.each(['1.49', '1.9999', '2.0', '3'])('version %s is too new', async (version) => {
    await send('GET', `/v${version}/version`).expect(400, {
      message: `client version ${version} is too new. Maximum supported API version is 1.48`,
    });
  });

  test('version 1.11 is too old, which is told in text', async () => {
    const response = await send('GET', '/v1.11/version').expect(400);
    expect(response.headers['content-type']).toBe('text/plain; charset=utf-8');
    expect(response.text).toBe(
      'client version 1.11 is too old. Minimum supported API version is 1.12, please upgrade your client to a newer version\n',
    );
  });

  test.each([
    ['1.23', 'text/plain; charset=utf-8', 'page not found\n'],
    ['1.24', 'application/json', '{"message":"page not found"}\n'],
  ])('errors of version %s are %s', async (version, type, body) => {
    const response = await send('GET', `/v${version}/no/such`).expect(404);
    expect([response.headers['content-type'], response.text]).toEqual([type, body]);
  });

  test('an unclean path is redirected', async () => {
    const response = await send('GET', '/v1.41//containers/../version?x=//').expect(301);
    expect(response.headers['location']).toBe('/v1.41/version?x=//');
  });

  test('a path that cannot be decoded', () => send('GET', '/containers/%zz/json').expect(400));
});

describe('errors', () => {
  test.each<[ErrorCode, number]>([
    ['InvalidParameter', 400],
    ['Unauthorized', 401],
    ['Forbidden', 403],
    ['NotFound', 404],
    ['NotAcceptable', 406],
    ['Conflict', 409],
    ['TooLarge', 413],
    ['Internal', 500],
    ['NotImplemented', 501],
    ['Unavailable', 503],
  ])('%s is %d with the message', async (code, status) => {
    backend.containers.inspect.mockRejectedValueOnce(new DaemonError(code, 'why <&> "not"'));
    const response = await send('GET', '/containers/x/json').expect(status);
    expect(response.text).toBe('{"message":"why <&> \\"not\\""}\n');
    expect(response.headers['content-type']).toBe('application/json');
  });

  test('NotModified is 304 without a body', async () => {
    backend.containers.start.mockRejectedValueOnce(new DaemonError('NotModified', ''));
    const response = await send('POST', '/containers/x/start').expect(304);
    expect(response.text).toBe('');
  });

  test('anything else is 500, logged with its stack', async () => {
    const written = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    backend.containers.inspect.mockRejectedValueOnce(new TypeError('oops'));
    await send('GET', '/containers/x/json').expect(500, { message: 'oops' });
    const logged = written.mock.calls.join('');
    written.mockRestore();
    expect(logged).toContain('level=error');
    expect(logged).toContain('router.test.ts');
  });
});

test('a client that leaves in the middle of its request is a line without a stack', async () => {
  const written = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  setLogLevel('info');
  for (const code of ['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'ABORT_ERR']) {
    backend.containers.inspect.mockRejectedValueOnce(Object.assign(new Error('gone'), { code }));
    await send('GET', '/containers/x/json').expect(500);
  }
  setLogLevel('warn');
  const logged = written.mock.calls.map(([line]) => String(line));
  written.mockRestore();
  expect(logged).toHaveLength(4);
  for (const line of logged)
    expect(line).toMatch(/level=info msg="the client has left" method=GET path=\S+ message=gone\n$/);
});

describe('SystemPing', () => {
  const headers = {
    'cache-control': 'no-cache, no-store, must-revalidate',
    pragma: 'no-cache',
    'content-type': 'text/plain; charset=utf-8',
    'api-version': '1.44',
  };

  test('GET: OK', async () => {
    const response = await send('GET', '/_ping').expect(200);
    expect(response.text).toBe('OK');
    expect(response.headers).toMatchObject({ ...headers, 'content-length': '2' });
  });

  test('HEAD: headers alone', async () => {
    const response = await send('HEAD', '/v1.41/_ping').expect(200);
    expect(response.headers).toMatchObject({ ...headers, 'content-length': '0' });
  });
});

describe('operations the engine does not have answer 501', () => {
  test('plugins', async () => {
    const response = await request(app).post('/plugins/pull?remote=x').expect(501);
    expect(response.body).toEqual({ message: expect.stringContaining('not supported by Caisson') });
  });

  test('swarm mode', async () => {
    await request(app).post('/swarm/init').send({}).expect(501);
  });

  test('a prune of the build cache there is not finds nothing', async () => {
    await request(app).post('/build/prune').expect(200, { CachesDeleted: null, SpaceReclaimed: 0 });
  });
});
