// Published ports, from the host's side.

import type { Endpoint, PublishedPort } from '../../../src/network/network';
import { containerIdOf, NetworkLab } from './network-lab';
import type { FakeGuest } from './network-lab';

jest.setTimeout(60_000);

let lab: NetworkLab;
let web: { guest: FakeGuest; endpoint: Endpoint };
let second: { guest: FakeGuest; endpoint: Endpoint };

/** A server in the guest: echoes on 80, resets on 81, answers after the client's half-close on 82, UDP echo on 90. */
const server = `
const net = require('net'), dgram = require('dgram');
net.createServer((s) => { s.on('error', () => {}); s.pipe(s); }).listen(80);
net.createServer((s) => { s.on('error', () => {}); s.once('data', () => s.resetAndDestroy()); }).listen(81);
net.createServer({ allowHalfOpen: true }, (s) => {
  let bytes = 0;
  s.on('data', (d) => (bytes += d.length)).on('end', () => s.end('got ' + bytes)).on('error', () => {});
}).listen(82);
const udp = dgram.createSocket('udp4');
udp.on('message', (m, from) => udp.send('echo ' + m, from.port, from.address)).bind(90, () => console.log('listening'));
`;

beforeAll(async () => {
  lab = await NetworkLab.open();
  web = await lab.join('bridge', '1n0');
  second = await lab.join('bridge', '2n0');
  await web.guest.startNode(server);
}, 60_000);

afterAll(() => lab.close());

function publish(endpoint: Endpoint, ...ports: Partial<PublishedPort>[]): Promise<PublishedPort[]> {
  const filled = ports.map((port): PublishedPort => ({
    protocol: 'tcp',
    containerPort: 80,
    hostIp: '',
    hostPort: 0,
    ...port,
  }));
  return lab.manager.publish(endpoint.containerId, endpoint, filled);
}

/** Connects from the host; prints what it got, or the error's code. */
const client = `
const [host, port, how] = process.argv.slice(2);
const s = require('net').connect({ host, port: Number(port), allowHalfOpen: true });
let got = '';
s.on('data', (d) => { got += d; if (how === 'echo' && got === 'hello') s.end(); });
s.on('error', (e) => { console.log(e.code); process.exit(); });
s.on('end', () => { console.log(got); s.end(); });
if (how === 'upload') s.end(Buffer.alloc(4 << 20)); else s.write('hello');
`;

async function dial(host: string, port: number, how = 'echo'): Promise<string> {
  return (await lab.host.node(client, host, String(port), how)).output.trim();
}

