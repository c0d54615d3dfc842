import { DaemonError } from '../../../src/errors';
import { parseSubnet } from '../../../src/network/addresses/addresses';
import type { EndpointRequest, NetworkCreateRequest } from '../../../src/network/network';
import { planNetwork } from '../../../src/network/network-plan';
import type { NetworkRecord } from '../../../src/network/network-record';
import { NetworkTable } from '../../../src/network/network-table';
import { MemoryDocuments } from './memory-documents';
import type { Contents } from './memory-documents';

let contents: Contents;
let table: NetworkTable;
let bridge: NetworkRecord;

beforeEach(() => {
  contents = new Map();
  table = new NetworkTable(new MemoryDocuments(contents));
  bridge = table.create(planNetwork.predefined('bridge'), []);
});

function reload(): NetworkTable {
  return new NetworkTable(new MemoryDocuments(contents));
}

function create(request: NetworkCreateRequest): NetworkRecord {
  return table.create(planNetwork.fromRequest(request), []);
}

function request(
  networkId: string,
  containerId: string,
  more: Partial<EndpointRequest> = {},
): EndpointRequest {
  return { networkId, containerId, containerName: containerId, aliases: [], ...more };
}

function thrown(work: () => unknown): [string, string] {
  try {
    work();
  } catch (error) {
    if (error instanceof DaemonError) return [error.code, error.message];
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('creating', () => {
  it('chooses subnet and gateway', () => {
    expect(bridge.ipam).toEqual([{ subnet: '172.17.0.0/16', gateway: '172.17.0.1' }]);
    expect(create({ name: 'a' }).ipam).toEqual([{ subnet: '172.18.0.0/16', gateway: '172.18.0.1' }]);
  });

  it('leaves subnets alone that the host reaches', () => {
    const record = table.create(planNetwork.fromRequest({ name: 'a' }), [parseSubnet('172.18.3.0/24')!]);
    expect(record.ipam[0]?.subnet).toBe('172.19.0.0/16');
  });

  it('keeps the subnets of a configuration with those of IPv4 first', () => {
    const config = ['fd00:5::/64', '10.5.0.0/24', 'fd00:6::/64', '10.6.0.0/24'].map((subnet) => ({ subnet }));
    const { ipam } = create({ name: 'a', enableIpv6: true, configOnly: true, ipam: { config } });
    expect(ipam.map(({ subnet }) => subnet)).toEqual([
      '10.5.0.0/24',
      '10.6.0.0/24',
      'fd00:5::/64',
      'fd00:6::/64',
    ]);
  });

  it('takes what the user asks for', () => {
    const config = {
      subnet: '10.5.0.0/24',
      ipRange: '10.5.0.128/25',
      gateway: '10.5.0.200',
      auxiliaryAddresses: { x: '10.5.0.128' },
    };
    const record = create({
      name: 'a',
      enableIpv6: true,
      ipam: { config: [config, { subnet: 'fd77::/64' }] },
    });
    expect(record.ipam).toEqual([config, { subnet: 'fd77::/64', gateway: 'fd77::1', hideGateway: true }]);
    const endpoint = table.allocate(request(record.id, 'c'));
    expect([endpoint.ipv4Address, endpoint.ipv6Address]).toEqual(['10.5.0.129', 'fd77::2']);
    expect(endpoint.macAddress).toBe('02:42:0a:05:00:81');
  });

  const overlap = ['Forbidden', 'Pool overlaps with other one on this address space'];
  const config = (
    ...pools: NonNullable<NonNullable<NetworkCreateRequest['ipam']>['config']>
  ): NetworkCreateRequest => ({ name: 'a', ipam: { config: pools } });
  it.each<[string, NetworkCreateRequest, string[]]>([
    ['another network', config({ subnet: '172.17.5.0/24' }), overlap],
    ['itself', config({ subnet: '10.1.0.0/16' }, { subnet: '10.1.1.0/24' }), overlap],
    ['what the egress uses', config({ subnet: '198.19.0.0/16' }), overlap],
    [
      'a gateway outside',
      config({ subnet: '10.5.0.0/24', gateway: '10.6.0.1' }),
      ['Internal', 'failed to allocate gateway (10.6.0.1): Requested address is out of range'],
    ],
    [
      'a gateway on the edge',
      config({ subnet: '10.5.0.0/24', gateway: '10.5.0.0' }),
      ['Internal', 'failed to allocate gateway (10.5.0.0): Address already in use'],
    ],
    [
      'an auxiliary that is the gateway',
      config({ subnet: '10.5.0.0/24', auxiliaryAddresses: { a: '10.5.0.1' } }),
      ['Internal', 'failed to allocate secondary ip address (a:10.5.0.1): Address already in use'],
    ],
    [
      'IPv6 without a subnet',
      { name: 'a', enableIpv6: true },
      [
        'NotFound',
        'could not find an available, non-overlapping IPv6 address pool among the defaults to assign to the network',
      ],
    ],
  ])('refuses %s', (_, wanted, expected) => {
    expect(thrown(() => create(wanted))).toEqual(expected);
    expect(table.records()).toEqual([bridge]);
    expect(reload().records()).toEqual([bridge]);
  });

  it('runs out of default pools', () => {
    for (let made = 1; made < 31; made++) create({ name: `n${made}` });
    expect(thrown(() => create({ name: 'last' }))).toEqual([
      'NotFound',
      'could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network',
    ]);
    table.remove(table.resolve('n7').id);
    expect(create({ name: 'last' }).ipam).toHaveLength(1);
  });
});

describe('finding', () => {
  it('is by id, name and unique prefix', () => {
    const one = create({ name: 'one' });
    expect(table.resolve(one.id)).toBe(one);
    expect(table.resolve('one')).toBe(one);
    expect(table.resolve(one.id.slice(0, 30))).toBe(one);
    expect(thrown(() => table.resolve('nope'))).toEqual(['NotFound', 'network nope not found']);
    expect(thrown(() => table.resolve(''))).toEqual(['NotFound', 'network  not found']);
    create({ name: 'one' });
    expect(thrown(() => table.resolve('one'))).toEqual([
      'InvalidParameter',
      'network one is ambiguous (2 matches found based on name)',
    ]);
  });
});

describe('endpoints', () => {
  it('get the lowest free address, and again their own', () => {
    const first = table.allocate(request(bridge.id, 'one'));
    expect([first.ipv4Address, first.ipv4Gateway, first.macAddress]).toEqual([
      '172.17.0.2',
      '172.17.0.1',
      '02:42:ac:11:00:02',
    ]);
    expect(table.allocate(request(bridge.id, 'two')).ipv4Address).toBe('172.17.0.3');
    table.release(bridge.id, 'one');
    table.release(bridge.id, 'two');
    expect(table.allocate(request(bridge.id, 'two')).ipv4Address).toBe('172.17.0.3');
    expect(table.allocate(request(bridge.id, 'three')).ipv4Address).toBe('172.17.0.2');
    expect(table.allocate(request(bridge.id, 'one')).ipv4Address).toBe('172.17.0.4');
  });

  it('keep their addresses and take new names when they are asked for again', () => {
    const first = table.allocate(request(bridge.id, 'one', { aliases: ['a'] }));
    const again = table.allocate(request(bridge.id, 'one', { aliases: ['b'], containerName: '/renamed' }));
    expect(again).toEqual({ ...first, aliases: ['b'], containerName: 'renamed' });
  });

  it('survive a restart, and so do their addresses', () => {
    const endpoint = table.allocate(request(bridge.id, 'one'));
    const later = reload();
    expect(later.endpoint(bridge.id, 'one')).toEqual(endpoint);
    expect(later.allocate(request(bridge.id, 'two')).ipv4Address).toBe('172.17.0.3');
  });

  it('of a network that a crash removed halfway are dropped', () => {
    const gone = create({ name: 'gone' });
    table.allocate(request(gone.id, 'one'));
    contents.get('networks')?.delete(gone.id);
    expect(reload().endpointsOf('one')).toEqual([]);
    expect(contents.get('network-endpoints')?.size).toBe(0);
  });

  it('lead nowhere on internal networks', () => {
    const vault = create({ name: 'vault', internal: true });
    const endpoint = table.allocate(request(vault.id, 'one'));
    expect([endpoint.ipv4Gateway, endpoint.internal]).toEqual(['172.18.0.1', true]);
  });

  const userOnly = 'user specified IP address is supported on user defined networks only';
  const configured =
    'user specified IP address is supported only when connecting to networks with user configured subnets';
  it.each<[string, string, Partial<EndpointRequest>, string, string]>([
    ['on the default bridge', 'bridge', { ipv4Address: '172.17.0.9' }, 'InvalidParameter', userOnly],
    ['on a chosen subnet', 'auto', { ipv4Address: '172.18.0.9' }, 'InvalidParameter', configured],
    [
      'outside',
      'fixed',
      { ipv4Address: '10.8.0.9' },
      'Internal',
      "Invalid address 10.8.0.9: It does not belong to any of this network's subnets",
    ],
    ['in use', 'fixed', { ipv4Address: '10.7.0.9' }, 'Forbidden', 'Address already in use'],
    ['of the gateway', 'fixed', { ipv4Address: '10.7.0.1' }, 'Forbidden', 'Address already in use'],
    ['garbage', 'fixed', { ipv4Address: 'x' }, 'Internal', 'Invalid IPv4 address: x)'],
    [
      'a bad MAC address',
      'fixed',
      { macAddress: 'ff:ff:ff:ff:ff:ff' },
      'Internal',
      'address ff:ff:ff:ff:ff:ff: invalid MAC address',
    ],
    [
      'a bad link-local address',
      'fixed',
      { linkLocalIps: ['1; drop'] },
      'Internal',
      'Invalid link-local IP address: [1; drop]',
    ],
    [
      'that is not link-local as such',
      'fixed',
      { linkLocalIps: ['1.2.3.4'] },
      'Internal',
      'invalid link local IP address: 1.2.3.4',
    ],
    [
      'on a configuration',
      'configuration',
      {},
      'Forbidden',
      'cannot create endpoint on configuration-only network',
    ],
  ])('refuse an address %s and take nothing', (_, name, wanted, code, message) => {
    create({ name: 'auto' });
    create({ name: 'configuration', configOnly: true });
    const fixed = create({ name: 'fixed', ipam: { config: [{ subnet: '10.7.0.0/24' }] } });
    table.allocate(request(fixed.id, 'holder', { ipv4Address: '10.7.0.9' }));
    expect(thrown(() => table.allocate(request(table.resolve(name).id, 'one', wanted)))).toEqual([
      code,
      message,
    ]);
    expect(table.endpointsOf('one')).toEqual([]);
    expect(table.allocate(request(fixed.id, 'next')).ipv4Address).toBe('10.7.0.2');
  });

  it("run out in Docker's words", () => {
    const tiny = create({ name: 'tiny', ipam: { config: [{ subnet: '10.7.0.0/30' }] } });
    table.allocate(request(tiny.id, 'one'));
    expect(thrown(() => table.allocate(request(tiny.id, 'two')))).toEqual([
      'Internal',
      `no available IPv4 addresses on this network's address pools: tiny (${tiny.id})`,
    ]);
  });
});

it('an endpoint that is refused holds no address of either family', () => {
  const config = [{ subnet: '10.5.0.0/24' }, { subnet: 'fd00:5::/64' }];
  const { id } = create({ name: 'six', enableIpv6: true, ipam: { config } });
  expect(thrown(() => table.allocate(request(id, 'a', { macAddress: 'x' })))[1]).toBe(
    'address x: invalid MAC address',
  );
  expect(thrown(() => table.allocate(request(id, 'a', { ipv6Address: 'x' })))[1]).toBe(
    'Invalid IPv6 address: x)',
  );
  expect(table.allocate(request(id, 'a'))).toMatchObject({
    ipv4Address: '10.5.0.2',
    ipv6Address: 'fd00:5::2',
  });
});
