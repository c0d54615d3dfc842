// A guest whose root forges what it sends. The victim is on the same network, where only the rules protect it.

import { once } from 'node:events';
import { createInterface } from 'node:readline';

import { formatAddress, linkLocalOfMac } from '../../../src/network/addresses/addresses';
import type { Endpoint } from '../../../src/network/network';
import {
  arp,
  broadcast,
  ethernet,
  ipv4Udp,
  ipv6,
  neighbour,
  routerAdvertisement,
  udpOverIpv6,
} from './frames';
import { inNamespace, NetworkLab, spawnInNamespace } from './network-lab';
import type { FakeGuest } from './network-lab';

jest.setTimeout(30_000);

const strange = '02:42:66:66:66:66';
let lab: NetworkLab;
let attacker: { guest: FakeGuest; endpoint: Endpoint };
let victim: { guest: FakeGuest; endpoint: Endpoint };
let me: string;
let you: string;
let myIp: string;
let yourIp: string;
let gateway: string;
let bridge: string;

beforeAll(async () => {
  lab = await NetworkLab.open();
  const { id } = await lab.manager.create({
    name: 'six',
    enableIpv6: true,
    ipam: { config: [{ subnet: '10.66.0.0/24' }, { subnet: 'fd66::/64' }] },
  });
  bridge = `br-${id.slice(0, 12)}`;
  attacker = await lab.join('six', '1n0');
  victim = await lab.join('six', '2n0');
  me = attacker.endpoint.macAddress;
  you = victim.endpoint.macAddress;
  myIp = attacker.endpoint.ipv4Address;
  yourIp = victim.endpoint.ipv4Address;
  gateway = attacker.endpoint.ipv4Gateway;
  await attacker.guest.canPing(yourIp); // both know each other before anything else is on the wire
}, 60_000);

afterAll(() => lab.close());

const fence = (): string => ethernet(you, me, 0x0800, ipv4Udp(myIp, yourIp, [999, 999], 'the fence'));

/** A packet socket sees the outermost VLAN tag of what it receives only as metadata. */
function untagged(frame: string): string {
  const tagged = /^(.{24})(?:8100|88a8).{4}(.*)$/.exec(frame);
  return tagged === null ? frame : untagged(`${tagged[1]!}${tagged[2]!}`);
}

/** Frames that arrive at the victim (or a device of the private namespace) of those the attacker sends. */
async function arriving(frames: string[], where = victim.guest.path, device = 'eth0'): Promise<string[]> {
  const dump = spawnInNamespace(where, [lab.frameTool, 'dump', device, '10000']);
  const seen: string[] = [];
  const lines = createInterface(dump.stdout!);
  const done = new Promise<void>((resolve) => {
    lines.on('line', (line) => {
      // frames of the link layer's own housekeeping are none of the attacker's
      const found = frames.find((frame) => untagged(frame) === untagged(line));
      if (found !== undefined) seen.push(found);
      if (line === fence()) resolve();
    });
  });
  await once(lines, 'line'); // it says that it listens
  const { code, output } = await attacker.guest.tryRun(lab.frameTool, 'send', 'eth0', ...frames, fence());
  expect([code, output]).toEqual([0, '']);
  await done;
  dump.kill();
  return seen;
}

describe('what a guest may send arrives', () => {
  it('IPv4, ARP and IPv6 of its own', async () => {
    const mine6 = attacker.endpoint.ipv6Address;
    const frames = [
      ethernet(you, me, 0x0800, ipv4Udp(myIp, yourIp, [1, 2], 'own')),
      ethernet(broadcast, me, 0x0806, arp(1, me, myIp, '00:00:00:00:00:00', yourIp)),
      ethernet(you, me, 0x86dd, ipv6(mine6, victim.endpoint.ipv6Address, 17, udpOverIpv6([1, 2], 'own'), 6)),
      ethernet(you, me, 0x86dd, ipv6(mine6, victim.endpoint.ipv6Address, 58, neighbour(136, mine6, me), 2)),
    ];
    // its kernel may have sent the same advertisement by itself
    expect([...new Set(await arriving(frames))]).toEqual(frames);
    expect(await attacker.guest.canPing(victim.endpoint.ipv6Address)).toBe(true);
    expect(await attacker.guest.canPing(attacker.endpoint.ipv6Gateway)).toBe(true);
    expect(await attacker.guest.canPing(`${formatAddress(linkLocalOfMac(you))}%eth0`)).toBe(true);
  });
});

