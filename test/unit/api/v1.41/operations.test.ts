// One describe per resource: what a request becomes in the backend, and what its answer becomes on the wire.

import { Readable } from 'node:stream';
import request from 'supertest';
import { createApi } from '../../../../src/api/server';
import { DaemonError } from '../../../../src/errors';
import { setLogLevel } from '../../../../src/log';
import { fakeBackend, from } from '../fake-backend';

const backend = fakeBackend();
const { app } = createApi(backend, { daemonVersion: '0' });

beforeAll(() => setLogLevel('error'));
beforeEach(() => jest.clearAllMocks());

type Verb = 'get' | 'post' | 'put' | 'delete' | 'head';
type Call = [mock: jest.Mock, ...args: unknown[]];

const signal = expect.any(AbortSignal);
const progress = expect.any(Function);
const none = new Map();
const auth = Buffer.from('{"username":"u","password":"p"}').toString('base64url');

/** The response with its body as latin1 text in `body`, whatever its type. */
function asText(test: request.Test): request.Test {
  return test.buffer().parse((res, done) => {
    let text = '';
    res.on('data', (part: Buffer) => (text += part.toString('latin1')));
    res.on('end', () => done(null, text));
  });
}

/** request, expected status, expected body ('' for none), expected backend call */
const cases: [string, [Verb, string, object?], number, unknown, Call][] = [
  [
    'ContainerList',
    ['get', '/containers/json'],
    200,
    [],
    [backend.containers.list, { all: false, limit: 0, size: false, filters: none }],
  ],
  [
    'ContainerList with everything',
    [
      'get',
      `/containers/json?all=1&limit=3&size=true&filters=${encodeURIComponent('{"status":["exited"],"label":["a=b","c"]}')}`,
    ],
    200,
    [],
    [
      backend.containers.list,
      {
        all: true,
        limit: 3,
        size: true,
        filters: new Map([
          ['status', ['exited']],
          ['label', ['a=b', 'c']],
        ]),
      },
    ],
  ],
  [
    'ContainerList with filters as maps',
    ['get', `/containers/json?all=no&filters=${encodeURIComponent('{"name":{"a":true,"b":false}}')}`],
    200,
    [],
    [
      backend.containers.list,
      { all: false, limit: 0, size: false, filters: new Map([['name', ['a', 'b']]]) },
    ],
  ],
  [
    'ContainerCreate',
    [
      'post',
      '/v1.43/containers/create?name=web&platform=linux/amd64',
      { Image: 'busybox', Cmd: 'true', Labels: null, New: 1 },
    ],
    201,
    { Id: 'c0ffee', Warnings: [] },
    [
      backend.containers.create,
      { Image: 'busybox', Cmd: ['true'] },
      { name: 'web', platform: 'linux/amd64', version: { major: 1, minor: 43 } },
    ],
  ],
  [
    'ContainerCreate without regard to case, known newer fields kept',
    [
      'post',
      '/containers/create',
      {
        image: 'busybox',
        hostconfig: {
          MEMORY: 4096,
          annotations: { a: 'b' },
          Mounts: [{ Type: 'bind', BindOptions: { CreateMountpoint: true } }],
          Init: null,
        },
        NetworkingConfig: { EndpointsConfig: { n: { GwPriority: 1, DNSNames: null }, m: null } },
        Healthcheck: { StartInterval: 5 },
      },
    ],
    201,
    { Id: 'c0ffee', Warnings: [] },
    [
      backend.containers.create,
      {
        Image: 'busybox',
        HostConfig: {
          Memory: 4096,
          Annotations: { a: 'b' },
          Mounts: [{ Type: 'bind', BindOptions: { CreateMountpoint: true } }],
        },
        NetworkingConfig: { EndpointsConfig: { n: { GwPriority: 1 }, m: {} } },
        Healthcheck: { StartInterval: 5 },
      },
      { version: { major: 1, minor: 41 } },
    ],
  ],
  [
    'ContainerInspect',
    ['get', '/containers/web/json?size=1'],
    200,
    { Id: 'c0ffee' },
    [backend.containers.inspect, 'web', { size: true }],
  ],
  [
    'ContainerTop',
    ['get', '/containers/web/top'],
    200,
    { Processes: [], Titles: [] },
    [backend.containers.top, 'web', '-ef'],
  ],
  [
    'ContainerTop with arguments',
    ['get', '/containers/web/top?ps_args=aux'],
    200,
    { Processes: [], Titles: [] },
    [backend.containers.top, 'web', 'aux'],
  ],
  [
    'ContainerResize',
    ['post', '/containers/web/resize?h=24&w=80'],
    200,
    '',
    [backend.containers.resize, 'web', { rows: 24, columns: 80 }],
  ],
  ['ContainerStart', ['post', '/containers/web/start'], 204, '', [backend.containers.start, 'web', {}]],
  [
    'ContainerStart with an empty object',
    ['post', '/containers/web/start?detachKeys=a', {}],
    204,
    '',
    [backend.containers.start, 'web', { detachKeys: 'a' }],
  ],
  ['ContainerStop', ['post', '/containers/web/stop'], 204, '', [backend.containers.stop, 'web', {}]],
  [
    'ContainerStop with a timeout',
    ['post', '/containers/web/stop?t=-1&signal=INT'],
    204,
    '',
    [backend.containers.stop, 'web', { timeoutSeconds: -1, signal: 'INT' }],
  ],
  [
    'ContainerRestart',
    ['post', '/containers/web/restart?t=5'],
    204,
    '',
    [backend.containers.restart, 'web', { timeoutSeconds: 5 }],
  ],
  [
    'ContainerKill',
    ['post', '/containers/web/kill?signal=USR1'],
    204,
    '',
    [backend.containers.kill, 'web', { signal: 'USR1' }],
  ],
  [
    'ContainerUpdate',
    ['post', '/containers/web/update', { Memory: 1, Binds: ['x'] }],
    200,
    { Warnings: null },
    [backend.containers.update, 'web', { Memory: 1 }],
  ],
  [
    'ContainerRename',
    ['post', '/containers/web/rename?name=new'],
    204,
    '',
    [backend.containers.rename, 'web', 'new'],
  ],
  ['ContainerPause', ['post', '/containers/web/pause'], 204, '', [backend.containers.pause, 'web']],
  ['ContainerUnpause', ['post', '/containers/web/unpause'], 204, '', [backend.containers.unpause, 'web']],
  [
    'ContainerDelete',
    ['delete', '/containers/web?v=1&force=1&link=0'],
    204,
    '',
    [backend.containers.remove, 'web', { force: true, volumes: true, link: false }],
  ],
  [
    'ContainerPrune',
    ['post', '/containers/prune'],
    200,
    { ContainersDeleted: null, SpaceReclaimed: 0 },
    [backend.containers.prune, none],
  ],
  [
    'ContainerExec',
    ['post', '/containers/web/exec', { Cmd: ['a'], AttachStdout: true }],
    201,
    { Id: 'e0' },
    [backend.exec.create, 'web', { Cmd: ['a'], AttachStdout: true }],
  ],
  ['ExecInspect', ['get', '/exec/e0/json'], 200, { ID: 'e0' }, [backend.exec.inspect, 'e0']],
  [
    'ExecResize',
    ['post', '/exec/e0/resize?h=1&w=2'],
    200,
    '',
    [backend.exec.resize, 'e0', { rows: 1, columns: 2 }],
  ],
  [
    'ImageList',
    ['get', '/images/json?all=1&digests=1'],
    200,
    [],
    [backend.images.list, { all: true, digests: true, filters: none }],
  ],
  [
    'ImageList with the old filter',
    ['get', '/v1.40/images/json?filter=busy*'],
    200,
    [],
    [backend.images.list, { all: false, digests: false, filters: new Map([['reference', ['busy*']]]) }],
  ],
  [
    'ImageInspect',
    ['get', '/images/127.0.0.1:5000/a/b:1/json'],
    200,
    { Id: 'sha256:0' },
    [backend.images.inspect, '127.0.0.1:5000/a/b:1'],
  ],
  [
    'ImageInspect by an escaped name',
    ['get', '/images/a%2Fb@sha256:00/json'],
    200,
    { Id: 'sha256:0' },
    [backend.images.inspect, 'a/b@sha256:00'],
  ],
  ['ImageHistory', ['get', '/images/a/b/history'], 200, [], [backend.images.history, 'a/b']],
  [
    'ImageTag',
    ['post', '/images/a/tag?repo=r/x&tag=1'],
    201,
    '',
    [backend.images.tag, 'a', { repo: 'r/x', tag: '1' }],
  ],
  [
    'ImageDelete',
    ['delete', '/images/r/a:1?force=1'],
    200,
    [{ Untagged: 'x:latest' }],
    [backend.images.remove, 'r/a:1', { force: true, noprune: false }],
  ],
  [
    'ImagePrune',
    ['post', `/images/prune?filters=${encodeURIComponent('{"dangling":{"true":true}}')}`],
    200,
    { ImagesDeleted: null, SpaceReclaimed: 0 },
    [backend.images.prune, new Map([['dangling', ['true']]])],
  ],
  [
    'ImageSearch',
    ['get', '/images/search?term=x'],
    200,
    [],
    [backend.images.search, 'x', { limit: 25, filters: none }],
  ],
  [
    'ImageCommit',
    [
      'post',
      '/commit?container=web&repo=r&tag=t&author=me&comment=c&pause=0&changes=ENV%20A=1&changes=USER%20x',
      { Cmd: ['a'] },
    ],
    201,
    { Id: 'sha256:1' },
    [
      backend.images.commit,
      {
        container: 'web',
        repo: 'r',
        tag: 't',
        author: 'me',
        comment: 'c',
        pause: false,
        changes: ['ENV A=1', 'USER x'],
        config: { Cmd: ['a'] },
      },
    ],
  ],
  [
    'ImageCommit without a body',
    ['post', '/commit?container=web'],
    201,
    { Id: 'sha256:1' },
    [
      backend.images.commit,
      { container: 'web', repo: '', tag: '', author: '', comment: '', pause: true, changes: [], config: {} },
    ],
  ],
  [
    'DistributionInspect',
    ['get', '/distribution/a/b/json'],
    200,
    {},
    [backend.images.distribution, 'a/b', undefined],
  ],
  [
    'BuildPrune',
    ['post', '/build/prune?all=1&keep-storage=5'],
    200,
    { CachesDeleted: null, SpaceReclaimed: 0 },
    [backend.images.pruneBuildCache, { all: true, keepStorage: 5, filters: none }],
  ],
  ['NetworkList', ['get', '/networks'], 200, [], [backend.networks.list, none]],
  [
    'NetworkInspect',
    ['get', '/networks/n?verbose=true&scope=local'],
    200,
    { Name: 'n' },
    [backend.networks.inspect, 'n', { verbose: true, scope: 'local' }],
  ],
  [
    'NetworkCreate',
    ['post', '/networks/create', { Name: 'n', IPAM: { Config: [{ Subnet: '10.0.0.0/8' }] } }],
    201,
    { Id: 'n0', Warning: '' },
    [backend.networks.create, { Name: 'n', IPAM: { Config: [{ Subnet: '10.0.0.0/8' }] } }],
  ],
  [
    'NetworkConnect',
    ['post', '/networks/n/connect', { Container: 'web', EndpointConfig: {} }],
    200,
    '',
    [backend.networks.connect, 'n', { Container: 'web', EndpointConfig: {} }],
  ],
  [
    'NetworkDisconnect',
    ['post', '/networks/n/disconnect', { Container: 'web', Force: true }],
    200,
    '',
    [backend.networks.disconnect, 'n', { Container: 'web', Force: true }],
  ],
  ['NetworkDelete', ['delete', '/networks/n'], 204, '', [backend.networks.remove, 'n']],
  [
    'NetworkPrune',
    ['post', '/networks/prune'],
    200,
    { NetworksDeleted: null },
    [backend.networks.prune, none],
  ],
  ['VolumeList', ['get', '/volumes'], 200, { Volumes: [], Warnings: null }, [backend.volumes.list, none]],
  ['VolumeInspect', ['get', '/volumes/v'], 200, { Name: 'v' }, [backend.volumes.inspect, 'v']],
  [
    'VolumeCreate',
    ['post', '/volumes/create', { Name: 'v', Labels: { a: 'b' } }],
    201,
    { Name: 'v' },
    [backend.volumes.create, { Name: 'v', Labels: { a: 'b' } }],
  ],
  ['VolumeDelete', ['delete', '/volumes/v?force=1'], 204, '', [backend.volumes.remove, 'v', { force: true }]],
  [
    'VolumePrune',
    ['post', '/volumes/prune'],
    200,
    { VolumesDeleted: null, SpaceReclaimed: 0 },
    [backend.volumes.prune, none],
  ],
  ['SystemInfo', ['get', '/info'], 200, { ID: 'id' }, [backend.system.info]],
  ['SystemVersion', ['get', '/version'], 200, { Version: '0' }, [backend.system.version]],
  [
    'SystemAuth',
    ['post', '/auth', { username: 'u', password: 'p', serveraddress: 's' }],
    200,
    { IdentityToken: '', Status: 'Login Succeeded' },
    [backend.system.auth, { username: 'u', password: 'p', serveraddress: 's' }],
  ],
  ['SystemDataUsage', ['get', '/system/df'], 200, { LayersSize: 0 }, [backend.system.diskUsage]],
];

