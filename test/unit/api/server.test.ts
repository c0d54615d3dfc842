import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApi } from '../../../src/api/server';
import type { Api } from '../../../src/api/server';
import type { ProgressWriter } from '../../../src/api/v1.41/backend';
import { DaemonError } from '../../../src/errors';
import { setLogLevel } from '../../../src/log';
import { fakeBackend, from } from './fake-backend';
import { RawClient } from './raw-client';

const backend = fakeBackend();
let directory: string;
let api: Api;
const clients: RawClient[] = [];

beforeAll(() => setLogLevel('error'));
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'caisson-api-'));
  api = createApi(backend, { daemonVersion: '0' });
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.destroy();
  await api.close(0);
  jest.clearAllMocks();
  rmSync(directory, { recursive: true });
});

async function client(address: string): Promise<RawClient> {
  const opened = await RawClient.open(address);
  clients.push(opened);
  return opened;
}

/** An API on a unix socket and one client of it. */
async function connected(): Promise<RawClient> {
  const [address = ''] = await api.listen([`unix://${directory}/api.sock`]);
  return client(address);
}

describe('listening', () => {
  test('a unix socket: made with its directory, mode 0660, gone after close', async () => {
    const path = `${directory}/a/b/api.sock`;
    expect(await api.listen([`unix://${path}`])).toEqual([`unix://${path}`]);
    expect(statSync(path).mode & 0o777).toBe(0o660);
    await api.close(0);
    expect(existsSync(path)).toBe(false);
  });

  test('several hosts, with the real ports', async () => {
    const addresses = await api.listen([
      `unix://${directory}/api.sock`,
      'tcp://127.0.0.1:0',
      'tcp://[::1]:0',
    ]);
    expect(addresses[1]).toMatch(/^tcp:\/\/127\.0\.0\.1:[1-9]\d*$/);
    expect(addresses[2]).toMatch(/^tcp:\/\/\[::1\]:[1-9]\d*$/);
    for (const address of addresses.slice(0, 2)) {
      const connection = await client(address);
      connection.request('GET /_ping', { Connection: 'close' });
      expect(await connection.untilEnd()).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nOK$/);
    }
  });

  test('a socket nobody listens on is replaced', async () => {
    const path = `${directory}/api.sock`;
    // a listener that is killed leaves its file
    const script =
      'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, 9))';
    spawnSync(process.execPath, ['-e', script, path]);
    expect(existsSync(path)).toBe(true);
    await api.listen([`unix://${path}`]);
    const connection = await client(`unix://${path}`);
    connection.request('GET /_ping', { Connection: 'close' });
    expect(await connection.untilEnd()).toContain('OK');
  });

  test('a socket somebody listens on is left alone, and nothing else stays open', async () => {
    const path = `${directory}/api.sock`;
    const other = createServer().listen(path);
    await once(other, 'listening');
    const first = `${directory}/first.sock`;
    await expect(api.listen([`unix://${first}`, `unix://${path}`])).rejects.toMatchObject({
      code: 'Conflict',
      message: `another daemon is listening on ${path}`,
    });
    expect(existsSync(first)).toBe(false);
    expect(existsSync(path)).toBe(true);
    other.close();
  });

  test('a file that is no socket is left alone', async () => {
    const path = `${directory}/api.sock`;
    writeFileSync(path, 'precious');
    await expect(api.listen([`unix://${path}`])).rejects.toMatchObject({ code: 'Conflict' });
    expect(existsSync(path)).toBe(true);
  });

  test.each(['', 'unix://', 'http://x', 'tcp://a:b', 'tcp://a:70000', 'tcp://[::1', 'fd://'])(
    '%p is no address',
    async (host) => {
      await expect(api.listen([host])).rejects.toMatchObject({ code: 'InvalidParameter' });
    },
  );

  test('a group that does not exist', async () => {
    const own = createApi(backend, { daemonVersion: '0', socketGroup: 'no-such-group' });
    await expect(own.listen([`unix://${directory}/api.sock`])).rejects.toThrow(
      'group no-such-group not found',
    );
  });

  test('a directory that cannot be written', async () => {
    if (process.geteuid?.() === 0) return; // root can
    chmodSync(directory, 0o500);
    await expect(api.listen([`unix://${directory}/api.sock`])).rejects.toThrow(/EACCES/);
  });
});

