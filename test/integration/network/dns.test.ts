// The name service, asked from inside guests.

import { resolve } from 'node:path';

import type { Endpoint } from '../../../src/network/network';
import { containerIdOf, FakeGuest, NetworkLab } from './network-lab';

jest.setTimeout(30_000);

interface Member {
  guest: FakeGuest;
  endpoint: Endpoint;
}

const packetModule = JSON.stringify(resolve(__dirname, '../../../node_modules/dns-packet'));
let lab: NetworkLab;
let web: Member;
let db: Member;
let inside: Member;
let plain: Member;

/** A resolver of the outside: every name has the address 1.2.3.4, but for `nx.`; large answers come over TCP only. */
const resolver = (address: string): string => `
const packet = require(${packetModule}), dgram = require('dgram'), net = require('net');
const reply = (query, tcp) => {
  const q = packet.decode(query), name = q.questions[0].name;
  const rcode = name.startsWith('nx.') ? 3 : 0, cut = name.startsWith('large.') && !tcp ? 512 : 0;
  const answers = rcode || cut ? [] : [{ type: 'A', name, ttl: 5, data: '${address}' }];
  return packet.encode({ type: 'response', id: q.id, flags: 384 | rcode | cut, questions: q.questions, answers });
};
const udp = dgram.createSocket('udp4');
udp.on('message', (m, from) => udp.send(reply(m, false), from.port, from.address)).bind(53, '${address.startsWith('1.') ? '192.0.2.1' : address}', () => console.log('up'));
net.createServer((s) => s.on('error', () => {}).on('data', (d) => s.write(packet.streamEncode(packet.decode(reply(d.subarray(2), true)))))).listen(53, '192.0.2.1');
`;

beforeAll(async () => {
  lab = await NetworkLab.open({ resolvConf: 'nameserver 192.0.2.1\n' });
  await lab.world.startNode(resolver('1.2.3.4'));
  await lab.manager.create({
    name: 'app',
    enableIpv6: true,
    ipam: { config: [{ subnet: '10.9.0.0/24' }, { subnet: 'fd99::/64' }] },
  });
  await lab.manager.create({ name: 'back' });
  await lab.manager.create({ name: 'vault', internal: true });
  web = await lab.join('app', '1n0', { containerName: 'Web', aliases: ['www', 'both'], dnsNames: ['host1'] });
  db = await lab.join('app', '2n0', {
    containerName: 'db',
    aliases: ['both'],
    links: { frontend: 'web' },
  });
  inside = await lab.join('vault', '3n0', { containerName: 'safe' });
  plain = await lab.join('bridge', '4n0', { containerName: 'plain' });
}, 60_000);

afterAll(() => lab.close());

const client = `
const packet = require(${packetModule}), dgram = require('dgram'), net = require('net');
const [server, type, name, protocol] = process.argv.slice(2);
const query = { type: 'query', id: 7, flags: packet.RECURSION_DESIRED, questions: [{ type, name }] };
const show = (r) => {
  const data = r.answers.map((a) => a.data).sort();
  console.log(JSON.stringify([r.rcode, ...(r.flag_tc ? ['truncated'] : []), ...data]));
  process.exit();
};
setTimeout(() => { console.log('"timeout"'); process.exit(); }, 60000);
if (protocol === 'tcp') {
  const s = net.connect(53, server, () => s.write(packet.streamEncode(query)));
  s.on('data', (d) => show(packet.streamDecode(d)));
} else {
  const s = dgram.createSocket(server.includes(':') ? 'udp6' : 'udp4');
  s.on('message', (m) => show(packet.decode(m)));
  s.send(packet.encode(query), 53, server);
}`;

/** The reply's code and data, sorted. */
async function ask(
  from: Member,
  name: string,
  type = 'A',
  protocol = 'udp',
  server = from.endpoint.dnsServers[0]!,
): Promise<unknown> {
  const { output } = await from.guest.node(client, server, type, name, protocol);
  return JSON.parse(output) as unknown;
}

