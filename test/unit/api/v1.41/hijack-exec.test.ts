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
let api: Api;
let unixAddress: string;
const clients: RawClient[] = [];

beforeAll(async () => {
  setLogLevel('error');
  api = createApi(backend, { daemonVersion: '1.2.3' });
  [unixAddress = ''] = await api.listen([`unix://${directory}/api.sock`]);
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
    connection.socket.write(' false}');
    expect(body(await connection.untilEnd())).toBe('\x01\0\0\0\0\0\0\x02ok');
  });

  test.each([
    [true, false, '\x01\0\0\0\0\0\0\x02ok'],
    [false, true, 'ok'],
  ])("the exec's terminal: %p, the request's: %p", async (terminal, asked, received) => {
    onStart(terminal, (stream) => stream.write('stdout', Buffer.from('ok')));
    const connection = await client();
    connection.request(start, { ...json, ...upgrade }, JSON.stringify({ Tty: asked }));
    expect(body(await connection.untilEnd())).toBe(received);
  });

  test('Upgrade without Connection: Upgrade is one, too', async () => {
    onStart(false, async (stream) => stream.write('stdout', Buffer.from(await readAll(stream))));
    const connection = await client();
    connection.request(start, { ...json, Upgrade: 'tcp' }, '{}');
    await connection.until((text) => text.includes('\r\n\r\n'));
    connection.socket.end('in');
    const received = await connection.untilEnd();
    expect(received).toMatch(/^HTTP\/1\.1 101 UPGRADED\r\n/);
    expect(body(received)).toBe('\x01\0\0\0\0\0\0\x02in');
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

  test('404 of an unknown container comes before the protocol', async () => {
    backend.containers.inspect.mockRejectedValueOnce(new DaemonError('NotFound', 'No such container: x'));
    const connection = await client();
    connection.request('GET /v1.41/containers/x/attach/ws', { Connection: 'close' });
    expect(await connection.untilEnd()).toMatch(/^HTTP\/1\.1 404 Not Found\r\n/);
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