describe.each(cases)('%s', (_name, [verb, path, body], status, answer, [mock, ...args]) => {
  function perform(): request.Test {
    const test = request(app)[verb](path);
    return body === undefined ? test : test.set('Content-Type', 'application/json').send(body);
  }

  test(`${String(status)}: one call of the backend`, async () => {
    const response = await perform();
    expect(response.status).toBe(status);
    expect(mock.mock.calls).toEqual([args]);
    if (answer === '') expect(response.text).toBe('');
    else expect(response.text).toBe(`${JSON.stringify(answer)}\n`);
  });

  test('its error becomes the reply', async () => {
    mock.mockRejectedValueOnce(new DaemonError('NotFound', 'No such thing'));
    const response = await perform();
    expect([response.status, response.body]).toEqual([404, { message: 'No such thing' }]);
  });
});

describe('ContainerStart', () => {
  test('400 with a body', async () => {
    const response = await request(app).post('/containers/x/start').send({ Binds: [] }).expect(400);
    expect((response.body as { message: string }).message).toMatch(
      /^starting container with non-empty request body/,
    );
  });
});

describe('content types of JSON bodies', () => {
  const message = (type: string) => ({
    message: `Content-Type specified (${type}) must be 'application/json'`,
  });

  test.each(['text/plain', 'application/x-tar', ''])('%p: 400', async (type) => {
    const sent = request(app).post('/volumes/create').set('Content-Type', type).send('{"Name":"v"}');
    if (type === '') sent.unset('Content-Type').serialize(String);
    const response = await sent;
    expect(response.status).toBe(type === '' ? response.status : 400);
    if (type !== '') expect(response.body).toEqual(message(type));
  });

  test('parameters are allowed', async () => {
    await request(app)
      .post('/volumes/create')
      .set('Content-Type', 'Application/JSON; charset=utf-8')
      .send('{}')
      .expect(201);
  });

  test('what follows the JSON value is ignored', async () => {
    await request(app)
      .post('/volumes/create')
      .set('Content-Type', 'application/json')
      .send('{"Name":"v"} x')
      .expect(201);
    expect(backend.volumes.create).toHaveBeenCalledWith({ Name: 'v' });
  });

  test('keys that mean something to JavaScript mean nothing here', async () => {
    const labels = '{"__proto__":"a","constructor":"b","toString":"c"}';
    await request(app)
      .post('/volumes/create')
      .set('Content-Type', 'application/json')
      .send(`{"__proto__":{"Name":"x"},"Labels":${labels}}`)
      .expect(201);
    const [body] = backend.volumes.create.mock.calls[0] as [{ Labels: object }];
    expect(JSON.stringify(body)).toBe(`{"Labels":${labels}}`);
    expect(Object.getPrototypeOf(body.Labels)).toBe(Object.prototype);
  });

  test('413 past the limit', async () => {
    const response = await request(app)
      .post('/volumes/create')
      .set('Content-Type', 'application/json')
      .send(`{"Name":"${'x'.repeat(16 * 2 ** 20)}"}`)
      .catch((error: unknown) => error); // the server may close before all is sent
    if (response !== null && typeof response === 'object' && 'status' in response)
      expect(response.status).toBe(413);
    expect(backend.volumes.create).not.toHaveBeenCalled();
  });
});