describe('names of containers', () => {
  it('are the name, the short id, aliases, and these with the network', async () => {
    const { ipv4Address } = web.endpoint;
    for (const name of [
      'web',
      'WEB',
      'www',
      'host1',
      containerIdOf('1n0').slice(0, 12),
      'web.app',
      'www.app.',
    ]) {
      expect(await ask(db, name)).toEqual(['NOERROR', ipv4Address]);
    }
    expect(await ask(db, 'web', 'A', 'tcp')).toEqual(['NOERROR', ipv4Address]);
    expect(await ask(db, 'web', 'A', 'udp', 'fd99::1')).toEqual(['NOERROR', ipv4Address]);
  });

  it('have IPv6 addresses, and no data of other types', async () => {
    expect(await ask(db, 'web', 'AAAA')).toEqual(['NOERROR', web.endpoint.ipv6Address]);
    expect(await ask(db, 'web', 'MX')).toEqual(['NOERROR']);
    expect(await ask(inside, 'safe', 'AAAA')).toEqual(['NOERROR']);
  });

  it('may stand for several', async () => {
    expect(await ask(web, 'both')).toEqual(['NOERROR', web.endpoint.ipv4Address, db.endpoint.ipv4Address]);
  });

  it('are found by address', async () => {
    const reverse = (address: string): string => `${address.split('.').reverse().join('.')}.in-addr.arpa`;
    expect(await ask(db, reverse(web.endpoint.ipv4Address), 'PTR')).toEqual(['NOERROR', 'Web.app']);
    expect(await ask(inside, reverse(web.endpoint.ipv4Address), 'PTR')).toEqual(['SERVFAIL']);
  });

  it('of links are known to the container that has them', async () => {
    expect(await ask(db, 'frontend')).toEqual(['NOERROR', web.endpoint.ipv4Address]);
    expect(await ask(web, 'frontend')).toEqual(['NOERROR', '1.2.3.4']);
  });

  it('are not known on other networks, nor on the default bridge', async () => {
    expect(await ask(inside, 'web')).toEqual(['SERVFAIL']);
    expect(await ask(plain, 'plain')).toEqual(['NOERROR', '1.2.3.4']);
  });

  it('are known from every network that the asker is on', async () => {
    const there = await lab.join('back', '5n0', { containerName: 'there' });
    const { id: networkId } = await lab.manager.resolve('back');
    const second = await lab.manager.allocate({
      networkId,
      containerId: db.endpoint.containerId,
      containerName: 'db',
      aliases: [],
    });
    const tap = new FakeGuest(lab.runDir, lab.namespacePath, 'cv2n1');
    lab.guests.push(tap);
    await lab.manager.attach(second, 'cv2n1');
    expect(await ask(db, 'there')).toEqual(['NOERROR', there.endpoint.ipv4Address]);
    expect(await ask(web, 'there')).toEqual(['NOERROR', '1.2.3.4']);
    await lab.manager.release(networkId, db.endpoint.containerId);
    expect(await ask(db, 'there')).toEqual(['NOERROR', '1.2.3.4']);
  });

  it('come and go with the container', async () => {
    await lab.manager.detach(web.guest.tapName);
    expect(await ask(db, 'www')).toEqual(['NOERROR', '1.2.3.4']);
    await lab.manager.attach(web.endpoint, web.guest.tapName);
    expect(await ask(db, 'www')).toEqual(['NOERROR', web.endpoint.ipv4Address]);
  });
});