describe('TCP', () => {
  it('carries both ways, on IPv4 and IPv6, with half-close and reset', async () => {
    const ports = await publish(
      web.endpoint,
      { hostPort: 8080 },
      { containerPort: 81, hostPort: 8081, hostIp: '127.0.0.1' },
      { containerPort: 82, hostPort: 8082, hostIp: '192.0.2.2' },
      { containerPort: 9999, hostPort: 8083, hostIp: '0.0.0.0' },
    );
    expect(ports.map(({ hostIp, hostPort }) => `${hostIp} ${hostPort}`)).toEqual([
      '0.0.0.0 8080',
      ':: 8080',
      '127.0.0.1 8081',
      '192.0.2.2 8082',
      '0.0.0.0 8083',
    ]);
    expect(await dial('127.0.0.1', 8080)).toBe('hello');
    expect(await dial('::1', 8080)).toBe('hello');
    expect(await dial('127.0.0.1', 8081)).toBe('ECONNRESET');
    expect(await dial('192.0.2.2', 8082, 'upload')).toBe(`got ${4 << 20}`);
    expect(await dial('127.0.0.1', 8082)).toBe('ECONNREFUSED');
    expect(await dial('127.0.0.1', 8083)).toBe('ECONNRESET');
    expect((await lab.world.node(client, '192.0.2.2', '8080', 'echo')).output.trim()).toBe('hello');
  });

  it('carries 1,000 connections at once', async () => {
    const { output } = await lab.host.node(`
      const net = require('net'); let open = 0, right = 0;
      const sockets = Array.from({ length: 1000 }, (_, i) => {
        const s = net.connect(8080, '127.0.0.1', () => { if (++open === 1000) for (const each of sockets) each.write('x'); });
        s.on('data', () => { if (++right === 1000) { console.log('all'); process.exit(); } });
        s.on('error', (e) => console.log(e.code));
        return s;
      });`);
    expect(output.trim()).toBe('all');
  });

  it('goes on beside clients that say nothing, of which only so many are let in', async () => {
    const idle = await lab.host.startNode(`
      const net = require('net'); let left = 4200, refused = 0;
      const next = () => {
        if (left-- <= 0) return;
        const socket = net.connect(8080, '127.0.0.1', () => socket.write('x'));
        socket.on('error', () => {}).once('data', next).once('close', () => { next(); if (++refused === 104) console.log('refused'); });
      };
      for (let i = 0; i < 50; i++) next();`);
    expect(await dial('127.0.0.1', 8081)).toBe('ECONNRESET');
    expect(await dial('192.0.2.2', 8082, 'upload')).toBe(`got ${4 << 20}`);
    await publish(second.endpoint, { hostPort: 8084, hostIp: '127.0.0.1', containerPort: 9999 });
    expect(await dial('127.0.0.1', 8084)).toBe('ECONNRESET');
    await lab.manager.unpublish(second.endpoint.containerId);
    idle.kill('SIGKILL');
  });

  it('survives clients that reset', async () => {
    await lab.host.node(`
      const net = require('net'); let left = 100;
      for (let i = 0; i < 100; i++) {
        const s = net.connect(8080, '127.0.0.1', () => s.write('x', () => { s.resetAndDestroy(); if (--left === 0) process.exit(); }));
      }`);
    expect(await dial('127.0.0.1', 8080)).toBe('hello');
  });

  it('is reached by other containers at their gateway', async () => {
    expect((await second.guest.node(client, '172.17.0.1', '8080', 'echo')).output.trim()).toBe('hello');
  });

  it('ends with unpublish', async () => {
    await lab.manager.unpublish(web.endpoint.containerId);
    expect(await dial('127.0.0.1', 8080)).toBe('ECONNREFUSED');
    expect(await lab.manager.publishedPorts(web.endpoint.containerId)).toEqual([]);
  });
});

it('carries datagrams, each client its own answers', async () => {
  await publish(web.endpoint, { protocol: 'udp', containerPort: 90, hostPort: 9090 });
  const { output } = await lab.host.node(`
    const dgram = require('dgram'); const got = [];
    for (const [i, address] of ['127.0.0.1', '127.0.0.1', '::1'].entries()) {
      const s = dgram.createSocket(i === 2 ? 'udp6' : 'udp4');
      s.on('message', (m) => { got.push(String(m)); if (got.length === 3) { console.log(got.sort().join()); process.exit(); } });
      s.send(String(i), 9090, address);
    }`);
  expect(output.trim()).toBe('echo 0,echo 1,echo 2');
});

describe('numbers', () => {
  it('are chosen where none is given, the same for both families', async () => {
    const [four, six] = await publish(web.endpoint, {});
    expect(four).toMatchObject({ hostIp: '0.0.0.0' });
    expect(six).toMatchObject({ hostIp: '::', hostPort: four!.hostPort });
    expect(four!.hostPort).toBeGreaterThanOrEqual(32768);
    expect(await dial('127.0.0.1', four!.hostPort)).toBe('hello');
  });

  it('are the first free ones of a range', async () => {
    await publish(web.endpoint, { hostPort: 8100, hostPortEnd: 8101 });
    const [port] = await publish(second.endpoint, { hostPort: 8100, hostPortEnd: 8101 });
    expect(port!.hostPort).toBe(8101);
  });

  it("that are taken are refused in Docker's words, and nothing stays open", async () => {
    const listener = await lab.host.serve(8201, 'taken');
    await publish(web.endpoint, { hostPort: 8200 });
    await expect(publish(second.endpoint, { hostPort: 8200 })).rejects.toThrow(
      'Bind for 0.0.0.0:8200 failed: port is already allocated',
    );
    await expect(publish(second.endpoint, { hostPort: 8202 }, { hostPort: 8201 })).rejects.toThrow(
      'Error starting userland proxy: listen tcp4 0.0.0.0:8201: bind: address already in use',
    );
    await expect(publish(second.endpoint, { hostIp: '203.0.113.9', hostPort: 8203 })).rejects.toThrow(
      'Error starting userland proxy: listen tcp4 203.0.113.9:8203: bind: cannot assign requested address',
    );
    expect(await dial('127.0.0.1', 8202)).toBe('ECONNREFUSED');
    listener.kill();
  });
});