describe('ImageCreate', () => {
  test('200: a pull, line by line as dockerd writes it', async () => {
    backend.images.pull.mockImplementationOnce((_options: object, send: (line: object) => void) => {
      send({ id: 'latest', status: 'Pulling from library/x' });
      send({
        id: 'abc',
        progress: '[=>  ]',
        progressDetail: { current: 1, total: 2 },
        status: 'Downloading',
      });
      return Promise.resolve();
    });
    const response = await asText(
      request(app).post('/images/create?fromImage=x&tag=latest').set('X-Registry-Auth', auth).expect(200),
    );
    expect(response.headers['content-type']).toBe('application/json');
    expect(response.body).toBe(
      '{"status":"Pulling from library/x","id":"latest"}\r\n' +
        '{"status":"Downloading","progressDetail":{"current":1,"total":2},"progress":"[=\\u003e  ]","id":"abc"}\r\n',
    );
    const options = { fromImage: 'x', tag: 'latest', auth: { username: 'u', password: 'p' } };
    expect(backend.images.pull).toHaveBeenCalledWith(options, progress, signal);
  });

  test('404: an error before the first line is a status', async () => {
    backend.images.pull.mockRejectedValueOnce(new DaemonError('NotFound', 'manifest unknown'));
    await request(app).post('/images/create?fromImage=x').expect(404, { message: 'manifest unknown' });
  });

  test('200: an error after it is a line', async () => {
    backend.images.pull.mockImplementationOnce((_options: object, send: (line: object) => void) => {
      send({ status: 'Pulling' });
      return Promise.reject(new Error('unexpected EOF'));
    });
    const response = await asText(request(app).post('/images/create?fromImage=x').expect(200));
    expect(response.body).toBe(
      '{"status":"Pulling"}\r\n{"errorDetail":{"message":"unexpected EOF"},"error":"unexpected EOF"}\r\n',
    );
  });

  test('credentials that cannot be read count as none', async () => {
    await request(app).post('/images/create?fromImage=x').set('X-Registry-Auth', '!!!').expect(200);
    expect(backend.images.pull.mock.calls[0]?.[0]).toEqual({ fromImage: 'x', tag: '' });
  });

  test('200: an import of the body', async () => {
    let received = '';
    backend.images.importImage.mockImplementationOnce(async (_options: object, body: Readable) => {
      for await (const part of body) received += String(part);
    });
    await request(app)
      .post('/images/create?fromSrc=-&repo=r&tag=t&message=m&changes=CMD%20a&changes=USER%20b&platform=linux')
      .set('Content-Type', 'text/plain')
      .send('a tar')
      .expect(200);
    expect(received).toBe('a tar');
    expect(backend.images.importImage.mock.calls[0]?.[0]).toEqual({
      fromSrc: '-',
      repo: 'r',
      tag: 't',
      message: 'm',
      changes: ['CMD a', 'USER b'],
      platform: 'linux',
    });
  });
});

