import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
  test('what a client typed just before it left arrives, although output was on its way to it', async () => {
    const connection = await client();
    let received: Promise<string> | undefined;
    const attached = new Promise<void>((resolve) => {
      onAttach(true, async (stream) => {
        received = readAll(stream);
        connection.socket.once('close', () => void stream.write('stdout', Buffer.from('prompt')));
        resolve();
        await received;
      });
    });
    connection.request(attach, upgrade);
    await attached;
    connection.socket.write('typed\r');
    connection.socket.destroy();
    expect(await received).toBe('typed\r');
  });

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
