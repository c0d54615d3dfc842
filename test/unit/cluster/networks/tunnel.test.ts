// Both ends of a tunnel, the supervisor's in C and the daemon's, with a listener of the daemon before them.

import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';

import { mostSockets } from '../../../../src/cluster/contract/pod-parts';
import { PortListeners, type BoundPort } from '../../../../src/cluster/networks/port-listeners';
import { Tunnel } from '../../../../src/cluster/networks/tunnel';
import {
  maxTunnelDataBytes,
  tunnelHeaderBytes,
  tunnelKinds,
  tunnelProtocols,
  tunnelWindowBytes,
} from '../../../../src/cluster/networks/tunnel-frames';
import { buildTunnelProgram, writeTo } from '../../../support/guests/tunnel-program';
import { projectDir } from '../../../support/process/project-dir';

let inside: ChildProcessWithoutNullStreams;
let tunnel: Tunnel;
const servers: Server[] = [];
const opened: PortListeners[] = [];

let start: ReturnType<typeof buildTunnelProgram>;

beforeAll(() => {
  start = buildTunnelProgram();
});

beforeEach(() => {
  inside = start(['127.0.0.1']);
  tunnel = new Tunnel({
    output: inside.stdout,
    write: (data) => writeTo(inside, data),
    close: () => inside.stdin.end(),
  });
});

afterEach(async () => {
  for (const listeners of opened.splice(0)) listeners.close();
  const exited = inside.exitCode === null && inside.signalCode === null ? once(inside, 'exit') : undefined;
  tunnel.close();
  await exited;
  for (const server of servers.splice(0)) server.close();
});