describe('ImageLoad', () => {
  test('200: errors are always lines', async () => {
    backend.images.load.mockRejectedValueOnce(new Error('bad archive'));
    const response = await request(app).post('/images/load').send('x').expect(200);
    expect(response.text).toBe('{"errorDetail":{"message":"bad archive"},"error":"bad archive"}\r\n');
    expect(backend.images.load.mock.calls[0]?.[1]).toEqual({ quiet: true });
  });

  test('quiet=0', async () => {
    await request(app).post('/images/load?quiet=0').send('x').expect(200);
    expect(backend.images.load.mock.calls[0]?.[1]).toEqual({ quiet: false });
  });
});

describe('ImagePush', () => {
  test('200 with credentials', async () => {
    await request(app).post('/images/r/x/push?tag=1').set('X-Registry-Auth', auth).expect(200);
    const options = { tag: '1', auth: { username: 'u', password: 'p' } };
    expect(backend.images.push).toHaveBeenCalledWith('r/x', options, progress, signal);
  });

  test('credentials in the body', async () => {
    await request(app).post('/images/x/push').send({ username: 'b' }).expect(200);
    expect(backend.images.push.mock.calls[0]?.[1]).toEqual({ tag: '', auth: { username: 'b' } });
  });
});

describe('ImageBuild', () => {
  test('200: the query by its names, credentials by server', async () => {
    const config = Buffer.from('{"r:5000":{"username":"u"}}').toString('base64');
    await request(app).post('/build?t=a&t=b').set('X-Registry-Config', config).send('tar').expect(200);
    const [options] = backend.images.build.mock.calls[0] as [{ query: URLSearchParams; auths: object }];
    expect(options.query.getAll('t')).toEqual(['a', 'b']);
    expect(options.auths).toEqual({ 'r:5000': { username: 'u' } });
  });
});

