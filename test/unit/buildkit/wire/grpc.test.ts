import { once } from 'node:events';
import { constants, connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { GrpcClient } from '../../../../src/buildkit/wire/client';
import { bytes, int32, message, repeated, string } from '../../../../src/buildkit/wire/codec';
import { performServerHandshake } from '../../../../src/buildkit/wire/connection';
import { Routes, serveGrpc, type Handlers, type ServerCall } from '../../../../src/buildkit/wire/server';
import { bidirectional, serverStream, service, unary } from '../../../../src/buildkit/wire/service';
import { GrpcError, statusCodes } from '../../../../src/buildkit/wire/status';

const Text = message({ text: string(1), list: repeated(string(2)) });
const Numbers = message({ count: int32(1) });
const Bytes = message({ data: bytes(1) });
const Test = service('test.v1.Test', {
  Echo: unary(Text, Text),
  Count: serverStream(Numbers, Bytes),
  Talk: bidirectional(Text, Text),
  Missing: unary(Text, Text),
});

/** A server on a socket of the system, as it is after an upgrade, and sockets to it. */
class Pair {
  readonly #server: Server;
  readonly #sockets: Socket[] = [];

  constructor(handlers: Handlers<(typeof Test)['methods']>) {
    const routes = new Routes().add(Test, handlers);
    const toError = (error: unknown): GrpcError => new GrpcError(statusCodes.unknown, String(error));
    this.#server = createServer((socket) => {
      socket.on('error', () => undefined);
      serveGrpc(socket, { routes, toError });
    });
    this.#server.listen(0, '127.0.0.1');
  }

  async socket(): Promise<Socket> {
    if (!this.#server.listening) await once(this.#server, 'listening');
    const socket = connect((this.#server.address() as AddressInfo).port, '127.0.0.1');
    socket.on('error', () => undefined);
    this.#sockets.push(socket);
    await once(socket, 'connect');
    return socket;
  }

  async client(): Promise<GrpcClient> {
    return new GrpcClient(await this.socket());
  }

  async http2(): Promise<ClientHttp2Session> {
    const socket = await this.socket();
    const session = connectHttp2('http://localhost', {
      createConnection: () => socket,
      maxSessionMemory: 1000,
      maxSendHeaderBlockLength: 2 ** 25,
    });
    session.on('error', () => undefined);
    return session;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }
}

let pair: Pair | undefined;
afterEach(async () => {
  await pair?.close();
  pair = undefined;
});

function serve(handlers: Handlers<(typeof Test)['methods']>): Pair {
  pair = new Pair(handlers);
  return pair;
}

function frame(payload: Buffer, { flag = 0, length = payload.length } = {}): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, payload]);
}

const methods = Test.methods;

