import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { ApiClient } from '../../../../src/cli/client/api-client';
import { pull } from '../../../../src/cli/client/pull';

test('a refused stream is told in the words of the daemon alone', async () => {
  const message = 'pull access denied for a-b, repository does not exist - or may require login';
  const server = createServer((_, reply) => {
    reply.writeHead(404, { 'content-type': 'application/json' }).end(JSON.stringify({ message }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    const client = new ApiClient(`tcp://127.0.0.1:${port}`);
    await expect(pull(client, 'a-b')).rejects.toMatchObject({
      status: 404,
      message: `image a-b could not be pulled: ${message}`,
    });
  } finally {
    server.close();
  }
});

describe('ssh://', () => {
  const { PATH } = process.env;
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'caisson-ssh-'));
    process.env['PATH'] = `${directory}:${PATH ?? ''}`;
  });
  afterEach(() => {
    process.env['PATH'] = PATH;
    rmSync(directory, { recursive: true });
  });

  /** Puts a command in the place of ssh, which notes its arguments. */
  function placeSsh(script: string): void {
    const noting = `require('fs').writeFileSync(${JSON.stringify(join(directory, 'args'))}, JSON.stringify(process.argv.slice(2)));`;
    writeFileSync(join(directory, 'ssh'), `#!${process.execPath}\n${noting}\n${script}\n`);
    chmodSync(join(directory, 'ssh'), 0o755);
  }

  test("each request goes through docker's own command over there", async () => {
    const socket = join(directory, 'sock');
    const server = createServer((request, reply) => {
      reply.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ url: request.url }));
    });
    server.on('upgrade', (_request, connection) => {
      connection.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n');
      connection.on('data', (data) => connection.end(`got ${String(data)}`));
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    placeSsh(`const s = require('net').connect({ path: ${JSON.stringify(socket)}, allowHalfOpen: true });
      process.stdin.pipe(s); s.pipe(process.stdout);`);
    try {
      const client = new ApiClient('ssh://me@there:2222/somewhere/the.sock');
      expect(await client.call('GET', '/v1/info')).toEqual({ url: '/v1/info' });
      expect(JSON.parse(readFileSync(join(directory, 'args'), 'utf8'))).toEqual([
        ...['-l', 'me', '-p', '2222', '--', 'there'],
        'docker --host unix:///somewhere/the.sock system dial-stdio',
      ]);
      const container = client.docker.getContainer('c');
      const stream = await container.attach({ stream: true, stdin: true, stdout: true, hijack: true });
      stream.end('input');
      expect(await text(stream)).toBe('got input');
    } finally {
      server.close();
    }
  }, 60_000);

  test('what ssh says is told', async () => {
    placeSsh(`console.error('Permission denied (publickey).'); process.exit(255);`);
    const client = new ApiClient('ssh://there');
    await expect(client.call('GET', '/v1/info')).rejects.toThrow(
      'cannot connect to the daemon at ssh://there: "ssh -- there docker --host unix:///run/caisson/caisson.sock ' +
        'system dial-stdio" ended with 255: Permission denied (publickey).; is the address right',
    );
  }, 60_000);

  test.each([
    ['ssh://', 'invalid address ssh://: it should be'],
    ['ssh://me:secret@there', 'plain-text password is not supported'],
    ['ssh://there/a?b', 'nothing may follow the path'],
  ])('%s is refused', (address, message) => expect(() => new ApiClient(address)).toThrow(message));
});