describe.each([
  ['ImageGet', '/images/a/b:1/get', backend.images.save, [['a/b:1'], signal], 'application/x-tar'],
  [
    'ImageGetAll',
    '/images/get?names=a&names=b',
    backend.images.save,
    [['a', 'b'], signal],
    'application/x-tar',
  ],
  [
    'ContainerExport',
    '/containers/web/export',
    backend.containers.export,
    ['web', signal],
    'application/octet-stream',
  ],
])('%s', (_name, path, mock, args: unknown[], type) => {
  test('200: a tar', async () => {
    mock.mockResolvedValueOnce(Readable.from([Buffer.from('tar'), Buffer.from('red')]));
    const response = await asText(request(app).get(path));
    expect([response.status, response.body]).toEqual([200, 'tarred']);
    expect(response.headers['content-type']).toBe(type);
    expect(mock).toHaveBeenCalledWith(...args);
  });

  test('404', async () => {
    mock.mockRejectedValueOnce(new DaemonError('NotFound', 'No such image'));
    await request(app).get(path).expect(404);
  });
});

describe('archives', () => {
  const stat = { name: 'a', size: 1, mode: 420, mtime: '2020-01-01T00:00:00Z', linkTarget: '' };
  const encoded = Buffer.from(JSON.stringify(stat)).toString('base64');

  test('ContainerArchiveInfo: 200 with the header', async () => {
    backend.containers.archiveStat.mockResolvedValueOnce(stat);
    const response = await request(app).head('/containers/web/archive?path=/a').expect(200);
    expect(response.headers['x-docker-container-path-stat']).toBe(encoded);
    expect(backend.containers.archiveStat).toHaveBeenCalledWith('web', '/a');
  });

  test('ContainerArchiveInfo: 404', async () => {
    backend.containers.archiveStat.mockRejectedValueOnce(new DaemonError('NotFound', 'x'));
    await request(app).head('/containers/web/archive?path=/a').expect(404);
  });

  test('ContainerArchive: 200', async () => {
    backend.containers.archiveGet.mockResolvedValueOnce({ stat, archive: Readable.from(['tar']) });
    const response = await request(app).get('/containers/web/archive?path=/a').expect(200);
    expect(response.headers).toMatchObject({
      'x-docker-container-path-stat': encoded,
      'content-type': 'application/x-tar',
    });
  });

  test('PutContainerArchive: 200', async () => {
    let received = '';
    backend.containers.archivePut.mockImplementationOnce(
      async (_ref: string, _path: string, body: Readable) => {
        for await (const part of body) received += String(part);
      },
    );
    await request(app)
      .put('/containers/web/archive?path=/a&noOverwriteDirNonDir=1&copyUIDGID=1')
      .send('tar')
      .expect(200);
    expect(received).toBe('tar');
    expect(backend.containers.archivePut.mock.calls[0]?.[3]).toEqual({
      noOverwriteDirNonDir: true,
      copyUidGid: true,
    });
  });
});

