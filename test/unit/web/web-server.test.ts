import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { DaemonError } from '../../../src/errors';
import { setLogLevel } from '../../../src/log';
import { parseAddress, serveWeb, type Web, type WebOptions } from '../../../src/web/web-server';

let directory: string;
let web: Web | undefined;
const apiCalls: string[] = [];
const doctor = jest.fn(() => Promise.resolve([{ level: 'ok' as const, subject: 'qemu', detail: 'there' }]));

beforeAll(() => setLogLevel('error'));
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'caisson-web-'));
  mkdirSync(join(directory, 'page', 'assets'), { recursive: true });
  writeFileSync(join(directory, 'page', 'index.html'), '<meta name="style-nonce" content="STYLE_NONCE">');
  writeFileSync(join(directory, 'page', 'assets', 'main-1.js'), 'let a = 1;'.repeat(100));
  apiCalls.length = 0;
});
afterEach(async () => {
  await web?.close();
  web = undefined;
  rmSync(directory, { recursive: true });
});

function options(more: Partial<WebOptions> = {}): WebOptions {
  return {
    address: '127.0.0.1:0',
    readOnly: false,
    assetsDir: join(directory, 'page'),
    runDir: directory,
    version: '1.2.3',
    experimental: false,
    api: (request, response) => {
      apiCalls.push(`${request.method ?? ''} ${request.url ?? ''}`);
      response.writeHead(200, { 'Content-Type': 'text/html' }).end('<script>alert(1)</script>');
    },
    execs: {
      async start(id, { tty, consoleSize }, open) {
        if (id === 'none') throw new DaemonError('NotFound', 'No such exec instance: none');
        const client = open({ terminal: tty });
        await client.write(
          'stdout',
          Buffer.from(`${id} ${consoleSize?.rows ?? 0}x${consoleSize?.columns ?? 0} `),
        );
        for await (const data of client.stdin ?? []) {
          await client.write('stdout', data);
          return;
        }
      },
    },
    sampler: { history: (span, wanted) => ({ span, subjects: [], ...wanted }) },
    doctor,
    builds: { list: () => [], detail: () => Promise.resolve(undefined) },
    ...more,
  };
}

async function serve(more: Partial<WebOptions> = {}): Promise<Web> {
  web = await serveWeb(options(more));
  return web;
}

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** As raw as it gets: what a browser does for a page, and what it does not. */
function ask(method: string, path: string, headers: Record<string, string> = {}, body = ''): Promise<Answer> {
  const { port } = new URL(running().origin);
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ host: '127.0.0.1', port, method, path, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
      );
    });
    sent.on('error', reject).end(body);
  });
}

function running(): Web {
  if (web === undefined) throw new Error('not served');
  return web;
}

/** What a browser of the page sends with everything. */
async function enter(): Promise<{ base: string; own: Record<string, string> }> {
  const { origin, url } = running();
  const token = new URL(url).searchParams.get('token') ?? '';
  const answer = await ask('POST', '/login', { Origin: origin }, JSON.stringify({ token }));
  expect(answer.status).toBe(200);
  const { area } = JSON.parse(answer.body) as { area: string };
  const cookie = String(answer.headers['set-cookie']?.[0]);
  expect(cookie).toMatch(/; HttpOnly; SameSite=Strict$/);
  expect(cookie).toContain(`; Path=/api/${area}/;`);
  return { base: `/api/${area}`, own: { Origin: origin, Cookie: cookie.split(';')[0] ?? '' } };
}

