// One describe per resource: what a request becomes in the backend, and what its answer becomes on the wire.

import request from 'supertest';
import { createApi } from '../../../../src/api/server';
import { DaemonError } from '../../../../src/errors';
import { setLogLevel } from '../../../../src/log';
import { fakeBackend } from '../fake-backend';

const backend = fakeBackend();
const { app } = createApi(backend, { daemonVersion: '0' });

beforeAll(() => setLogLevel('error'));
beforeEach(() => jest.clearAllMocks());

type Verb = 'get' | 'post' | 'put' | 'delete' | 'head';
type Call = [mock: jest.Mock, ...args: unknown[]];

const none = new Map();

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
    'ContainerCreate without regard to case, unknown fields dropped',
    [
      'post',
      '/containers/create',
      {
        image: 'busybox',
        hostconfig: {
          MEMORY: 4096,
          sysctls: { a: 'b' },
          Mounts: [{ Type: 'bind', BindOptions: { NonRecursive: true } }],
          Init: null,
        },
        NetworkingConfig: { EndpointsConfig: { n: { IPAddress: 'i', DNSNames: null }, m: null } },
        Healthcheck: { Retries: 5 },
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
          Sysctls: { a: 'b' },
          Mounts: [{ Type: 'bind', BindOptions: { NonRecursive: true } }],
        },
        NetworkingConfig: { EndpointsConfig: { n: { IPAddress: 'i' }, m: null } },
        Healthcheck: { Retries: 5 },
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
      backend.containers.commit,
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
      backend.containers.commit,
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
  ['NetworkList', ['get', '/networks'], 200, [], [backend.networks.list, none, { detailed: false }]],
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