describe('ContainerLogs', () => {
  const lines = [
    { stream: 'stdout', data: Buffer.from('a\n'), more: true },
    { stream: 'stderr', data: Buffer.from('b\n') },
    { stream: 'stdout', data: Buffer.from('c\n'), more: true },
  ] as const;

  test('200 in frames, without a type before 1.42', async () => {
    backend.containers.logs.mockResolvedValueOnce({ terminal: false, lines: from(lines) });
    const response = await asText(
      request(app)
        .get(
          '/v1.41/containers/web/logs?stdout=1&stderr=1&follow=1&timestamps=1&tail=7&since=1.5&until=1970-01-01T00:00:02Z',
        )
        .expect(200),
    );
    expect(response.headers).not.toHaveProperty('content-type');
    expect(response.headers['transfer-encoding']).toBe('chunked');
    expect(response.body).toBe('\x01\0\0\0\0\0\0\x02a\n\x02\0\0\0\0\0\0\x02b\n\x01\0\0\0\0\0\0\x02c\n');
    expect(backend.containers.logs).toHaveBeenCalledWith(
      'web',
      {
        stdout: true,
        stderr: true,
        follow: true,
        timestamps: true,
        details: false,
        tail: 7,
        sinceMs: 1500,
        untilMs: 2000,
      },
      signal,
    );
  });

  test.each([
    [true, 'application/vnd.docker.raw-stream'],
    [false, 'application/vnd.docker.multiplexed-stream'],
  ])('from 1.42 on with terminal %p: %s', async (terminal, type) => {
    backend.containers.logs.mockResolvedValueOnce({ terminal, lines: from(lines) });
    const response = await asText(request(app).get('/v1.42/containers/web/logs?stdout=1').expect(200));
    expect(response.headers['content-type']).toBe(type);
    if (terminal) expect(response.body).toBe('a\nb\nc\n');
  });

  test.each(['all', 'x', '-5', ''])('tail=%s is all', async (tail) => {
    await request(app).get(`/containers/web/logs?stderr=1&tail=${tail}`).expect(200);
    expect(backend.containers.logs.mock.calls[0]?.[1]).not.toHaveProperty('tail');
  });

  test('404', async () => {
    backend.containers.logs.mockRejectedValueOnce(new DaemonError('NotFound', 'No such container: x'));
    await request(app).get('/containers/x/logs?stdout=1').expect(404);
  });
});