describe('addresses', () => {
  test.each([
    ['127.0.0.1:80', '127.0.0.1', 80],
    [':8090', '127.0.0.1', 8090],
    ['[::1]:1', '::1', 1],
    ['localhost:0', 'localhost', 0],
  ])('%s', (address, host, port) => expect(parseAddress(address)).toEqual({ host, port }));

  test.each(['', '8090', '127.0.0.1', '127.0.0.1:99999', 'http://127.0.0.1:80'])('not %j', (address) => {
    expect(() => parseAddress(address)).toThrow('invalid address for the web page');
  });

  test('one that is taken is refused, and a page that was not built', async () => {
    const { origin } = await serve();
    await expect(serveWeb(options({ address: new URL(origin).host }))).rejects.toThrow('EADDRINUSE');
    await expect(serveWeb(options({ assetsDir: join(directory, 'none') }))).rejects.toThrow('was not built');
  });
});

describe('the token', () => {
  test('is in a file of root alone, good for one exchange, and followed by another', async () => {
    const { url } = await serve();
    const file = join(directory, 'web-url');
    expect(readFileSync(file, 'utf8')).toBe(`${url}\n`);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    await enter();
    expect(running().url).not.toBe(url);
    const again = await ask(
      'POST',
      '/login',
      { Origin: running().origin },
      JSON.stringify({ token: url.split('=')[1] }),
    );
    expect(again.status).toBe(401);
    expect(again.headers['set-cookie']).toBeUndefined();
    await enter();
  });

  test.each(['', '{}', '{"token":1}', '{"token":""}', 'null', '"x"'])('%j is none', async (body) => {
    await serve();
    expect((await ask('POST', '/login', { Origin: running().origin }, body)).status).toBe(401);
  });

  test('two exchanges at once: one of them gets in', async () => {
    const { origin, url } = await serve();
    const body = JSON.stringify({ token: url.split('=')[1] });
    const both = await Promise.all([1, 2].map(() => ask('POST', '/login', { Origin: origin }, body)));
    expect(both.map(({ status }) => status).sort()).toEqual([200, 401]);
  });

  test('sessions outlive the daemon where the port is root’s alone, the token does not', async () => {
    const { port: free } = new URL((await serve()).origin);
    await running().close();
    const ofRoot = { address: `127.0.0.1:${free}`, firstPortOfAll: 65_536 };
    await serve(ofRoot);
    const { base, own } = await enter();
    const { port } = new URL(running().origin);
    await running().close();
    expect(() => readFileSync(join(directory, 'web-url'))).toThrow('ENOENT');
    await serve(ofRoot);
    expect(port).toBe(free);
    expect((await ask('GET', `${base}/web/info`, own)).status).toBe(200);
    const kept = readFileSync(join(directory, 'web-sessions.json'), 'utf8');
    expect(kept).not.toContain(own['Cookie']?.split('=')[1]);
    expect(statSync(join(directory, 'web-sessions.json')).mode & 0o777).toBe(0o600);
  });
});

test('where anybody may take the port while the daemon is away, what is caught there is good for nothing', async () => {
  const { port } = new URL((await serve()).origin);
  await running().close();
  for (const firstPortOfAll of [1024, undefined]) {
    await serve({
      address: `127.0.0.1:${port}`,
      ...(firstPortOfAll === undefined ? {} : { firstPortOfAll }),
    });
    const { base, own } = await enter();
    expect((await ask('GET', `${base}/web/info`, own)).status).toBe(200);
    await running().close();
    await serve({ address: `127.0.0.1:${port}` });
    expect((await ask('GET', `${base}/web/info`, own)).status).toBe(401);
    await running().close();
  }
});

