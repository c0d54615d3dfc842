// Lines that go to a collector: what arrives there, in which form, and what becomes of it when nobody listens.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { decodeMulti } from '@msgpack/msgpack';

import { validateLogConfig } from '../../../../src/engine/logs/log-config';
import { DiscardingLogWriter } from '../../../../src/engine/logs/log-writer';
import { remoteWriter, type RemoteDriver } from '../../../../src/engine/logs/remote/remote-driver';

const subject = {
  id: '0123456789abcdef',
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

const address = (): string => `tcp://127.0.0.1:${String((server.address() as AddressInfo).port)}`;

async function send(
  driver: RemoteDriver,
  options: Record<string, string>,
  ...texts: string[]
): Promise<void> {
  const writer = await remoteWriter(driver, options, subject, new DiscardingLogWriter(), { resumed: false });
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
  const writer = await remoteWriter('syslog', options, subject, new DiscardingLogWriter(), {
    resumed: false,
  });
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

test('bytes that come again are sent once, long lines in parts', async () => {
  const options = { 'fluentd-address': address() };
  const writer = await remoteWriter('fluentd', options, subject, new DiscardingLogWriter(), {
    resumed: false,
  });
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
    remoteWriter(driver, options, subject, new DiscardingLogWriter(), { resumed }).then((writer) =>
      writer.close(),
    );
  const refused = /^dial tcp 127\.0\.0\.1:\d+: connect: connection refused$/;
  await expect(make('syslog', { 'syslog-address': gone })).rejects.toThrow(refused);
  await expect(make('fluentd', { 'fluentd-address': gone })).rejects.toThrow(refused);
  await expect(make('syslog', { 'syslog-address': 'unix:///no/such' })).rejects.toThrow(
    'dial unix /no/such: connect: no such file or directory',
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
  ['gelf', {}, "logger: no log driver named 'gelf' is registered"],
])('%s refuses %j', (Type, Config, message) =>
  expect(() => validateLogConfig({ Type, Config: Config })).toThrow(message),
);