describe('ContainerStats', () => {
  test('200: one sample', async () => {
    const response = await request(app).get('/containers/web/stats?stream=0').expect(200);
    expect(response.text).toBe('{"read":"now"}\n');
    expect(response.headers['content-length']).toBe('15');
    expect(backend.containers.stats).toHaveBeenCalledWith('web', { stream: false, oneShot: false }, signal);
  });

  test('200: a stream by default', async () => {
    backend.containers.stats.mockResolvedValueOnce(from([{ n: 1 }, { n: 2 }]));
    const response = await asText(request(app).get('/containers/web/stats'));
    expect(response.body).toBe('{"n":1}\n{"n":2}\n');
  });

  test('404', async () => {
    backend.containers.stats.mockRejectedValueOnce(new DaemonError('NotFound', 'x'));
    await request(app).get('/containers/x/stats').expect(404);
  });
});

describe('ContainerWait', () => {
  test.each([
    ['', 'not-running'],
    ['?condition=not-running', 'not-running'],
    ['?condition=next-exit', 'next-exit'],
    ['?condition=removed', 'removed'],
    ['?condition=foo', 'not-running'],
  ])('200 for %p', async (query, condition) => {
    const response = await request(app).post(`/containers/web/wait${query}`).expect(200);
    expect(response.text).toBe('{"Error":null,"StatusCode":0}\n');
    expect(response.headers['content-type']).toBe('application/json');
    expect(backend.containers.wait).toHaveBeenCalledWith('web', condition, signal);
  });

  test('a wait that fails later says so in the body', async () => {
    backend.containers.wait.mockResolvedValueOnce({ exit: Promise.reject(new Error('lost')) });
    const response = await request(app).post('/containers/web/wait').expect(200);
    expect(response.text).toBe('{"Error":{"Message":"lost"},"StatusCode":-1}\n');
  });

  test('404', async () => {
    backend.containers.wait.mockRejectedValueOnce(new DaemonError('NotFound', 'x'));
    await request(app).post('/containers/x/wait').expect(404);
  });
});

