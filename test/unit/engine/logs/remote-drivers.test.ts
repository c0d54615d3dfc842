// Lines that go to a collector: what arrives there, in which form, and what becomes of it when nobody listens.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { on, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { gunzipSync, inflateSync } from 'node:zlib';
import { decodeMulti } from '@msgpack/msgpack';

import { validateLogConfig } from '../../../../src/engine/logs/log-config';
import { DiscardingLogWriter } from '../../../../src/engine/logs/log-writer';
import { journaldEncoder } from '../../../../src/engine/logs/remote/journald';
import { remoteWriter, type RemoteDriver } from '../../../../src/engine/logs/remote/remote-driver';
import type { ContainerLogWriter } from '../../../../src/engine/core/container-log';
import { projectDir } from '../../../support/process/project-dir';

const subject = {
  id: '0123456789abcdef',
  createdAt: '2026-01-02T03:04:05.678Z',
  name: 'web',
  imageId: 'sha256:1',
  imageName: 'busybox',
  path: 'sh',
  args: [],
  labels: { role: 'front' },
  env: ['A=1'],
};

let server: Server;
let received: string;
let arrived: Buffer[];
let sockets: Socket[];

beforeEach(async () => {
  [received, arrived, sockets] = ['', [], []];
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on('data', (data) => {
      arrived.push(data);
      received += data.toString();
      server.emit('bytes');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

/** Of a container that starts, unless it is resumed. */
function writerOf(
  driver: RemoteDriver,
  options: Record<string, string>,
  resumed = false,
): Promise<ContainerLogWriter> {
  const file = new DiscardingLogWriter();
  const nativeDir = join(projectDir, 'build', 'native');
  return remoteWriter({ driver, options, subject, file, resumed, nativeDir });
}

const address = (): string => `tcp://127.0.0.1:${String((server.address() as AddressInfo).port)}`;

async function send(
  driver: RemoteDriver,
  options: Record<string, string>,
  ...texts: string[]
): Promise<void> {
  const writer = await writerOf(driver, options);
  let offset = 0;
  for (const text of texts) {
    await writer.append('stdout', Buffer.from(text), offset);
    offset += text.length;
  }
  await writer.append('stderr', Buffer.from('bad\n'), 0);
  const ended = once(server, 'bytes');
  await Promise.all([writer.close(), ended]);
}

test.each([
  ['', /^<30>\w{3} [ \d]\d [\d:]{8} 0123456789ab\[\d+\]: one\n/],
  ['rfc3164', /^<30>\w{3} [ \d]\d [\d:]{8} \S+ 0123456789ab\[\d+\]: one\n/],
  ['rfc5424', /^<30>1 \d{4}-\d\d-\d\dT[\d:]{8}Z \S+ 0123456789ab \d+ 0123456789ab - one\n/],
  ['rfc5424micro', /^<30>1 \d{4}-\d\d-\d\dT[\d:]{8}\.\d{6}Z \S+ 0123456789ab \d+ 0123456789ab - one\n/],
])('syslog %s', async (format, pattern) => {
  await send('syslog', { 'syslog-address': address(), 'syslog-format': format }, 'o', 'ne\ntw', 'o\nrest');
  expect(received).toMatch(pattern);
  expect(received.split('\n').map((line) => line.split(/[ :]/).at(-1))).toEqual([
    'one',
    'two',
    'bad',
    'rest',
    '',
  ]);
  expect(received).toContain('<27>');
});

test('syslog with a facility and a tag', async () => {
  const options = { 'syslog-address': address(), 'syslog-facility': 'local3', tag: 'x-{{.Name}}' };
  await send('syslog', options, 'one\n');
  expect(received).toMatch(/^<158>.* x-web\[\d+\]: one\n<155>/);
});

test('syslog over UDP', async () => {
  const receiver = createSocket('udp4');
  receiver.bind(0, '127.0.0.1');
  await once(receiver, 'listening');
  const options = { 'syslog-address': `udp://127.0.0.1:${String(receiver.address().port)}` };
  const message = once(receiver, 'message');
  const writer = await writerOf('syslog', options);
  await writer.append('stdout', Buffer.from('one\n'), 0);
  expect(String((await message)[0])).toMatch(/: one\n$/);
  await writer.close();
  receiver.close();
});

test('fluentd: tag, time and record', async () => {
  await send(
    'fluentd',
    { 'fluentd-address': address(), labels: 'role', env: 'A', tag: 'docker.{{.Name}}' },
    'one\n',
  );
  const messages = [...decodeMulti(Buffer.concat(arrived))] as [string, number, object][];
  const record = { container_id: subject.id, container_name: '/web', role: 'front', A: '1' };
  expect(messages).toEqual([
    ['docker.web', expect.any(Number), { ...record, source: 'stdout', log: 'one' }],
    ['docker.web', expect.any(Number), { ...record, source: 'stderr', log: 'bad' }],
  ]);
});

const gelfFields = {
  version: '1.1',
  host: hostname(),
  timestamp: expect.any(Number) as number,
  _container_id: subject.id,
  _container_name: 'web',
  _image_id: 'sha256:1',
  _image_name: 'busybox',
  _command: 'sh',
  _tag: '0123456789ab',
  _created: subject.createdAt,
  _role: 'front',
};

test('gelf over TCP', async () => {
  await send('gelf', { 'gelf-address': address(), labels: 'role' }, 'one\n');
  const messages = received.split('\0').map((text) => (text === '' ? '' : (JSON.parse(text) as unknown)));
  expect(messages).toEqual([
    { ...gelfFields, short_message: 'one', level: 6 },
    { ...gelfFields, short_message: 'bad', level: 3 },
    '',
  ]);
});

test.each([
  ['gzip', gunzipSync],
  ['zlib', inflateSync],
  ['none', (data: Buffer) => data],
])('gelf over UDP, %s, in chunks where it is long', async (type, decompress) => {
  const receiver = createSocket('udp4');
  receiver.bind(0, '127.0.0.1');
  await once(receiver, 'listening');
  const datagrams = on(receiver, 'message') as AsyncIterableIterator<[Buffer]>;
  const next = async (): Promise<Buffer> => {
    const { value } = (await datagrams.next()) as { value: [Buffer] };
    return value[0];
  };
  const options = {
    'gelf-address': `udp://127.0.0.1:${String(receiver.address().port)}`,
    'gelf-compression-type': type,
    labels: 'role',
  };
  const writer = await writerOf('gelf', options);
  const long = randomBytes(4000).toString('hex');
  await writer.append('stdout', Buffer.from(`one\n${long}\n`), 0);
  const message = (text: string): object => ({ ...gelfFields, short_message: text, level: 6 });
  expect(JSON.parse(decompress(await next()).toString())).toEqual(message('one'));
  const chunks = [await next()];
  const count = chunks[0]?.[11] ?? 0;
  expect(count).toBeGreaterThan(2);
  while (chunks.length < count) chunks.push(await next());
  expect(chunks.every((chunk) => chunk.length <= 1420 && chunk.readUInt16BE(0) === 0x1e0f)).toBe(true);
  chunks.sort((a, b) => (a[10] ?? 0) - (b[10] ?? 0));
  const whole = decompress(Buffer.concat(chunks.map((chunk) => chunk.subarray(12))));
  expect(JSON.parse(whole.toString())).toEqual(message(long));
  await writer.close();
  receiver.close();
});

/** Node can't receive datagrams of unix sockets, either. */
const receiverScript = `use Socket; $| = 1; socket(S, AF_UNIX, SOCK_DGRAM, 0); bind(S, sockaddr_un($ARGV[0])) or die $!;
  print "ready\\n"; while (defined recv(S, $b, 65536, 0)) { print unpack("H*", $b), "\\n" }`;

test('syslog to a datagram socket, which is waited for when it goes away', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'caisson-syslog-'));
  const path = join(directory, 'log');
  const receive = async (): Promise<{ next: () => Promise<string>; stop: () => Promise<void> }> => {
    rmSync(path, { force: true });
    const perl = spawn('perl', ['-e', receiverScript, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface(perl.stdout)[Symbol.asyncIterator]();
    const next = async (): Promise<string> => ((await lines.next()) as { value: string }).value;
    expect(await next()).toBe('ready');
    return {
      next: async () => Buffer.from(await next(), 'hex').toString(),
      stop: async () => {
        perl.kill();
        await once(perl, 'exit');
      },
    };
  };
  let receiver = await receive();
  const writer = await writerOf('syslog', { 'syslog-address': `unixgram://${path}` });
  let offset = 0;
  const write = async (text: string): Promise<void> => {
    await writer.append('stdout', Buffer.from(text), offset);
    offset += text.length;
  };
  try {
    await write('one\ntwo\n');
    expect(await receiver.next()).toMatch(/^<30>\w{3} [ \d]\d [\d:]{8} 0123456789ab\[\d+\]: one\n$/);
    expect(await receiver.next()).toMatch(/: two\n$/);
    await receiver.stop();
    receiver = await receive();
    const arrived = receiver.next();
    const seen = { again: false };
    void arrived.then(() => (seen.again = true));
    // the first that nobody takes tells that the socket is another
    for (let i = 0; !seen.again; i += 1) {
      await write(`again ${String(i)}\n`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(await arrived).toMatch(/: again \d+\n$/);
  } finally {
    await writer.close();
    await receiver.stop();
    rmSync(directory, { recursive: true });
  }
}, 60_000);

test("journald: an entry in the journal's own form", () => {
  const encode = journaldEncoder('tag', subject, { 'com.example/role': 'front', _x: 'two\nlines' });
  const [entry] = encode({ stream: 'stderr', text: Buffer.from('one'), partial: true, timeMs: 0 });
  expect(entry?.toString('latin1').split('\n')).toEqual([
    'MESSAGE=one',
    'PRIORITY=3',
    'CONTAINER_PARTIAL_MESSAGE=true',
    'CONTAINER_ID=0123456789ab',
    'CONTAINER_ID_FULL=0123456789abcdef',
    'CONTAINER_NAME=web',
    'CONTAINER_TAG=tag',
    'IMAGE_NAME=busybox',
    'SYSLOG_IDENTIFIER=tag',
    'COM_EXAMPLE_ROLE=front',
    'X',
    // its length in 64 bits
    '\t\0\0\0\0\0\0\0two',
    'lines',
    '',
  ]);
});

test('bytes that come again are sent once, long lines in parts', async () => {
  const options = { 'fluentd-address': address() };
  const writer = await writerOf('fluentd', options);
  await writer.append('stdout', Buffer.from('first\n'), 0);
  await writer.append('stdout', Buffer.from(`first\n${'x'.repeat(20_000)}\n`), 0);
  const closed = new Promise<void>((resolve) => sockets[0]?.once('close', () => resolve()));
  await Promise.all([writer.close(), closed]);
  const messages = [...decodeMulti(Buffer.concat(arrived))] as [
    string,
    number,
    { log: string; partial_message?: string },
  ][];
  expect(messages.map(([, , { log, partial_message: partial }]) => [log.length, partial])).toEqual([
    [5, undefined],
    [16_384, 'true'],
    [3616, undefined],
  ]);
});

test('nobody listens: the container is not started, unless it runs already or the driver may wait', async () => {
  const gone = address();
  await new Promise((resolve) => server.close(resolve));
  const make = (driver: RemoteDriver, options: Record<string, string>, resumed = false): Promise<unknown> =>
    writerOf(driver, options, resumed).then((writer) => writer.close());
  const refused = /^dial tcp 127\.0\.0\.1:\d+: connect: connection refused$/;
  await expect(make('syslog', { 'syslog-address': gone })).rejects.toThrow(refused);
  await expect(make('fluentd', { 'fluentd-address': gone })).rejects.toThrow(refused);
  await expect(make('syslog', { 'syslog-address': 'unix:///no/such' })).rejects.toThrow(
    'dial unix /no/such: connect: no such file or directory',
  );
  await expect(make('syslog', { 'syslog-address': 'unixgram:///no/such' })).rejects.toThrow(
    'dial unixgram /no/such: connect: no such file or directory',
  );
  await expect(make('gelf', { 'gelf-address': gone })).rejects.toThrow(
    /^gelf: cannot connect to GELF endpoint: dial/,
  );
  await make('syslog', { 'syslog-address': gone }, true);
  await make('fluentd', { 'fluentd-address': gone, 'fluentd-async': 'true' });
});

test.each([
  ['syslog', { nosuch: '1' }, "unknown log opt 'nosuch' for syslog log driver"],
  [
    'syslog',
    { 'syslog-address': 'nonsense' },
    'syslog-address should be in form proto://address, got nonsense',
  ],
  ['syslog', { 'syslog-address': 'udp://h', 'syslog-facility': 'nosuch' }, 'invalid syslog facility'],
  ['syslog', { 'syslog-address': 'udp://h', 'syslog-facility': '24' }, 'invalid syslog facility'],
  ['syslog', { 'syslog-address': 'udp://h', 'syslog-format': 'nosuch' }, 'Invalid syslog format'],
  ['fluentd', { nosuch: '1' }, "unknown log opt 'nosuch' for fluentd log driver"],
  ['fluentd', { 'fluentd-buffer-limit': 'lots' }, "invalid size: 'lots'"],
  ['fluentd', { 'fluentd-async': 'maybe' }, 'strconv.ParseBool: parsing "maybe": invalid syntax'],
  ['splunk', {}, "logger: no log driver named 'splunk' is registered"],
  ['gelf', {}, 'gelf-address is a required parameter'],
  ['gelf', { 'gelf-address': 'udp://h:1', nosuch: '1' }, "unknown log opt 'nosuch' for gelf log driver"],
  ['gelf', { 'gelf-address': 'h:1' }, 'gelf-address should be in form proto://address, got h:1'],
  ['gelf', { 'gelf-address': 'http://h:1' }, 'gelf: endpoint needs to be UDP or TCP'],
  ['gelf', { 'gelf-address': 'udp://h' }, 'gelf: please provide gelf-address as proto://host:port'],
  [
    'gelf',
    { 'gelf-address': 'tcp://h:1', 'gelf-compression-type': 'gzip' },
    'compression is only supported on UDP',
  ],
  [
    'gelf',
    { 'gelf-address': 'udp://h:1', 'gelf-compression-level': '10' },
    'unknown value "10" for log opt "gelf-compression-level" for gelf log driver',
  ],
  [
    'gelf',
    { 'gelf-address': 'udp://h:1', 'gelf-tcp-max-reconnect': '1' },
    '"gelf-tcp-max-reconnect" is only valid for TCP',
  ],
  [
    'gelf',
    { 'gelf-address': 'tcp://h:1', 'gelf-tcp-reconnect-delay': '-1' },
    '"gelf-tcp-reconnect-delay" must be a positive integer',
  ],
])('%s refuses %j', (Type, Config, message) =>
  expect(() => validateLogConfig({ Type, Config: Config })).toThrow(message),
);
