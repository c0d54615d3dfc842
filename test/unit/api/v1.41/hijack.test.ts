import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { createApi } from '../../../../src/api/server';
import type { Api } from '../../../../src/api/server';
import type { AttachOptions, OpenStream, StreamClient } from '../../../../src/api/v1.41/backend';
import { DaemonError } from '../../../../src/errors';
import { setLogLevel } from '../../../../src/log';
import { fakeBackend } from '../fake-backend';
import { RawClient } from '../raw-client';

const directory = mkdtempSync(join(tmpdir(), 'caisson-api-'));
const backend = fakeBackend();
const upgrade = { Connection: 'Upgrade', Upgrade: 'tcp' };
const attach = 'POST /v1.41/containers/x/attach?stream=1&stdin=1&stdout=1&stderr=1';
let api: Api;
let unixAddress: string;
let tcpAddress: string;
const clients: RawClient[] = [];

beforeAll(async () => {
  setLogLevel('error');
  api = createApi(backend, { daemonVersion: '1.2.3' });
  const addresses = await api.listen([`unix://${directory}/api.sock`, 'tcp://127.0.0.1:0']);
  [unixAddress = '', tcpAddress = ''] = addresses;
});
beforeEach(() => {
  backend.containers.attach.mockReset();
  backend.exec.start.mockReset();
});
afterEach(() => {
  for (const client of clients.splice(0)) client.socket.destroy();
});
afterAll(async () => {
  await api.close(0);
  rmSync(directory, { recursive: true });
});

async function client(address = unixAddress): Promise<RawClient> {
  const opened = await RawClient.open(address);
  clients.push(opened);
  return opened;
}

/** Makes the next attach run `work` with its client. */
function onAttach(terminal: boolean, work: (stream: StreamClient) => Promise<void>): void {
  backend.containers.attach.mockImplementationOnce(
    async (_ref: string, _options: AttachOptions, open: OpenStream) => {
      await work(open({ terminal }));
    },
  );
}

async function readAll(stream: StreamClient): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of stream.stdin ?? []) parts.push(part);
  return Buffer.concat(parts).toString();
}

const body = (received: string) => received.slice(received.indexOf('\r\n\r\n') + 4);

describe.each(['unix', 'tcp'])('ContainerAttach over %s', (kind) => {
  const open = () => client(kind === 'unix' ? unixAddress : tcpAddress);

  test('101 as dockerd writes it, then frames, then the end', async () => {
    onAttach(false, async (stream) => {
      await stream.write('stdout', Buffer.from('hi\n'));
      await stream.write('stderr', Buffer.from('no\n'));
    });
    const connection = await open();
    connection.request(attach, upgrade);
    expect(await connection.untilEnd()).toBe(
      'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n' +
        'Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n' +
        '\x01\0\0\0\0\0\0\x03hi\n\x02\0\0\0\0\0\0\x03no\n',
    );
    const [ref, options] = backend.containers.attach.mock.calls[0] ?? [];
    expect(ref).toBe('x');
    expect(options).toEqual({ logs: false, stream: true, stdin: true, stdout: true, stderr: true });
  });

  test('without Upgrade: 200 and the same stream, stdin included', async () => {
    onAttach(true, async (stream) => {
      await stream.write('stdout', Buffer.from('ready '));
      await stream.write('stdout', Buffer.from((await readAll(stream)).toUpperCase()));
    });
    const connection = await open();
    connection.request(attach);
    await connection.until((text) => text.endsWith('ready '));
    connection.socket.write('GET / HTTP/1.1\r\n');
    connection.socket.end('bytes');
    expect(await connection.untilEnd()).toBe(
      'HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nready GET / HTTP/1.1\r\nBYTES',
    );
  });

  test('stdin sent with the request arrives, and its half-close leaves the output open', async () => {
    onAttach(true, async (stream) => {
      const text = await readAll(stream);
      await stream.write('stdout', Buffer.from(`got ${text}`));
    });
    const connection = await open();
    connection.request(attach, upgrade);
    connection.socket.end('early');
    expect(body(await connection.untilEnd())).toBe('got early');
  });

  test('much output waits for a slow client', async () => {
    const chunk = Buffer.alloc(64 * 1024, 'x');
    let written = 0;
    onAttach(true, async (stream) => {
      for (let index = 0; index < 256; index += 1) {
        await stream.write('stdout', chunk);
        written += chunk.length;
      }
    });
    const connection = await open();
    connection.socket.pause();
    connection.request(attach, upgrade);
    while (backend.containers.attach.mock.calls.length === 0) await new Promise(setImmediate);
    for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
    expect(written).toBeLessThan(256 * chunk.length);
    connection.socket.resume();
    expect(body(await connection.untilEnd())).toHaveLength(256 * chunk.length);
  });

  test('a large frame has one header', async () => {
    onAttach(false, (stream) => stream.write('stdout', Buffer.alloc(100_000, 'y')));
    const connection = await open();
    connection.request(attach, upgrade);
    const received = body(await connection.untilEnd());
    expect(received.slice(0, 8)).toBe('\x01\0\0\0\0\x01\x86\xa0');
    expect(received).toHaveLength(100_008);
  });

  test('a client that vanishes aborts the signal and leaves no connection', async () => {
    let signal: AbortSignal | undefined;
    onAttach(false, async (stream) => {
      signal = stream.signal;
      await stream.write('stdout', Buffer.from('.'));
      await once(stream.signal, 'abort');
      await stream.write('stdout', Buffer.from('nobody reads this'));
    });
    const connection = await open();
    connection.request(attach, upgrade);
    await connection.until((text) => text.endsWith('.'));
    if (kind === 'tcp') connection.socket.resetAndDestroy();
    else connection.socket.destroy();
    while (signal?.aborted !== true) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await readAll({ ...dummyClient, stdin: undefined })).toBe('');
  });
});