describe('SystemEvents', () => {
  test('200: one line each, nanoseconds exact', async () => {
    backend.system.events.mockResolvedValueOnce(
      from([
        {
          timeNano: 1795239138463639424n,
          time: 1795239138,
          scope: 'local',
          Actor: { ID: 'c', Attributes: { image: 'x' } },
          Action: 'start',
          Type: 'container',
          from: 'x',
          id: 'c',
          status: 'start',
        },
      ]),
    );
    const response = await asText(request(app).get('/events?since=1.5&until=10m'));
    expect(response.body).toBe(
      '{"status":"start","id":"c","from":"x","Type":"container","Action":"start",' +
        '"Actor":{"ID":"c","Attributes":{"image":"x"}},"scope":"local","time":1795239138,"timeNano":1795239138463639424}\n',
    );
    const [range] = backend.system.events.mock.calls[0] as [{ sinceNs: bigint; untilNs: bigint }];
    expect(range.sinceNs).toBe(1_500_000_000n);
    expect(Number(range.untilNs) / 1e6).toBeCloseTo(Date.now() - 600_000, -5);
  });

  test('any filter is passed on', async () => {
    await request(app)
      .get(`/events?filters=${encodeURIComponent('{"foo":["a"]}')}`)
      .expect(200);
    expect(backend.system.events).toHaveBeenCalledWith({ filters: new Map([['foo', ['a']]]) }, signal);
  });
});

describe('swarm and plugins', () => {
  test.each([
    '/swarm',
    '/nodes',
    '/services',
    '/tasks/x',
    '/secrets',
    '/configs/x',
    '/services/x/logs?stdout=1',
  ])('%s: 503', async (path) => {
    const response = await request(app).get(path).expect(503);
    expect((response.body as { message: string }).message).toMatch(
      /^This node is not a swarm manager\. Use "docker swarm init"/,
    );
  });

  test('SwarmLeave: 503', () =>
    request(app).post('/swarm/leave').expect(503, { message: 'This node is not part of a swarm' }));
  test('PluginList: 200', () => request(app).get('/plugins').expect(200, []));
  test('PluginInspect: 404', () =>
    request(app).get('/plugins/a/b/json').expect(404, { message: 'plugin "a/b" not found' }));
});