describe('listeners outlive', () => {
  const rest = (milliseconds: number): Promise<void> =>
    new Promise((resolve) => setTimeout(resolve, milliseconds));

  it('the daemon: connections go on, and the next daemon can close them', async () => {
    await publish(web.endpoint, { hostPort: 8300 });
    const stream = lab.host.start(
      process.execPath,
      '-e',
      `
      const s = require('net').connect(8300, '127.0.0.1', () => s.write('a'));
      s.on('error', () => {}).on('data', (d) => process.stdout.write(d)); process.stdin.on('data', (d) => s.write(d)); s.on('close', () => process.exit());`,
    );
    const next = (): Promise<string> =>
      new Promise((resolve) => stream.stdout!.once('data', (d: Buffer) => resolve(String(d))));
    expect(await next()).toBe('a');
    await lab.process.kill();
    stream.stdin!.write('b');
    expect(await next()).toBe('b');
    expect(await dial('127.0.0.1', 8300)).toBe('hello');
    await lab.restart();
    stream.stdin!.write('c');
    expect(await next()).toBe('c');
    expect(await lab.manager.publishedPorts(containerIdOf('1n0'))).toHaveLength(2);
    await expect(publish(second.endpoint, { hostPort: 8300 })).rejects.toThrow('port is already allocated');
    await lab.manager.unpublish(containerIdOf('1n0'));
    expect(await dial('127.0.0.1', 8300)).toBe('ECONNREFUSED');
  });

  it('netd: it is started anew and listens again', async () => {
    await publish(web.endpoint, { hostPort: 8301 });
    process.kill(lab.childOfNetdHost('netd/main.js'), 'SIGKILL');
    let answer = '';
    for (let tried = 0; tried < 100 && answer !== 'hello'; tried++) {
      answer = await dial('127.0.0.1', 8301);
      if (answer !== 'hello') await rest(50);
    }
    expect(answer).toBe('hello');
  });

  it('netd-ports, and with it netd', async () => {
    const before = lab.childOfNetdHost('netd/main.js');
    process.kill(lab.childOfNetdHost('netd-ports'), 'SIGKILL');
    await lab.manager.publishedPorts(web.endpoint.containerId);
    let answer = '';
    for (let tried = 0; tried < 100 && answer !== 'hello'; tried++) {
      answer = lab.childOfNetdHost('netd/main.js') === before ? '' : await dial('127.0.0.1', 8301);
      if (answer !== 'hello') await rest(50);
    }
    expect(answer).toBe('hello');
  });

  it('netd: a port that is published meanwhile waits for it', async () => {
    process.kill(lab.childOfNetdHost('netd/main.js'), 'SIGKILL');
    await publish(second.endpoint, { hostPort: 8302 });
    expect(await lab.manager.publishedPorts(second.endpoint.containerId)).toHaveLength(2);
  });

  it('netd-host as well', async () => {
    process.kill(lab.netdHostPid(), 'SIGKILL');
    let answer = '';
    for (let tried = 0; tried < 100 && answer !== 'hello'; tried++) {
      answer = await dial('127.0.0.1', 8301);
      if (answer !== 'hello') await rest(50);
    }
    expect(answer).toBe('hello');
  });
});