describe('calls', () => {
  test('one request and one answer', async () => {
    const client = await serve({
      Echo: ({ text, list }) => Promise.resolve({ text: text.toUpperCase(), list }),
    }).client();
    expect(await client.unary(methods.Echo, { text: 'grüß', list: ['a', ''] })).toEqual({
      text: 'GRÜSS',
      list: ['a', ''],
    });
    const many = Array.from({ length: 100 }, (_, i) => client.unary(methods.Echo, { text: `n${i}` }));
    expect((await Promise.all(many)).map(({ text }) => text)).toEqual(many.map((_, i) => `N${i}`));
  });

  test('lists in metadata stay lists', async () => {
    let seen: ServerCall['metadata'] = new Map();
    const client = await serve({
      Echo: (request, call) => {
        seen = call.metadata;
        return Promise.resolve(request);
      },
    }).client();
    await client.unary(methods.Echo, {}, { metadata: { followpaths: ['a, b', 'c'], 'dir-name': 'context' } });
    expect(seen.get('followpaths')).toEqual(['a, b', 'c']);
    expect(seen.get('dir-name')).toEqual(['context']);
  });

  test('an error comes with its code, any text and details', async () => {
    const details = Buffer.from([8, 2, 18, 0]);
    const client = await serve({
      Echo: () => Promise.reject(new GrpcError(statusCodes.notFound, 'näh: 100 %\n\u0000', { details })),
      Count: () => Promise.reject(new Error('boom')),
    }).client();
    await expect(client.unary(methods.Echo, {})).rejects.toMatchObject({
      code: 5,
      message: 'näh: 100 %\n\u0000',
      details,
    });
    const silent = client.open(methods.Count);
    silent.end();
    await expect(silent.receive()).rejects.toMatchObject({ code: 13 });
    const stream = client.open(methods.Count);
    await stream.send({ count: 1 });
    await expect(stream.receive()).rejects.toMatchObject({ code: 2, message: 'Error: boom' });
  });

  test('details too large for a header are left out', async () => {
    const client = await serve({
      Echo: () =>
        Promise.reject(new GrpcError(2, 'x'.repeat(100_000), { details: Buffer.alloc(1024 * 1024) })),
    }).client();
    await expect(client.unary(methods.Echo, {})).rejects.toMatchObject({ code: 2, details: undefined });
  });

  test.each([
    [methods.Missing.path, 'unknown method Missing for service test.v1.Test'],
    ['/other.Service/Do', 'unknown service other.Service'],
    ['/x', 'malformed method name: "/x"'],
  ])('nobody serves %s', async (path, text) => {
    const client = await serve({}).client();
    const method = { ...methods.Echo, path };
    await expect(client.unary(method, {})).rejects.toMatchObject({
      code: statusCodes.unimplemented,
      message: text,
    });
  });

  test('a stream of answers, as fast as they are read', async () => {
    const data = Buffer.alloc(64 * 1024, 7);
    let sent = 0;
    const client = await serve({
      Count: async ({ count }, _call, send) => {
        for (; sent < count; sent += 1) await send({ data });
      },
      Echo: (request) => Promise.resolve(request),
    }).client();
    const stream = client.open(methods.Count);
    await stream.send({ count: 1000 });
    stream.end();
    expect((await stream.receive())?.data).toHaveLength(data.length);
    // a window is 4 MiB; the rest waits for the reader
    for (let before = -1; before !== sent;) {
      before = sent;
      for (let i = 0; i < 20; i += 1) await client.unary(methods.Echo, {});
    }
    expect(sent).toBeLessThan(200);
    let received = 1;
    while ((await stream.receive()) !== undefined) received += 1;
    expect(received).toBe(1000);
  });

  test('both sides talk, and the server may end while the client has not', async () => {
    const client = await serve({
      Talk: async ({ receive, send }) => {
        for (let said = await receive(); said !== undefined && said.text !== 'bye'; said = await receive()) {
          await send({ text: `${said.text}!` });
        }
        await send({ text: 'over' });
      },
    }).client();
    const stream = client.open(methods.Talk);
    for (const text of ['one', 'two']) {
      await stream.send({ text });
      expect((await stream.receive())?.text).toBe(`${text}!`);
    }
    await stream.send({ text: 'bye' });
    expect((await stream.receive())?.text).toBe('over');
    expect(await stream.receive()).toBeUndefined();
    await expect(stream.send({ text: 'still there?' })).rejects.toMatchObject({ code: 14 });

    const other = client.open(methods.Talk);
    other.end();
    expect((await other.receive())?.text).toBe('over');
    expect(await other.receive()).toBeUndefined();
  });
});

