import { rmSync } from 'node:fs';
import { createApi, type Api } from '../../../src/api/server';
import { makeScratchDir } from '../../support/process/scratch-dir';
import { fakeBackend } from './fake-backend';
import { RawClient } from './raw-client';

const backend = fakeBackend();
let api: Api;
let directory: string;
let client: RawClient;
const lines: string[] = [];

beforeEach(async () => {
  lines.length = 0;
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
    lines.push(String(text));
    return true;
  });
  directory = makeScratchDir('early');
  api = createApi(backend, { daemonVersion: '0' });
  const [address = ''] = await api.listen([`unix://${directory}/s`]);
  client = await RawClient.open(address);
});
afterEach(async () => {
  client.socket.destroy();
  await api.close(0);
  jest.restoreAllMocks();
  rmSync(directory, { recursive: true });
});

test('an answer that needs no body comes after what there is of it, so that no reset takes it away', async () => {
  const body = 'x'.repeat(200 * 1024);
  const headers = { 'Content-Type': 'text/plain', Connection: 'close' };
  client.socket.pause();
  client.request('POST /v1.41/containers/create', headers, body);
  client.socket.resume();
  expect(await client.untilEnd()).toContain("must be 'application/json'");
});

test('an archive that is in place before the end of its body came is answered after that', async () => {
  backend.containers.archivePut.mockResolvedValue(undefined);
  const headers = { Connection: 'close', 'Content-Length': '200' };
  client.request('PUT /v1.41/containers/web/archive?path=/', headers);
  client.socket.write('x'.repeat(100));
  while (backend.containers.archivePut.mock.calls.length === 0)
    await new Promise((resolve) => setImmediate(resolve));
  client.socket.write('x'.repeat(100));
  expect(await client.untilEnd()).toContain('200 OK');
});

test('an answer does not wait for a body that is not sent', async () => {
  const headers = { 'Content-Type': 'text/plain', 'Content-Length': '1000000' };
  client.request('POST /v1.41/containers/create', headers);
  expect(await client.until((text) => text.includes('}'))).toContain('400 Bad Request');
});

test('a client that breaks off its build is a line of the log, and no stack', async () => {
  let left: (() => void) | undefined;
  const over = new Promise<void>((resolve) => (left = resolve));
  backend.builds.build.mockImplementation(async (_options: unknown, context: AsyncIterable<Buffer>) => {
    try {
      for await (const part of context) expect(part.length).toBe(10);
    } finally {
      setImmediate(() => left?.());
    }
  });
  client.request('POST /v1.41/build', { 'Content-Type': 'application/x-tar', 'Content-Length': '1000' });
  client.socket.write('x'.repeat(10), () => client.socket.destroy());
  await over;
  while (lines.length < 2) await new Promise((resolve) => setImmediate(resolve));
  expect(lines).toHaveLength(2);
  expect(lines[1]).toMatch(/level=info msg="the client has left" method=POST path=\/build/);
  expect(lines[1]).not.toMatch(/ at /);
});
