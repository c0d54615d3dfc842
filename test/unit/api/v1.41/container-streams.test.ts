// Logs, stats, wait and events. Attach and exec have tests of their own.

import request from 'supertest';
import { createApi } from '../../../../src/api/server';
import { DaemonError } from '../../../../src/errors';
import { setLogLevel } from '../../../../src/log';
import { asText } from '../as-text';
import { fakeBackend, from } from '../fake-backend';

const backend = fakeBackend();
const { app } = createApi(backend, { daemonVersion: '0' });

beforeAll(() => setLogLevel('error'));
beforeEach(() => jest.clearAllMocks());

const signal = expect.any(AbortSignal);

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
