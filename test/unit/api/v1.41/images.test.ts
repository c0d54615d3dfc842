// Images and archives: what streams.

import { Readable } from 'node:stream';
import request from 'supertest';
import { createApi } from '../../../../src/api/server';
import type { BuildOptions, ProgressWriter } from '../../../../src/api/v1.41/backend';
import { DaemonError } from '../../../../src/errors';
import { setLogLevel } from '../../../../src/log';
import { asText } from '../as-text';
import { fakeBackend } from '../fake-backend';
import { RawClient } from '../raw-client';

const backend = fakeBackend();
const { app } = createApi(backend, { daemonVersion: '0' });

beforeAll(() => setLogLevel('error'));
beforeEach(() => jest.clearAllMocks());

const signal = expect.any(AbortSignal);
const progress = expect.any(Function);
const auth = Buffer.from('{"username":"u","password":"p"}').toString('base64url');

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
    const [options] = backend.builds.build.mock.calls[0] as [{ query: URLSearchParams; auths: object }];
    expect(options.query.getAll('t')).toEqual(['a', 'b']);
    expect(options.auths).toEqual({ 'r:5000': { username: 'u' } });
  });

  test('much output waits for a slow client, and no longer than that is there', async () => {
    const api = createApi(backend, { daemonVersion: '0' });
    const stream = 'x'.repeat(64 * 1024);
    let told = 0;
    let ended = (): void => undefined;
    const end = new Promise<void>((resolve) => (ended = resolve));
    backend.builds.build.mockImplementationOnce(
      async (options: BuildOptions, _body: unknown, send: ProgressWriter, gone: AbortSignal) => {
        for (; told < 256 && !gone.aborted; told += 1) {
          send({ stream });
          await options.room();
        }
        ended();
      },
    );
    try {
      const [address = ''] = await api.listen(['tcp://127.0.0.1:0']);
      const client = await RawClient.open(address);
      client.socket.pause();
      client.request('POST /build');
      while (told === 0) await new Promise(setImmediate);
      for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
      expect(told).toBeLessThan(256);
      client.socket.destroy();
      await end;
      expect(told).toBeLessThan(256);
    } finally {
      await api.close(0);
    }
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