const dummyClient: StreamClient = {
  stdin: undefined,
  write: () => Promise.resolve(),
  signal: new AbortController().signal,
};

describe('ContainerAttach', () => {
  test('a client that is gone before its stdin ended: the loop over stdin ends', async () => {
    const ended = new Promise<string>((resolve) => {
      onAttach(false, async (stream) => {
        await stream.write('stdout', Buffer.from('.'));
        resolve(await readAll(stream));
      });
    });
    const connection = await client(tcpAddress);
    connection.request(attach, upgrade);
    await connection.until((text) => text.endsWith('.'));
    connection.socket.write('ab');
    await new Promise(setImmediate);
    connection.socket.resetAndDestroy();
    expect('ab'.startsWith(await ended)).toBe(true);
  });

  test('API 1.42 tells frames from a terminal by the type', async () => {
    const connection = await client();
    onAttach(false, () => Promise.resolve());
    connection.request(attach.replace('1.41', '1.42'), upgrade);
    expect(await connection.untilEnd()).toContain(
      'Content-Type: application/vnd.docker.multiplexed-stream\r\n',
    );
    const second = await client();
    onAttach(true, () => Promise.resolve());
    second.request(attach.replace('1.41', '1.42'), upgrade);
    expect(await second.untilEnd()).toContain('Content-Type: application/vnd.docker.raw-stream\r\n');
  });

  test.each([upgrade, {}])('a body that repeats the query is not stdin (%p)', async (headers) => {
    onAttach(true, async (stream) => stream.write('stdout', Buffer.from(`[${await readAll(stream)}]`)));
    const connection = await client();
    connection.request(attach, headers, '{"stream":true}');
    await connection.until((text) => text.includes('\r\n\r\n'));
    connection.socket.end('abc');
    expect(body(await connection.untilEnd())).toBe('[abc]');
  });

  test("the last chunk of a client's empty body is not stdin", async () => {
    onAttach(true, async (stream) => stream.write('stdout', Buffer.from(`[${await readAll(stream)}]`)));
    const connection = await client();
    connection.request(attach, { ...upgrade, 'Transfer-Encoding': 'chunked' });
    connection.socket.end('0\r\n\r\nabc');
    expect(body(await connection.untilEnd())).toBe('[abc]');
  });

  test.each([
    [404, 'Not Found', 'No such container: x', attach],
    [400, 'Bad Request', 'Invalid detach keys (ctrl-foo) provided', `${attach}&detachKeys=ctrl-foo`],
  ])('%d before the hijack is plain text', async (status, reason, message, line) => {
    backend.containers.attach.mockRejectedValueOnce(new DaemonError('NotFound', 'No such container: x'));
    const connection = await client();
    connection.request(line, upgrade);
    const received = await connection.untilEnd();
    expect(received).toMatch(new RegExp(`^HTTP/1.1 ${String(status)} ${reason}\r\n`));
    expect(received).toContain('Content-Type: application/vnd.docker.raw-stream\r\n');
    expect(body(received)).toBe(`${message}\r\n`);
  });

  test.each(['ctrl-p,ctrl-q', 'a', 'DEL', 'ctrl-@', 'ctrl-\\,ctrl-]'])('detach keys %s', async (keys) => {
    onAttach(false, () => Promise.resolve());
    const connection = await client();
    connection.request(`${attach}&detachKeys=${encodeURIComponent(keys)}`, upgrade);
    expect(await connection.untilEnd()).toContain('101 UPGRADED');
    expect(backend.containers.attach.mock.calls[0]?.[1]).toMatchObject({ detachKeys: keys });
  });

  test('an error after the hijack ends the connection', async () => {
    onAttach(false, async (stream) => {
      await stream.write('stdout', Buffer.from('.'));
      throw new Error('the VM is gone');
    });
    const connection = await client();
    connection.request(attach, upgrade);
    expect((await connection.untilEnd()).endsWith('.')).toBe(true);
  });
});