describe('ends', () => {
  test('a cancelled call aborts its handler and nothing else', async () => {
    const reasons: unknown[] = [];
    let begun: () => void = () => undefined;
    const started = new Promise<void>((resolve) => (begun = resolve));
    const client = await serve({
      Echo: (request, { signal }) => {
        if (request.text !== 'wait') return Promise.resolve(request);
        begun();
        return new Promise((_, reject) =>
          signal.addEventListener('abort', () => {
            reasons.push(signal.reason);
            reject(new Error('given up'));
          }),
        );
      },
    }).client();
    const abort = new AbortController();
    const call = client.unary(methods.Echo, { text: 'wait' }, { signal: abort.signal });
    await started;
    abort.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
    expect(await client.unary(methods.Echo, { text: 'next' })).toMatchObject({ text: 'next' });
    expect(reasons).toEqual([expect.objectContaining({ code: statusCodes.cancelled })]);
    await expect(client.unary(methods.Echo, {}, { signal: abort.signal })).rejects.toThrow('enough');
  });

  test('a deadline is kept by both sides', async () => {
    const reasons: unknown[] = [];
    const client = await serve({
      Echo: (_request, { signal }) =>
        new Promise((_, reject) =>
          signal.addEventListener('abort', () => {
            reasons.push(signal.reason);
            reject(signal.reason as Error);
          }),
        ),
    }).client();
    await expect(client.unary(methods.Echo, {}, { timeoutMs: 50 })).rejects.toMatchObject({
      code: statusCodes.deadlineExceeded,
    });
    while (reasons.length === 0) await nextTurn();
    // whichever came first: the header's time or the end of the stream
    expect(reasons).toHaveLength(1);
  });

  test('a lost connection aborts what is under way on both sides', async () => {
    let aborted: (reason: unknown) => void = () => undefined;
    const reason = new Promise((resolve) => (aborted = resolve));
    let begun: () => void = () => undefined;
    const started = new Promise<void>((resolve) => (begun = resolve));
    const socket = await serve({
      Echo: (_request, { signal }) => {
        begun();
        return new Promise((_, reject) =>
          signal.addEventListener('abort', () => {
            aborted(signal.reason);
            reject(new Error('gone'));
          }),
        );
      },
    }).socket();
    const client = new GrpcClient(socket);
    const call = client.unary(methods.Echo, {});
    const failed = expect(call).rejects.toMatchObject({ code: statusCodes.unavailable });
    await started;
    socket.destroy();
    await failed;
    expect(await reason).toMatchObject({ code: statusCodes.cancelled });
    expect(client.closed.aborted).toBe(true);
    await expect(client.unary(methods.Echo, {})).rejects.toMatchObject({ code: statusCodes.unavailable });
  });
});

/** Whatever it ends with. */
function closed(stream: NodeJS.EventEmitter): Promise<void> {
  return new Promise((resolve) => stream.once('close', resolve));
}

/** A call by hand: what the server says of these bytes. */
async function callWith(session: ClientHttp2Session, parts: readonly Buffer[]): Promise<string> {
  const stream = session.request({
    ':method': 'POST',
    ':path': methods.Echo.path,
    'content-type': 'application/grpc',
  });
  stream.on('error', () => undefined);
  let status = `reset ${stream.rstCode}`;
  stream.on('trailers', (headers) => (status = String(headers['grpc-status'])));
  for (const part of parts) stream.write(part);
  stream.end();
  stream.resume();
  await closed(stream);
  return status;
}