describe('who is let in', () => {
  test('nobody without the cookie of this area', async () => {
    await serve();
    const { base, own } = await enter();
    const other = await enter();
    const origin = { Origin: running().origin };
    for (const [path, headers] of [
      [`${base}/_ping`, origin],
      [`${base}/_ping`, { ...origin, Cookie: 'caisson=x' }],
      [`${base}/_ping`, other.own],
      ['/api/x/_ping', own],
    ] as const) {
      expect((await ask('GET', path, headers)).status).toBe(401);
    }
    expect(apiCalls).toEqual([]);
    expect((await ask('GET', `${base}/v1.41/info?a=1`, own)).status).toBe(200);
    expect(apiCalls).toEqual(['GET /v1.41/info?a=1']);
  });

  test.each(['evil.example', 'evil.example:80', '127.0.0.1.evil.example', 'localhost.evil.example', '[x]'])(
    'a Host of %j is refused everywhere',
    async (host) => {
      await serve();
      const { base, own } = await enter();
      for (const path of ['/', '/assets/main-1.js', `${base}/_ping`]) {
        const answer = await ask('GET', path, { ...own, Host: host, Origin: `http://${host}` });
        // Node itself refuses none at all
        expect([400, 403]).toContain(answer.status);
      }
      expect(apiCalls).toEqual([]);
    },
  );

  test('other pages are refused, with the right cookie too', async () => {
    await serve();
    const { base, own } = await enter();
    const port = new URL(running().origin).port;
    const refused = [
      { Origin: 'http://evil.example' },
      { Origin: 'null' },
      { Origin: `http://127.0.0.1:${Number(port) + 1}` },
      { Origin: `https://127.0.0.1:${port}` },
      { 'Sec-Fetch-Site': 'cross-site' },
      { 'Sec-Fetch-Site': 'same-site' },
    ];
    for (const headers of refused) {
      for (const method of ['GET', 'POST']) {
        expect((await ask(method, `${base}/containers/x/start`, { ...own, ...headers })).status).toBe(403);
      }
    }
    // a form, or a client that says nothing of where it comes from
    expect((await ask('POST', `${base}/containers/x/start`, { Cookie: own['Cookie'] ?? '' })).status).toBe(
      403,
    );
    expect(apiCalls).toEqual([]);
  });

  test('the end of a session', async () => {
    await serve();
    const { base, own } = await enter();
    const answer = await ask('POST', `${base}/web/logout`, own);
    expect(answer.status).toBe(204);
    expect(answer.headers['set-cookie']?.[0]).toContain('Max-Age=0');
    expect((await ask('GET', `${base}/web/info`, own)).status).toBe(401);
  });
});

describe('what is answered', () => {
  test('the page: nothing from elsewhere, in no frame; a nonce of its own each time', async () => {
    await serve();
    const [first, second] = [await ask('GET', '/'), await ask('GET', '/index.html')];
    const policy = String(first.headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("connect-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain('unsafe');
    const nonce = /'nonce-([^']+)'/.exec(policy)?.[1] ?? '';
    expect(first.body).toBe(`<meta name="style-nonce" content="${nonce}">`);
    expect(second.body).not.toBe(first.body);
    expect(first.headers).toMatchObject({
      'cache-control': 'no-store',
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
    });
  });

  test('its files: compressed, kept by browsers, none but those that were built', async () => {
    await serve();
    writeFileSync(join(directory, 'page', 'secret.js'), '');
    const plain = await ask('GET', '/assets/main-1.js');
    expect(plain.body).toHaveLength(1000);
    expect(plain.headers['cache-control']).toContain('immutable');
    for (const coding of ['br', 'gzip']) {
      const { headers } = await ask('GET', '/assets/main-1.js', { 'Accept-Encoding': coding });
      expect(headers['content-encoding']).toBe(coding);
      expect(Number(headers['content-length'])).toBeLessThan(100);
    }
    for (const path of [
      '/secret.js',
      '/assets/../secret.js',
      '/assets/%2e%2e/secret.js',
      '/assets/',
      '/web-url',
    ]) {
      expect((await ask('GET', path)).status).toBe(404);
    }
    expect((await ask('POST', '/')).status).toBe(404);
  });

  test('what the API says is data: nothing in it runs', async () => {
    await serve();
    const { base, own } = await enter();
    const { headers } = await ask('GET', `${base}/containers/x/logs`, own);
    expect(headers).toMatchObject({
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'; sandbox",
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
    });
  });

  test('neither the registry nor the memory of the daemon', async () => {
    await serve();
    const { base, own } = await enter();
    for (const path of ['/v2/', '/v2/x', '/debug/vars', '/debug', '/web/other', '/web/info/']) {
      expect((await ask('GET', base + path, own)).status).toBe(404);
    }
    expect(apiCalls).toEqual([]);
  });

  test('what the page asks the web server itself', async () => {
    await serve();
    const { base, own } = await enter();
    const get = async (path: string): Promise<unknown> =>
      JSON.parse((await ask('GET', base + path, own)).body);
    expect(await get('/web/info')).toMatchObject({ version: '1.2.3', readOnly: false, experimental: false });
    expect(await get('/web/history?span=day&kind=vm&id=7')).toEqual({
      span: 'day',
      subjects: [],
      kind: 'vm',
      id: '7',
    });
    expect(await get('/web/history?span=x')).toMatchObject({ span: 'minutes' });
    expect(await get('/web/builds')).toEqual([]);
    expect((await ask('GET', `${base}/web/build?ref=x`, own)).status).toBe(404);
    doctor.mockClear();
    const [first] = await Promise.all([get('/web/doctor'), get('/web/doctor')]);
    expect(first).toMatchObject({ findings: [{ level: 'ok', subject: 'qemu', detail: 'there' }] });
    expect(doctor).toHaveBeenCalledTimes(1);
  });
});