describe('other names', () => {
  it('are forwarded, over UDP and TCP', async () => {
    expect(await ask(db, 'example.org')).toEqual(['NOERROR', '1.2.3.4']);
    expect(await ask(db, 'nx.example.org')).toEqual(['NXDOMAIN']);
    expect(await ask(db, 'large.example.org')).toEqual(['NOERROR', 'truncated']);
    expect(await ask(db, 'large.example.org', 'A', 'tcp')).toEqual(['NOERROR', '1.2.3.4']);
    expect(await ask(plain, 'example.org')).toEqual(['NOERROR', '1.2.3.4']);
  });

  it('are refused to internal networks', async () => {
    expect(await ask(inside, 'example.org')).toEqual(['SERVFAIL']);
    expect(await ask(inside, 'safe')).toEqual(['NOERROR', inside.endpoint.ipv4Address]);
  });

  it("go to the container's own servers", async () => {
    lab.world.run('ip', 'addr', 'add', '192.0.2.9/24', 'dev', 'eth0');
    await lab.world.startNode(resolver('192.0.2.9').replace(/net\.createServer.*\n/, ''));
    const own = await lab.join('app', '6n0', { containerName: 'own', dnsUpstreams: ['192.0.2.9'] });
    expect(await ask(own, 'example.org')).toEqual(['NOERROR', '192.0.2.9']);
  });

  it('end in SERVFAIL when nobody answers', async () => {
    const lost = await lab.join('app', '7n0', { containerName: 'lost', dnsUpstreams: ['203.0.113.1'] });
    expect(await ask(lost, 'example.org')).toEqual(['SERVFAIL']);
  });
});

describe('hostile clients', () => {
  it('do not stop it with garbage', async () => {
    await web.guest.node(`
      const s = require('dgram').createSocket('udp4');
      const crypto = require('crypto');
      for (let i = 0; i < 2000; i++) s.send(crypto.randomBytes(i % 600), 53, '10.9.0.1');
      const loop = Buffer.from('000701000001000000000000c00cc00c00010001', 'hex');
      s.send(loop, 53, '10.9.0.1', () => s.close());`);
    expect(await ask(db, 'web')).toEqual(['NOERROR', web.endpoint.ipv4Address]);
  });

  it('do not take it from others with a flood', async () => {
    const flood = await web.guest.startNode(`
      const packet = require(${packetModule});
      const s = require('dgram').createSocket('udp4');
      const q = packet.encode({ type: 'query', id: 1, flags: 256, questions: [{ type: 'A', name: 'example.org' }] });
      console.log('on'); s.on('error', () => {});
      (function more() { for (let i = 0; i < 200; i++) s.send(q, 53, '10.9.0.1', () => {}); setImmediate(more); })();`);
    expect(await ask(db, 'web')).toEqual(['NOERROR', web.endpoint.ipv4Address]);
    expect(await ask(db, 'example.org')).toEqual(['NOERROR', '1.2.3.4']);
    flood.kill('SIGKILL');
  });

  it('do not take it from others with idle connections', async () => {
    const idle = await web.guest.startNode(`
      let open = 0, reset = 0;
      for (let i = 0; i < 100; i++) {
        const s = require('net').connect(53, '10.9.0.1', () => { open++; s.write(Buffer.from([0])); });
        s.on('error', () => {}).on('close', () => { if (++reset === 84) console.log(open, reset); });
      }`);
    expect(await ask(db, 'web', 'A', 'tcp')).toEqual(['NOERROR', web.endpoint.ipv4Address]);
    idle.kill('SIGKILL');
  });
});

describe("a resolver on the host's loopback", () => {
  let other: NetworkLab;

  beforeAll(async () => {
    other = await NetworkLab.open({ resolvConf: 'nameserver 127.0.0.53\nsearch example.org\n' });
    await other.host.startNode(resolver('127.0.0.53').replace(/net\.createServer.*\n/, ''));
    await other.manager.create({ name: 'app' });
  }, 60_000);

  afterAll(() => other.close());

  it('is asked through the egress, with and without the name service', async () => {
    expect(await ask(await other.join('app', '1n0'), 'example.org')).toEqual(['NOERROR', '127.0.0.53']);
    const text = await other.manager.resolvConf({ dns: [], search: [], options: [], embedded: false });
    expect(text).toBe('search example.org\nnameserver 198.19.255.3\n');
    const answer = await ask(await other.join('bridge', '2n0'), 'example.org', 'A', 'udp', '198.19.255.3');
    expect(answer).toEqual(['NOERROR', '127.0.0.53']);
  });

  it('is named as Docker does for a network of the user', async () => {
    expect(
      await other.manager.resolvConf({ dns: ['9.9.9.9'], search: [], options: [], embedded: true }),
    ).toBe('search example.org\nnameserver 127.0.0.11\noptions ndots:0\n');
  });
});
