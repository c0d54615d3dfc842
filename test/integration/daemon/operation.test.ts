// The daemon as an administrator meets it: options, TLS, metrics, reload, logs. No VM is started.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { get as httpGet } from 'node:http';
import { get as httpsGet, type RequestOptions } from 'node:https';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { CaissonDaemon } from '../../support/engines/caisson-daemon';
import { sendHttp, socketPathOf } from '../../support/wire/http-client';
import { makeScratchDir } from '../../support/process/scratch-dir';
import { recordedReplyErrors } from '../../support/wire/wire-replies';

const secret = 'hunter2-not-to-be-logged';
let dir: string;
let daemon: CaissonDaemon;

beforeAll(async () => {
  dir = makeScratchDir('operation');
  makeCertificates();
  writeConfig({ labels: ['stage=test'], 'max-concurrent-downloads': 2 });
  daemon = await CaissonDaemon.start({
    dir,
    recordsReplies: true,
    args: [
      ...['--accel', 'tcg', '--pool-size', '0', '--debug', '--log-format', 'json', '--group', 'nogroup'],
      ...['--host', 'tcp://127.0.0.1:0', '--metrics-addr', '127.0.0.1:0', '--pidfile', join(dir, 'pid')],
      ...['--tlsverify', '--tlscacert', join(dir, 'ca.pem'), '--tlscert', join(dir, 'server.pem')],
      ...['--tlskey', join(dir, 'server-key.pem'), '--config-file', join(dir, 'daemon.json')],
    ],
  });
}, 30_000);

afterAll(async () => {
  await daemon.stop();
  expect(recordedReplyErrors(daemon.repliesPath)).toEqual([]);
  rmSync(dir, { recursive: true, force: true });
});

function writeConfig(config: object): void {
  writeFileSync(join(dir, 'daemon.json'), JSON.stringify(config));
}

function makeCertificates(): void {
  const openssl = (...args: string[]): void =>
    void execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...key, '-subj', '/CN=ca', '-keyout', 'ca-key.pem', '-out', 'ca.pem');
  writeFileSync(join(dir, 'ext'), 'subjectAltName=IP:127.0.0.1\n');
  for (const name of ['server', 'client']) {
    openssl('req', ...key, '-subj', `/CN=${name}`, '-keyout', `${name}-key.pem`, '-out', `${name}.csr`);
    openssl(
      ...['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial'],
      ...['-extfile', 'ext', '-out', `${name}.pem`],
    );
  }
}

interface LogLine {
  msg: string;
  level: string;
  [field: string]: unknown;
}

function logLines(): LogLine[] {
  const lines = readFileSync(daemon.process.logPath, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as LogLine);
}

function listensAt(scheme: string): URL {
  const addresses = logLines().find(({ msg }) => msg === 'ready')?.['addresses'] as string[];
  return new URL(addresses.find((address) => address.startsWith(scheme)) ?? '');
}

function fetchText(get: typeof httpsGet, options: RequestOptions): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', agent: false, ...options }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    }).on('error', reject);
  });
}

/** The first line of a stream, which is then left. */
function firstLine(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = httpGet({ socketPath: socketPathOf(daemon.host), path }, (response) => {
      response.setEncoding('utf8').once('data', (chunk: string) => {
        resolve(chunk.split('\n')[0] ?? '');
        request.destroy();
      });
    });
    request.on('error', reject);
  });
}

describe('TLS', () => {
  const options = (withCertificate: boolean): RequestOptions => ({
    port: listensAt('tcp:').port,
    path: '/_ping',
    ca: readFileSync(join(dir, 'ca.pem')),
    ...(withCertificate
      ? { cert: readFileSync(join(dir, 'client.pem')), key: readFileSync(join(dir, 'client-key.pem')) }
      : {}),
  });

  it('lets in who has a certificate of the CA', async () => {
    await expect(fetchText(httpsGet, options(true))).resolves.toEqual({ status: 200, text: 'OK' });
  });

  it('lets in nobody else', async () => {
    await expect(fetchText(httpsGet, options(false))).rejects.toThrow(
      /certificate required|ECONNRESET|socket hang up/,
    );
  });

  it('tells who speaks plain HTTP', async () => {
    const plain = fetchText(httpGet, { port: listensAt('tcp:').port, path: '/_ping' });
    await expect(plain).resolves.toEqual({
      status: 400,
      text: 'Client sent an HTTP request to an HTTPS server.\n',
    });
  });
});

it('gives the socket to its group, mode 0660, and writes its pid', () => {
  const { mode, gid } = statSync(socketPathOf(daemon.host));
  const group = execFileSync('getent', ['group', 'nogroup'], { encoding: 'utf8' }).split(':')[2];
  expect([mode & 0o777, gid]).toEqual([0o660, Number(group)]);
  const pid = Number(readFileSync(join(dir, 'pid'), 'utf8'));
  expect(logLines().length).toBeGreaterThan(0);
  expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toContain(join(dir, 'pid'));
});