describe('a page for looking only', () => {
  test('changes nothing, and attaches to nothing', async () => {
    await serve({ readOnly: true });
    const { base, own } = await enter();
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
      const answer = await ask(method, `${base}/containers/x`, own);
      expect(answer.status).toBe(403);
      expect(JSON.parse(answer.body)).toEqual({ message: 'this page is for looking only (--web-read-only)' });
    }
    for (const path of ['/containers/x/attach/ws', '/exec/1/ws', '/session']) {
      expect(await refusal(base + path, own)).toBe(403);
    }
    expect(apiCalls).toEqual([]);
    expect((await ask('GET', `${base}/containers/json`, own)).status).toBe(200);
    expect((await ask('HEAD', `${base}/_ping`, own)).status).toBe(200);
  });
});

/** The status of a WebSocket that is refused. */
function refusal(path: string, headers: Record<string, string>): Promise<number> {
  const socket = new WebSocket(running().origin.replace('http', 'ws') + path, { headers });
  return new Promise((resolve, reject) => {
    socket.on('open', () => reject(new Error('it was let in')));
    socket.on('error', () => undefined);
    socket.on('unexpected-response', (_request, response) => {
      resolve(response.statusCode ?? 0);
      socket.terminate();
    });
  });
}

describe('exec over a WebSocket', () => {
  test('bytes both ways, with the size of the terminal', async () => {
    await serve();
    const { base, own } = await enter();
    const socket = new WebSocket(
      `${running().origin.replace('http', 'ws')}${base}/exec/e1/ws?tty=1&h=24&w=80`,
      {
        headers: own,
      },
    );
    let text = '';
    socket.on('open', () => socket.send(Buffer.from('typed')));
    socket.on('message', (data: Buffer) => (text += data.toString()));
    await new Promise((resolve) => socket.on('close', resolve));
    expect(text).toBe('e1 24x80 typed');
  });

  test('none without an Origin, from elsewhere, without a session, or of an exec that is not there', async () => {
    await serve();
    const { base, own } = await enter();
    const { Cookie = '' } = own;
    expect(await refusal(`${base}/exec/e1/ws`, { Cookie })).toBe(403);
    expect(await refusal(`${base}/exec/e1/ws`, { Cookie, Origin: 'http://evil.example' })).toBe(403);
    expect(await refusal(`${base}/exec/e1/ws`, { Origin: running().origin })).toBe(401);
    expect(await refusal(`${base}/exec/none/ws`, own)).toBe(404);
    expect((await ask('GET', `${base}/exec/e1/ws`, own)).status).toBe(400);
    expect(await refusal('/other', own)).toBe(404);
  });
});