describe('connections', () => {
  test('are kept alive and serve pipelined requests in order', async () => {
    const connection = await connected();
    connection.request('GET /_ping');
    connection.request('GET /v1.41/version');
    connection.request('POST /v1.41/containers/x/stop', { Connection: 'close' });
    const received = await connection.untilEnd();
    expect(received.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200', 'HTTP/1.1 204']);
  });

  test('a client that closes its sending side still gets its answer', async () => {
    let resolve: (value: unknown[]) => void = () => undefined;
    backend.containers.list.mockReturnValueOnce(new Promise((done) => (resolve = done)));
    const connection = await connected();
    connection.request('GET /containers/json');
    connection.socket.end();
    while (backend.containers.list.mock.calls.length === 0) await new Promise(setImmediate);
    for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
    resolve([]);
    expect(await connection.untilEnd()).toMatch(/\r\n\r\n\[\]\n$/);
  });

  test.each([
    ['no HTTP', 'hello\r\n\r\n', 400],
    ['a bad header', 'GET / HTTP/1.1\r\nHost: d\r\na b: c\r\n\r\n', 400],
    ['no Host', 'GET /_ping HTTP/1.1\r\n\r\n', 400],
    ['a header past the limit', `GET /_ping HTTP/1.1\r\nHost: d\r\nX: ${'x'.repeat(2 ** 20)}\r\n\r\n`, 431],
    ['two lengths', 'POST /x HTTP/1.1\r\nHost: d\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
  ])('%s: %s', async (_name, text, status) => {
    const connection = await connected();
    connection.socket.write(text);
    expect(await connection.untilEnd()).toMatch(new RegExp(`^HTTP/1.1 ${String(status)} `));
  });

  test('a long query is fine', async () => {
    const connection = await connected();
    connection.request(`GET /containers/json?x=${'y'.repeat(200_000)}`, { Connection: 'close' });
    expect(await connection.untilEnd()).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('413 at once for a body declared too large', async () => {
    const connection = await connected();
    connection.request('POST /volumes/create', {
      'Content-Type': 'application/json',
      'Content-Length': '99999999',
    });
    const received = await connection.until((text) => text.includes('too large'));
    expect(received).toMatch(/^HTTP\/1\.1 413 /);
    expect(received).toContain('{"message":"http: request body too large"}');
  });

  test('an upload that is refused is read on, so that its client sees why', async () => {
    backend.images.importImage.mockRejectedValueOnce(
      new DaemonError('InvalidParameter', 'no such reference'),
    );
    const connection = await connected();
    const length = 4 * 2 ** 20;
    connection.request('POST /images/create?fromSrc=-', { 'Content-Length': String(length) });
    await connection.until((text) => text.includes('no such reference'));
    connection.socket.write(Buffer.alloc(length));
    connection.request('GET /_ping', { Connection: 'close' });
    expect((await connection.untilEnd()).match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 400', 'HTTP/1.1 200']);
  });

  test('a body cut short reaches nobody', async () => {
    const connection = await connected();
    connection.request('POST /volumes/create', {
      'Content-Type': 'application/json',
      'Content-Length': '20',
    });
    connection.socket.write('{"Name"');
    await new Promise(setImmediate);
    connection.socket.destroy();
    await once(connection.socket, 'close');
    for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
    expect(backend.volumes.create).not.toHaveBeenCalled();
  });
});

describe('a client that vanishes', () => {
  test('mid-pull: the signal is aborted', async () => {
    const aborted = new Promise<void>((resolve) => {
      backend.images.pull.mockImplementationOnce(
        async (_options: object, send: ProgressWriter, signal: AbortSignal) => {
          send({ status: 'Pulling' });
          await once(signal, 'abort');
          send({ status: 'to nobody' });
          resolve();
        },
      );
    });
    const connection = await connected();
    connection.request('POST /images/create?fromImage=x');
    await connection.until((text) => text.includes('Pulling'));
    connection.socket.destroy();
    await aborted;
  });

  test.each([
    ['POST /containers/x/wait', backend.containers.wait, 2],
    ['GET /containers/x/logs?stdout=1&follow=1', backend.containers.logs, 2],
    ['GET /events', backend.system.events, 1],
    ['GET /containers/x/stats', backend.containers.stats, 2],
  ])('%s: the header was sent, and the signal is aborted', async (line, mock, position) => {
    let signal: AbortSignal | undefined;
    async function* endless(): AsyncGenerator<never> {
      if (signal?.aborted === false) await once(signal, 'abort');
    }
    mock.mockImplementationOnce((...args: unknown[]) => {
      signal = args[position] as AbortSignal;
      const gone = once(signal, 'abort').then(() => ({ Error: null, StatusCode: 0 }));
      if (line.includes('wait')) return Promise.resolve({ exit: gone });
      return Promise.resolve(line.includes('logs') ? { terminal: false, lines: endless() } : endless());
    });
    const connection = await connected();
    connection.request(line);
    await connection.until((text) => text.includes('\r\n\r\n'));
    expect(signal?.aborted).toBe(false);
    connection.socket.destroy();
    while (signal?.aborted !== true) await new Promise(setImmediate);
  });

  test('a signal is not aborted by the end of a kept-alive response', async () => {
    let signal: AbortSignal | undefined;
    backend.system.events.mockImplementationOnce((_options: object, given: AbortSignal) => {
      signal = given;
      return Promise.resolve(from([]));
    });
    const connection = await connected();
    connection.request('GET /events');
    await connection.until((text) => text.endsWith('0\r\n\r\n'));
    connection.request('GET /_ping', { Connection: 'close' });
    await connection.untilEnd();
    expect(signal?.aborted).toBe(false);
    expect(connection.received).toContain('OK');
  });
});

describe('a client that reads slowly', () => {
  test('gets every status, but not every step of a bar', async () => {
    let steps = 0;
    backend.images.pull.mockImplementationOnce((_options: object, send: ProgressWriter) => {
      for (let index = 0; index < 200; index += 1) {
        send({ status: `Status ${String(index)}` });
        for (let step = 0; step < 100; step += 1) {
          steps += 1;
          send({ status: 'Downloading', id: 'abc', progressDetail: { current: steps, total: 20_000 } });
        }
      }
      return Promise.resolve();
    });
    const connection = await connected();
    connection.request('POST /images/create?fromImage=x', { Connection: 'close' });
    const received = await connection.untilEnd();
    expect(received.match(/"Status \d+"/g)).toHaveLength(200);
    expect(received.match(/"Downloading"/g)?.length).toBeLessThan(steps);
    expect(received).toContain('"current":20000,');
  });

  test('makes the engine wait with its events', async () => {
    let sent = 0;
    async function* flood(): AsyncGenerator<object> {
      const Attributes = { text: 'x'.repeat(10_000) };
      for (; sent < 2_000; sent += 1) {
        yield await Promise.resolve({
          Type: 'container',
          Action: 'a',
          Actor: { ID: '', Attributes },
          timeNano: 1n,
        });
      }
    }
    backend.system.events.mockResolvedValueOnce(flood());
    const connection = await connected();
    connection.socket.pause();
    connection.request('GET /events', { Connection: 'close' });
    while (sent === 0) await new Promise(setImmediate);
    for (let turn = 0; turn < 200; turn += 1) await new Promise(setImmediate);
    expect(sent).toBeLessThan(2_000);
    connection.socket.resume();
    expect((await connection.untilEnd()).match(/"timeNano":1}/g)).toHaveLength(2_000);
  });
});

describe('close', () => {
  test('gives requests under way their time, and ends idle connections', async () => {
    const idle = await connected();
    let resolve: (value: unknown[]) => void = () => undefined;
    backend.containers.list.mockReturnValueOnce(new Promise((done) => (resolve = done)));
    const busy = await client(`unix://${directory}/api.sock`);
    busy.request('GET /containers/json');
    while (backend.containers.list.mock.calls.length === 0) await new Promise(setImmediate);
    const closed = api.close(10_000);
    await idle.untilEnd();
    resolve([]);
    expect(await busy.untilEnd()).toContain('\r\n\r\n[]\n');
    await closed;
  });

  test('cuts off what takes longer', async () => {
    const connection = await connected();
    backend.containers.wait.mockResolvedValueOnce({ exit: new Promise(() => undefined) });
    connection.request('POST /containers/x/wait');
    await connection.until((text) => text.includes('\r\n\r\n'));
    await api.close(10);
    await connection.untilEnd();
  });
});

test('a socket that is about to be there is not taken for one that somebody removed', async () => {
  const addresses = api.listen([`unix://${directory}/api.sock`]);
  await expect(api.mendSockets()).resolves.toEqual([]);
  await expect(addresses).resolves.toEqual([`unix://${directory}/api.sock`]);
  rmSync(`${directory}/api.sock`);
  await expect(api.mendSockets()).resolves.toEqual([`${directory}/api.sock`]);
  expect(existsSync(`${directory}/api.sock`)).toBe(true);
});