describe('ExecStart', () => {
  const start = 'POST /v1.41/exec/e/start';
  const json = { 'Content-Type': 'application/json' };

  function onStart(terminal: boolean, work: (stream: StreamClient) => Promise<void>): void {
    backend.exec.start.mockImplementationOnce(async (_id: string, _options: object, open: OpenStream) => {
      await work(open({ terminal }));
    });
  }

  test('101: the body is read from the upgraded connection, what follows is stdin', async () => {
    onStart(true, async (stream) => stream.write('stdout', Buffer.from(`<${await readAll(stream)}>`)));
    const connection = await client();
    connection.request(start, { ...json, ...upgrade }, '{"Detach":false,"Tty":true}');
    connection.socket.end('in');
    const received = await connection.untilEnd();
    expect(received).toMatch(
      /^HTTP\/1\.1 101 UPGRADED\r\nContent-Type: application\/vnd\.docker\.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nApi-Version: 1\.44\r\n/,
    );
    expect(body(received)).toBe('<in>');
    expect(backend.exec.start).toHaveBeenCalledWith('e', { detach: false, tty: true }, expect.any(Function));
  });

  test('a body that arrives in pieces', async () => {
    onStart(false, (stream) => stream.write('stdout', Buffer.from('ok')));
    const connection = await client();
    connection.request(start, { ...json, ...upgrade, 'Content-Length': '14' });
    await new Promise(setImmediate);
    connection.socket.write('{"Tty":');
    await new Promise(setImmediate);
    connection.socket.write(' true }');
    expect(body(await connection.untilEnd())).toBe('\x01\0\0\0\0\0\0\x02ok');
  });

  test('without Upgrade: 200', async () => {
    onStart(false, async (stream) => stream.write('stderr', Buffer.from(await readAll(stream))));
    const connection = await client();
    connection.request(start, json, '{"Detach":false}');
    await connection.until((text) => text.includes('\r\n\r\n'));
    connection.socket.end('x');
    const received = await connection.untilEnd();
    expect(received).toMatch(/^HTTP\/1\.1 200 OK\r\nContent-Type: application\/vnd\.docker\.raw-stream\r\n/);
    expect(body(received)).toBe('\x02\0\0\0\0\0\0\x01x');
  });

  test('detached: an empty 200', async () => {
    const connection = await client();
    connection.request(start, { ...json, Connection: 'close' }, '{"Detach":true}');
    const received = await connection.untilEnd();
    expect(received).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(received).toContain('Content-Length: 0\r\n');
    expect(backend.exec.start).toHaveBeenCalledWith('e', { detach: true, tty: false }, expect.any(Function));
  });

  test('404 before the hijack is JSON, also with Upgrade', async () => {
    backend.exec.start.mockRejectedValueOnce(new DaemonError('NotFound', 'No such exec instance: e'));
    const connection = await client();
    connection.request(start, { ...json, ...upgrade }, '{}');
    const received = await connection.untilEnd();
    expect(received).toMatch(/^HTTP\/1\.1 404 Not Found\r\n/);
    expect(body(received)).toBe('{"message":"No such exec instance: e"}\n');
  });

  test('an error after the hijack is written to stdout', async () => {
    onStart(false, () => Promise.reject(new DaemonError('InvalidParameter', 'exec failed')));
    const connection = await client();
    connection.request(start, { ...json, ...upgrade }, '{}');
    expect(body(await connection.untilEnd())).toBe('\x01\0\0\0\0\0\0\x0dexec failed\r\n');
  });

  test.each([
    ['{', 'unexpected EOF'],
    ['{"Tty":1}', 'json: cannot unmarshal number into Go struct field ExecStartCheck.Tty of type bool'],
  ])('400 for %s', async (text, message) => {
    const connection = await client();
    connection.request(start, { ...json, ...upgrade }, text);
    expect(body(await connection.untilEnd())).toBe(`{"message":${JSON.stringify(message)}}\n`);
  });

  test('400 for a body that never comes whole', async () => {
    const connection = await client();
    connection.request(start, { ...json, ...upgrade, 'Content-Length': '10' });
    connection.socket.end('{');
    expect(body(await connection.untilEnd())).toBe('{"message":"unexpected EOF"}\n');
  });
});