describe('what a guest forges does not arrive', () => {
  const cases: [string, () => string[]][] = [
    [
      'MAC address',
      () => [
        ethernet(you, strange, 0x0800, ipv4Udp(myIp, yourIp, [1, 2], 'mac')),
        ethernet(broadcast, strange, 0x0806, arp(1, me, myIp, you, yourIp)),
      ],
    ],
    [
      "the victim's own MAC address",
      () => [ethernet(broadcast, you, 0x0800, ipv4Udp(myIp, yourIp, [1, 2], 'mac'))],
    ],
    [
      'IPv4 address',
      () =>
        ['10.66.0.77', gateway, '8.8.8.8', '0.0.0.0', '255.255.255.255', yourIp].map((from) =>
          ethernet(you, me, 0x0800, ipv4Udp(from, yourIp, [1, 2], 'ip')),
        ),
    ],
    ['ARP answer for the gateway', () => [ethernet(you, me, 0x0806, arp(2, me, gateway, you, yourIp))]],
    [
      'ARP answer with another MAC address',
      () => [ethernet(you, me, 0x0806, arp(2, strange, myIp, you, yourIp))],
    ],
    ['gratuitous ARP', () => [ethernet(broadcast, me, 0x0806, arp(1, me, gateway, broadcast, gateway))]],
    [
      'ARP of a strange shape',
      () => [ethernet(you, me, 0x0806, [0, 6, 8, 0, 6, 4, 0, 2, ...arp(2, me, myIp, you, yourIp).slice(8)])],
    ],
    [
      'VLAN tags',
      () => {
        const payload = ipv4Udp(myIp, yourIp, [1, 2], 'vlan');
        return [
          ethernet(you, me, 0x0800, payload, [[0x8100, 101]]),
          ethernet(you, me, 0x0800, payload, [[0x8100, 0]]),
          ethernet(you, me, 0x0800, payload, [
            [0x88a8, 101],
            [0x8100, 102],
          ]),
          ethernet(you, me, 0x0806, arp(2, me, gateway, you, yourIp), [[0x8100, 101]]),
        ];
      },
    ],
    [
      'DHCP',
      () => [
        ethernet(broadcast, me, 0x0800, ipv4Udp('0.0.0.0', '255.255.255.255', [68, 67], 'discover')),
        ethernet(broadcast, me, 0x0800, ipv4Udp(myIp, '255.255.255.255', [67, 68], 'offer')),
        ethernet(
          you,
          me,
          0x86dd,
          ipv6(
            attacker.endpoint.ipv6Address,
            victim.endpoint.ipv6Address,
            17,
            udpOverIpv6([547, 546], 'reply'),
            6,
          ),
        ),
      ],
    ],
    [
      'IPv6 address',
      () =>
        ['fd66::77', attacker.endpoint.ipv6Gateway, 'fe80::1', victim.endpoint.ipv6Address].map((from) =>
          ethernet(
            you,
            me,
            0x86dd,
            ipv6(from, victim.endpoint.ipv6Address, 17, udpOverIpv6([1, 2], 'ip'), 6),
          ),
        ),
    ],
    [
      'neighbour advertisement',
      () =>
        [attacker.endpoint.ipv6Gateway, 'fe80::1', victim.endpoint.ipv6Address].map((target) =>
          ethernet(
            you,
            me,
            0x86dd,
            ipv6(
              attacker.endpoint.ipv6Address,
              victim.endpoint.ipv6Address,
              58,
              neighbour(136, target, me),
              2,
            ),
          ),
        ),
    ],
    [
      'duplicate address detection for an address of another',
      () => [
        ethernet(
          '33:33:00:00:00:01',
          me,
          0x86dd,
          ipv6('::', 'ff02::1', 58, neighbour(135, victim.endpoint.ipv6Address, me), 2),
        ),
      ],
    ],
    [
      'router advertisement',
      () => [
        ethernet(
          '33:33:00:00:00:01',
          me,
          0x86dd,
          ipv6(formatAddress(linkLocalOfMac(me)), 'ff02::1', 58, routerAdvertisement(me), 2),
        ),
      ],
    ],
    [
      'other protocols',
      () => [
        ethernet(you, me, 0x88cc, [1, 2, 3, 4]),
        ethernet('01:80:c2:00:00:00', me, 38, [0x42, 0x42, 3, 0, 0, 0, 0, ...Array<number>(31).fill(0)]),
        ethernet(you, me, 0x8864, [0x11, 0, 0, 1, 0, 2, 0, 0x21]),
      ],
    ],
  ];

  it.each(cases)('%s', async (_, frames) => {
    expect(await arriving(frames())).toEqual([]);
  });
});