describe('hostile peers', () => {
  const echo = { Echo: (request: { text: string }) => Promise.resolve({ text: request.text }) };

  test.each([
    ['a huge length', [frame(Buffer.alloc(10), { length: 0xffffffff })], statusCodes.resourceExhausted],
    ['a compressed message', [frame(Buffer.alloc(0), { flag: 1 })], statusCodes.unimplemented],
    ['no message', [], statusCodes.internal],
    ['a cut message', [frame(Buffer.alloc(10), { length: 20 })], statusCodes.internal],
    ['a cut header', [Buffer.alloc(3)], statusCodes.internal],
    ['a message that is none', [frame(Buffer.from([0xff, 0xff]))], statusCodes.internal],
  ])('%s', async (_what, parts, code) => {
    const session = await serve(echo).http2();
    expect(await callWith(session, parts)).toBe(String(code));
    expect(await callWith(session, [frame(Text.encode({ text: 'still served' }))])).toBe('0');
  });

  test('messages may come in pieces of any size', async () => {
    const session = await serve(echo).http2();
    const whole = frame(Text.encode({ text: 'a text of some length', list: ['x'] }));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: whole.length })), async (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), whole.length];
        const parts = at.slice(1).map((end, i) => whole.subarray(at[i], end));
        expect(await callWith(session, parts)).toBe('0');
      }),
      { numRuns: 50 },
    );
  });

  test('many messages left unfinished', async () => {
    const session = await serve(echo).http2();
    await once(session, 'connect');
    // each less than a message may have; together more than a connection may
    const part = frame(Buffer.alloc(9 * 1024 * 1024), { length: 16 * 1024 * 1024 });
    const refused = await new Promise<string>((resolve) => {
      for (let i = 0; i < 10; i += 1) {
        const stream = session.request({
          ':method': 'POST',
          ':path': methods.Echo.path,
          'content-type': 'application/grpc',
        });
        stream.on('error', () => undefined);
        stream.on('trailers', (headers) => resolve(String(headers['grpc-status'])));
        stream.write(part);
        stream.resume();
      }
    });
    expect(refused).toBe(String(statusCodes.resourceExhausted));
  }, 30_000);

  test('endless headers', async () => {
    const session = await serve(echo).http2();
    const headers = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`x-${i}`, 'y'.repeat(1000)]));
    const stream = session.request(
      { ...headers, ':method': 'POST', ':path': methods.Echo.path, 'content-type': 'application/grpc' },
      { endStream: true },
    );
    stream.on('error', () => undefined);
    let answered = false;
    stream.on('response', () => (answered = true));
    await closed(stream);
    expect(answered).toBe(false);
    expect(await (await pair!.client()).unary(methods.Echo, { text: 'others' })).toMatchObject({
      text: 'others',
    });
  });

  test('endless streams', async () => {
    let running = 0;
    let full: () => void = () => undefined;
    const reached = new Promise<void>((resolve) => (full = resolve));
    const session = await serve({
      Echo: (_request, { signal }) => {
        running += 1;
        if (running === 1000) full();
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('end'))));
      },
    }).http2();
    for (let i = 0; i < 1500; i += 1) {
      const stream = session.request({
        ':method': 'POST',
        ':path': methods.Echo.path,
        'content-type': 'application/grpc',
      });
      stream.on('error', () => undefined);
      stream.end(frame(Text.encode({ text: 'x' })));
    }
    await reached;
    await new Promise<void>((resolve) => session.ping(() => resolve()));
    expect(running).toBe(1000);
  }, 30_000);

  test('no HTTP/2 at all', async () => {
    const socket = await serve(echo).socket();
    socket.end('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    socket.resume();
    await once(socket, 'close');
    expect(await (await pair!.client()).unary(methods.Echo, { text: 'others' })).toMatchObject({
      text: 'others',
    });
  });

  test('another protocol over HTTP/2', async () => {
    const session = await serve(echo).http2();
    const stream = session.request({ ':path': '/' });
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
    expect(headers[':status']).toBe(415);
  });

  test('a server that ends without a status, or with a strange one', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      serveStrangely(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const client = new GrpcClient(socket);
    await expect(client.unary(methods.Echo, { text: 'none' })).rejects.toMatchObject({ code: 14 });
    await expect(client.unary(methods.Missing, { text: 'strange' })).rejects.toMatchObject({
      code: 2,
      message: '%zz\uFFFD',
    });
    client.destroy();
    server.close();
  });
});

function serveStrangely(socket: Socket): void {
  const session = performServerHandshake(socket, {});
  session.on('error', () => undefined);
  session.on('stream', (answer, headers) => {
    answer.on('error', () => undefined);
    if (String(headers[':path']).endsWith('Echo')) {
      answer.respond({ ':status': 200 });
      answer.close(constants.NGHTTP2_INTERNAL_ERROR);
      return;
    }
    answer.respond({ ':status': 200 }, { waitForTrailers: true });
    answer.once('wantTrailers', () => answer.sendTrailers({ 'grpc-status': 'x', 'grpc-message': '%zz%ff' }));
    answer.end();
  });
}