describe('ContainerAttachWebsocket', () => {
  const url = (query: string) =>
    `ws+${unixAddress.replace('unix://', 'unix://')}:/v1.41/containers/x/attach/ws${query}`;

  test('101: both outputs as binary messages, messages as stdin', async () => {
    onAttach(false, async (stream) => {
      await stream.write('stdout', Buffer.from('out'));
      await stream.write('stderr', Buffer.from('err'));
      for await (const part of stream.stdin ?? []) {
        await stream.write('stdout', Buffer.from(`got ${part.toString()}`));
        return;
      }
    });
    const socket = new WebSocket(url('?stream=1'));
    const messages: string[] = [];
    socket.on('message', (data: Buffer, binary) =>
      messages.push(`${binary ? 'binary' : 'text'} ${data.toString()}`),
    );
    await once(socket, 'open');
    socket.send('hello');
    const [code] = await once(socket, 'close');
    expect(code).toBe(1005);
    expect(messages).toEqual(['binary out', 'binary err', 'binary got hello']);
    expect(backend.containers.attach.mock.calls[0]?.[1]).toEqual({
      logs: false,
      stream: true,
      stdin: true,
      stdout: true,
      stderr: true,
    });
  });

  test('a client that vanishes aborts the signal', async () => {
    const gone = new Promise<void>((resolve) => {
      onAttach(false, async (stream) => {
        await once(stream.signal, 'abort');
        resolve();
      });
    });
    const socket = new WebSocket(url('?stream=1'));
    await once(socket, 'open');
    socket.terminate();
    await gone;
  });

  test('404 as JSON', async () => {
    backend.containers.attach.mockRejectedValueOnce(new DaemonError('NotFound', 'No such container: x'));
    const socket = new WebSocket(url(''));
    const [error] = (await once(socket, 'error')) as [Error];
    expect(error.message).toBe('Unexpected server response: 404');
  });

  test('400 for what is no WebSocket', async () => {
    const connection = await client();
    connection.request('GET /v1.41/containers/x/attach/ws');
    const received = await connection.untilEnd();
    expect(received).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(body(received)).toBe('not websocket protocol');
  });
});

describe('an Upgrade that no route takes', () => {
  test('is answered over HTTP/1.1 and the connection closed', async () => {
    const connection = await client();
    connection.request('GET /v1.41/version', { Connection: 'Upgrade, HTTP2-Settings', Upgrade: 'h2c' });
    const received = await connection.untilEnd();
    expect(received).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(received).toContain('Connection: close\r\n');
    expect(body(received)).toBe('{"Version":"0"}\n');
  });

  test.each(['/grpc', '/session'])('%s: 501', async (path) => {
    const connection = await client();
    connection.request(`POST ${path}`, { Connection: 'Upgrade', Upgrade: 'h2c' });
    expect(await connection.untilEnd()).toMatch(/^HTTP\/1\.1 501 Not Implemented\r\n/);
  });

  test.each([
    ['/grpc', 500],
    ['/session', 400],
  ])('%s without Upgrade: %d', async (path, status) => {
    const connection = await client();
    connection.request(`POST ${path}`, { Connection: 'close' });
    const received = await connection.untilEnd();
    expect(received).toMatch(new RegExp(`^HTTP/1.1 ${String(status)} `));
    expect(body(received)).toBe('{"message":"no upgrade proto in request"}\n');
  });
});