describe('the private namespace itself', () => {
  it('learns no forged MAC address, not even from reserved destinations', async () => {
    const payload = ipv4Udp(myIp, gateway, [1, 2], 'learn');
    await arriving([
      ethernet('01:80:c2:00:00:0e', strange, 0x0800, payload),
      ethernet('01:80:c2:00:00:00', strange, 0x0800, payload),
      ethernet(you, strange, 0x0800, payload),
    ]);
    expect(inNamespace(lab.namespacePath, 'bridge', 'fdb', 'show', 'br', bridge)).not.toContain(strange);
  });

  it('keeps its neighbours and its own address', async () => {
    const before = inNamespace(lab.namespacePath, 'ip', 'neigh', 'show', gateway);
    await arriving([
      ethernet(broadcast, me, 0x0806, arp(1, me, yourIp, broadcast, yourIp)),
      ethernet(broadcast, me, 0x0806, arp(2, me, gateway, broadcast, gateway)),
    ]);
    expect(inNamespace(lab.namespacePath, 'ip', 'neigh', 'show', gateway)).toBe(before);
    expect(inNamespace(lab.namespacePath, 'ip', 'neigh', 'show', yourIp)).not.toContain(me);
  });

  it('routes nothing that reaches it beside the bridge', async () => {
    // handed to the IP layer on the tap itself, not on the bridge: neither input nor forward may take it
    const { guest, endpoint } = await lab.join('bridge', '3n0');
    const frame = ethernet(
      '01:80:c2:00:00:0e',
      me,
      0x0800,
      ipv4Udp(myIp, endpoint.ipv4Address, [1, 2], 'beside'),
    );
    const dump = spawnInNamespace(guest.path, [lab.frameTool, 'dump', 'eth0', '5000']);
    const seen: string[] = [];
    const lines = createInterface(dump.stdout!);
    lines.on('line', (line) => seen.push(line));
    await once(lines, 'line');
    await attacker.guest.tryRun(lab.frameTool, 'send', 'eth0', frame);
    await lab.manager.counters('cv3n0');
    await guest.canPing(endpoint.ipv4Gateway); // what was before it in the queues has come
    expect(seen.join()).not.toContain(Buffer.from('beside').toString('hex'));
    dump.kill();
  });

  it('is not flooded into by an unattached tap', async () => {
    await lab.manager.detach('cv1n0');
    expect(await attacker.guest.canPing(gateway)).toBe(false);
    await lab.manager.attach(attacker.endpoint, 'cv1n0');
    let reached = false;
    for (let tried = 0; tried < 5 && !reached; tried++) reached = await attacker.guest.canPing(gateway);
    expect(reached).toBe(true);
  });
});