it('answers beside clients that never finish their requests, and forgets them', async () => {
  const descriptors = (): number => readdirSync(`/proc/${daemon.process.pid}/fd`).length;
  const before = descriptors();
  const starts = [
    'GET /v1.41/info HTTP/1.1\r\nHost: d\r\nX-Slow: ',
    'POST /v1.41/containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{',
    'POST /v1.41/images/load HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n',
  ];
  const clients = await Promise.all(Array.from({ length: 600 }, (_, i) => halfClient(starts[i % 3] ?? '')));
  for (const client of clients) client.write('x');
  const { status } = await sendHttp(daemon.host, { method: 'GET', path: '/v1.41/containers/json' });
  expect(status).toBe(200);
  expect(descriptors()).toBeGreaterThanOrEqual(before + clients.length);
  for (const client of clients) client.destroy();
  // Each goes as the daemon hears of it; the test's own deadline is the limit.
  while (descriptors() > before + 5) await new Promise((resolve) => setImmediate(resolve));
}, 60_000);

/** A connection whose first bytes are sent. */
function halfClient(start: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPathOf(daemon.host), () => socket.write(start, () => resolve(socket)));
    socket.on('error', reject);
  });
}

it('serves metrics', async () => {
  await sendHttp(daemon.host, { method: 'GET', path: '/info' });
  const address = String(logLines().find(({ msg }) => msg === 'metrics')?.['address']);
  const { text } = await fetchText(httpGet, { port: address.split(':')[1], path: '/metrics' });
  expect(text).toMatch(/^engine_daemon_engine_cpus_cpus \d+$/m);
  expect(text).toMatch(/^engine_daemon_container_states_containers\{state="running"\} 0$/m);
  expect(text).toMatch(/^engine_daemon_container_actions_seconds_count\{action="delete"\} 0$/m);
  expect(text).toMatch(/^caisson_http_requests_total\{method="GET",code="200"\} [1-9]/m);
});

it('answers below /debug while it is in debug mode', async () => {
  const { status, body } = await sendHttp(daemon.host, { method: 'GET', path: '/debug/vars' });
  expect(status).toBe(200);
  expect(JSON.parse(body)).toMatchObject({ vms: { idle: 0 } });
});

it('reloads what may change, and tells of it by an event', async () => {
  const since = (Date.now() / 1000).toFixed(3);
  writeConfig({ labels: ['stage=reloaded'], 'registry-mirrors': ['http://127.0.0.1:9'] });
  const filters = encodeURIComponent(JSON.stringify({ type: ['daemon'] }));
  const event = firstLine(`/events?since=${since}&filters=${filters}`);
  process.kill(Number(readFileSync(join(dir, 'pid'), 'utf8')), 'SIGHUP');
  expect(JSON.parse(await event)).toMatchObject({
    Type: 'daemon',
    Action: 'reload',
    Actor: { Attributes: { labels: '["stage=reloaded"]', 'max-concurrent-downloads': '3', debug: 'true' } },
  });
  const { body } = await sendHttp(daemon.host, { method: 'GET', path: '/info' });
  expect(JSON.parse(body)).toMatchObject({
    Labels: ['stage=reloaded'],
    RegistryConfig: { Mirrors: ['http://127.0.0.1:9/'] },
  });
});

it('never logs a credential or a container’s environment', async () => {
  const auth = { username: 'u', password: secret, identitytoken: secret, serveraddress: '127.0.0.1:1' };
  const header = { 'X-Registry-Auth': Buffer.from(JSON.stringify(auth)).toString('base64url') };
  const requests = [
    { method: 'POST', path: '/auth', body: auth },
    { method: 'POST', path: '/images/create?fromImage=127.0.0.1:1/x&tag=y', headers: header },
    { method: 'POST', path: `/images/create?fromImage=u:${secret}@127.0.0.1:1/x`, headers: header },
    { method: 'POST', path: '/containers/create', body: { Image: 'none', Env: [`PASSWORD=${secret}`] } },
    { method: 'POST', path: '/containers/create', body: `{"Image":"x","Env":["${secret}"` },
    { method: 'POST', path: '/containers/none/exec', body: { Cmd: ['true'], Env: [secret] } },
    { method: 'GET', path: '/info', headers: { Authorization: `Bearer ${secret}` } },
  ];
  for (const request of requests) await sendHttp(daemon.host, request);
  const text = readFileSync(daemon.process.logPath, 'utf8');
  expect(text).toContain('/images/create');
  for (const shown of [
    secret,
    Buffer.from(secret).toString('base64').slice(0, -2),
    header['X-Registry-Auth'],
  ]) {
    expect(text).not.toContain(shown);
  }
});

it('says of a wrong configuration what is wrong, and starts nothing', () => {
  const run = (...args: string[]): string => {
    try {
      return execFileSync(process.execPath, ['dist/main.js', 'daemon', '--validate', ...args], {
        encoding: 'utf8',
        stdio: 'pipe',
      });
    } catch (error) {
      return (error as { stderr: string }).stderr;
    }
  };
  expect(run()).toBe('configuration OK\n');
  expect(run('--log-opt', 'foo=bar')).toContain("unknown log opt 'foo' for json-file log driver");
  expect(run('--config-file', '/nowhere.json')).toContain('/nowhere.json: no such file or directory');
});