async function serve(handle: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined); // of connections that are reset
    handle(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function publish(containerPort: number, protocol: 'tcp' | 'udp' = 'tcp'): Promise<BoundPort> {
  const wanted = { containerPort, protocol, hostIp: '127.0.0.1', hostPort: 0 };
  const listeners = await PortListeners.open([wanted], 'web', (port, kind) =>
    Promise.resolve(tunnel.connect(port, kind)),
  );
  opened.push(listeners);
  const [bound] = listeners.bound;
  if (bound === undefined) throw new Error('no port');
  return bound;
}

/** All that a client gets for what it sends, when it half-closes then. */
async function exchange(port: number, data: string | Buffer): Promise<Buffer> {
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  client.end(data);
  const chunks: Buffer[] = [];
  for await (const chunk of client) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

it('has the numbers of the other end', () => {
  const header = readFileSync(join(projectDir, 'protocol', 'supervisor-tunnel.h'), 'utf8');
  const numbers = Object.fromEntries(
    [...header.matchAll(/^#define TUNNEL_(\w+) (\d+)$/gm)].map(([, name, value]) => [name, Number(value)]),
  );
  expect(numbers).toEqual({
    HEADER_BYTES: tunnelHeaderBytes,
    DATA_BYTES: maxTunnelDataBytes,
    WINDOW_BYTES: tunnelWindowBytes,
    ...Object.fromEntries(Object.entries(tunnelKinds).map(([name, value]) => [name.toUpperCase(), value])),
    ...Object.fromEntries(
      Object.entries(tunnelProtocols).map(([name, value]) => [name.toUpperCase(), value]),
    ),
  });
});

it('knows how many sockets the other end makes', () => {
  const header = readFileSync(join(projectDir, 'guest/supervisor/sockets/sockets.h'), 'utf8');
  expect(Number(/^#define MOST_SOCKETS (\d+)$/m.exec(header)?.[1])).toBe(mostSockets);
});

it('answers after the client has sent its last', async () => {
  const port = await serve((socket) => {
    let length = 0;
    socket.on('data', (chunk: Buffer) => (length += chunk.length));
    socket.on('end', () => socket.end(`${length} bytes`));
  });
  const { hostPort } = await publish(port);
  expect(String(await exchange(hostPort, Buffer.alloc(3_000_000)))).toBe('3000000 bytes');
});

it('takes what the server sends after its client has nothing more to say, and the other way round', async () => {
  const got: string[] = [];
  let settle: (() => void) | undefined;
  const over = new Promise<void>((resolve) => (settle = resolve));
  const port = await serve((socket) => {
    socket.end('first');
    socket.on('data', (chunk: Buffer) => got.push(String(chunk)));
    socket.on('end', () => settle?.());
  });
  const { hostPort } = await publish(port);
  const client = connect({ port: hostPort, host: '127.0.0.1', allowHalfOpen: true });
  const [answer] = (await once(client, 'data')) as [Buffer];
  await once(client, 'end');
  client.end('second');
  await over;
  expect([String(answer), ...got]).toEqual(['first', 'second']);
});

it('carries many connections at once, each its own bytes', async () => {
  const port = await serve((socket) => socket.pipe(socket));
  const { hostPort } = await publish(port);
  const sent = Array.from({ length: 100 }, (_, i) => Buffer.alloc(100_000, `${i} `));
  const answers = await Promise.all(sent.map((data) => exchange(hostPort, data)));
  expect(answers.every((answer, i) => answer.equals(sent[i] ?? Buffer.alloc(0)))).toBe(true);
});

it('lets others go on while one connection is not read', async () => {
  const port = await serve((socket) => socket.pipe(socket));
  const { hostPort } = await publish(port);
  const stuck = connect({ port: hostPort, host: '127.0.0.1' });
  stuck.pause();
  stuck.write(Buffer.alloc(20_000_000));
  expect(String(await exchange(hostPort, 'through'))).toBe('through');
  stuck.destroy();
});

it('resets a client where nobody listens, and goes on', async () => {
  const port = await serve((socket) => socket.end('here'));
  const [nobody, somebody] = [await publish(9), await publish(port)];
  const client = connect({ port: nobody.hostPort, host: '127.0.0.1' });
  const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException];
  expect(error.code).toBe('ECONNRESET');
  expect(String(await exchange(somebody.hostPort, ''))).toBe('here');
});

it('carries datagrams both ways', async () => {
  const server = createSocket('udp4');
  server.on('message', (data, from) => server.send(`${String(data)} back`, from.port, from.address));
  await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve));
  const { hostPort } = await publish(server.address().port, 'udp');
  const client = createSocket('udp4');
  client.send('there and', hostPort, '127.0.0.1');
  const [answer] = (await once(client, 'message')) as [Buffer];
  expect(String(answer)).toBe('there and back');
  client.close();
  server.close();
});

it('ends its connections with the session', async () => {
  const port = await serve((socket) => socket.write('hello'));
  const { hostPort } = await publish(port);
  const client = connect({ port: hostPort, host: '127.0.0.1' });
  client.on('error', () => undefined);
  await once(client, 'data');
  // reset, or closed
  const closed = new Promise((resolve) => client.once('close', resolve));
  inside.kill('SIGKILL');
  await tunnel.ended;
  await closed;
  expect(tunnel.isOver).toBe(true);
});

it('refuses a port that is taken, in words of Docker', async () => {
  const port = await serve(() => undefined);
  const wanted = { containerPort: 80, protocol: 'tcp' as const, hostIp: '127.0.0.1', hostPort: port };
  await expect(PortListeners.open([wanted], 'web', () => Promise.reject(new Error('no')))).rejects.toThrow(
    `Bind for 127.0.0.1:${port} failed: port is already allocated`,
  );
});

describe('a port of no address', () => {
  const noDial = (): Promise<never> => Promise.reject(new Error('no'));
  const wanted = { containerPort: 7, protocol: 'tcp', hostIp: '', hostPort: 0 } as const;

  it('is one number on all addresses of both families', async () => {
    for (const protocol of ['tcp', 'udp'] as const) {
      const listeners = await PortListeners.open([{ ...wanted, protocol }], 'web', noDial);
      opened.push(listeners);
      expect(listeners.bound.map(({ hostIp }) => hostIp)).toEqual(['0.0.0.0', '::']);
      expect(new Set(listeners.bound.map(({ hostPort }) => hostPort)).size).toBe(1);
    }
  });

  it('is refused where either family has it taken, and nothing is left of what was tried', async () => {
    const ipv6 = { ...wanted, hostIp: '::' };
    const taken = await PortListeners.open([ipv6], 'other', noDial);
    opened.push(taken);
    const { hostPort = 0 } = taken.bound[0] ?? {};
    const fixed = { ...wanted, hostPort };
    await expect(PortListeners.open([fixed], 'web', noDial)).rejects.toThrow(
      `endpoint web: Bind for [::]:${hostPort} failed: port is already allocated`,
    );
    const ipv4 = await PortListeners.open([{ ...fixed, hostIp: '0.0.0.0' }], 'web', noDial);
    opened.push(ipv4);
  });
});
