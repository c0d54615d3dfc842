import { createApi, type Api } from '../../../src/api/server';
import { setLogLevel } from '../../../src/log';
import { fakeBackend } from './fake-backend';
import { RawClient } from './raw-client';
import { makeScratchDir } from '../../support/process/scratch-dir';
import { rmSync } from 'node:fs';

let api: Api;
let directory: string;
let addresses: string[];

beforeAll(async () => {
  setLogLevel('error');
  directory = makeScratchDir('guard');
  api = createApi(fakeBackend(), { daemonVersion: '0' });
  addresses = await api.listen([`unix://${directory}/s`, 'tcp://127.0.0.1:0', 'tcp://[::1]:0']);
});
afterAll(async () => {
  await api.close(0);
  rmSync(directory, { recursive: true });
});

/** The answer to a ping with these headers over the transport. */
async function status(transport: 'unix' | 'tcp', headers: readonly string[]): Promise<number> {
  const client = await RawClient.open(addresses[transport === 'unix' ? 0 : 1] ?? '');
  client.socket.write(['GET /_ping HTTP/1.1', ...headers, 'Connection: close', '', ''].join('\r\n'));
  const text = await client.untilEnd();
  return Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);
}

test.each([
  ['tcp', 'Host: 127.0.0.1:2375'],
  ['tcp', 'Host: localhost:2375'],
  ['tcp', 'Host: LOCALHOST'],
  ['tcp', 'Host: api.moby.localhost'],
  ['tcp', 'Host: [::1]:2375'],
  ['tcp', 'Host: 192.0.2.1'],
  ['unix', 'Host: docker'],
  ['unix', 'Host: docker.example.com'],
  ['unix', 'Host: %2Frun%2Fcaisson.sock'],
] as const)('over %s a client with %s is served', async (transport, host) => {
  expect(await status(transport, [host])).toBe(200);
});

test.each([
  ['a name that was made to lead here', ['Host: evil.example:2375']],
  ['a name that ends like an address', ['Host: 127.0.0.1.evil.example']],
  ['a page of another site', ['Host: 127.0.0.1', 'Origin: https://evil.example']],
  ['a page without a site', ['Host: 127.0.0.1', 'Origin: null']],
  ['a page of another port', ['Host: 127.0.0.1:2375', 'Origin: http://127.0.0.1:8080']],
  ['an image or a script', ['Host: 127.0.0.1', 'Sec-Fetch-Site: cross-site']],
])('%s is refused', async (_name, headers) => {
  expect(await status('tcp', headers)).toBe(403);
});

test('a page that was served from the same place may', async () => {
  expect(await status('tcp', ['Host: localhost:9000', 'Origin: http://localhost:9000'])).toBe(200);
});

test('a WebSocket of a page is refused before it is one', async () => {
  const client = await RawClient.open(addresses[1] ?? '');
  client.socket.write(
    [
      ...[
        'GET /v1.41/containers/c/attach/ws?stream=1 HTTP/1.1',
        'Host: 127.0.0.1',
        'Origin: https://evil.example',
      ],
      ...['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
      ...['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', '', ''],
    ].join('\r\n'),
  );
  expect(await client.untilEnd()).toMatch(/^HTTP\/1\.1 403 /);
});
