import type { PublishedPort } from '../../../src/network/network';
import type { EndpointRecord } from '../../../src/network/network-record';
import { NetdError } from '../../../src/network/netd-client';
import type { NetdRequester } from '../../../src/network/netd-client';
import type { NetdPort } from '../../../src/network/addresses/netd-protocol';
import { PortPublisher } from '../../../src/network/port-publisher';
import { MemoryDocuments } from './memory-documents';

/** A netd in which some host ports are somebody else's. */
class FakeNetd {
  open: NetdPort[] = [];
  readonly taken = new Set<string>();

  request(op: string, params: NetdPort & { only?: NetdPort }): Promise<object> {
    const same = (one: NetdPort, two: NetdPort): boolean =>
      one.hostIp === two.hostIp && one.hostPort === two.hostPort && one.protocol === two.protocol;
    if (op === 'port.close') {
      const { containerId, only } = params;
      this.open = this.open.filter(
        (port) => port.containerId !== containerId || (only !== undefined && !same(port, only)),
      );
    } else {
      if (this.taken.has(`${params.hostIp} ${params.hostPort}`))
        return Promise.reject(new NetdError('bind', 'EADDRINUSE'));
      if (params.hostIp === '203.0.113.1') return Promise.reject(new NetdError('bind', 'EADDRNOTAVAIL'));
      this.open.push(params);
    }
    return Promise.resolve({ hostPort: params.hostPort });
  }

  listening(): string[] {
    return this.open.map(({ containerId, hostIp, hostPort }) => `${containerId} ${hostIp} ${hostPort}`);
  }
}

let netd: FakeNetd;
let documents: MemoryDocuments;
let publisher: PortPublisher;
// the fake knows the two operations of ports
const requester = ((op: string, params: NetdPort) => netd.request(op, params)) as unknown as NetdRequester;
const tcp = { protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 0 } as const;

beforeEach(() => {
  netd = new FakeNetd();
  documents = new MemoryDocuments();
  publisher = new PortPublisher(documents, { request: requester });
});

function endpoint(containerId: string): EndpointRecord {
  return {
    containerId,
    containerName: containerId,
    id: 'e',
    networkId: 'n',
    ipv4Address: '172.17.0.2',
  } as EndpointRecord;
}

it('stands for both families, with one number', async () => {
  netd.taken.add(':: 32768');
  const ports = await publisher.publish(endpoint('a'), '0.0.0.0', [tcp]);
  expect(ports.map(({ hostIp, hostPort }) => [hostIp, hostPort])).toEqual([
    ['0.0.0.0', 32769],
    ['::', 32769],
  ]);
  expect(netd.listening()).toEqual(['a 0.0.0.0 32769', 'a :: 32769']);
  expect(publisher.published('a')).toEqual(ports);
});

it("uses the network's own address where none is named", async () => {
  await publisher.publish(endpoint('a'), '127.0.0.1', [{ ...tcp, hostPort: 80 }]);
  expect(netd.listening()).toEqual(['a 127.0.0.1 80']);
});

it('leaves alone what is published just so, and binds anew what leads elsewhere', async () => {
  const ports = await publisher.publish(endpoint('a'), '0.0.0.0', [tcp]);
  const open = [...netd.open];
  expect(await publisher.publish(endpoint('a'), '0.0.0.0', ports)).toEqual(ports);
  expect(netd.open.map((port, index) => port === open[index])).toEqual([true, true]);
  await publisher.publish({ ...endpoint('a'), ipv4Address: '172.17.0.9' }, '0.0.0.0', ports);
  expect(netd.open.map(({ targetAddress }) => targetAddress)).toEqual(['172.17.0.9', '172.17.0.9']);
});

it('closes everything when one port is taken', async () => {
  netd.taken.add('0.0.0.0 8081');
  await expect(
    publisher.publish(endpoint('a'), '0.0.0.0', [
      { ...tcp, hostPort: 8080 },
      { ...tcp, hostPort: 8081 },
    ]),
  ).rejects.toThrow('Error starting userland proxy: listen tcp4 0.0.0.0:8081: bind: address already in use');
  expect([netd.open, publisher.published('a')]).toEqual([[], []]);
});

it.each([
  [
    '203.0.113.1',
    80,
    'Error starting userland proxy: listen tcp4 203.0.113.1:80: bind: cannot assign requested address',
  ],
  ['::', 81, 'Error starting userland proxy: listen tcp6 [::]:81: bind: address already in use'],
])('says why %s:%d cannot be bound', async (hostIp, hostPort, message) => {
  netd.taken.add(':: 81');
  await expect(publisher.publish(endpoint('a'), '0.0.0.0', [{ ...tcp, hostIp, hostPort }])).rejects.toThrow(
    message,
  );
});

it('knows what its own containers hold', async () => {
  await publisher.publish(endpoint('a'), '0.0.0.0', [{ ...tcp, hostPort: 8080 }]);
  await expect(publisher.publish(endpoint('b'), '0.0.0.0', [{ ...tcp, hostPort: 8080 }])).rejects.toThrow(
    'Bind for 0.0.0.0:8080 failed: port is already allocated',
  );
  await publisher.unpublish('a');
  await publisher.publish(endpoint('b'), '0.0.0.0', [{ ...tcp, hostPort: 8080 }]);
  expect(netd.listening()).toEqual(['b 0.0.0.0 8080', 'b :: 8080']);
});

it('searches a range and gives up at its end', async () => {
  const range = { ...tcp, hostPort: 8000, hostPortEnd: 8001 };
  const number = async (name: string): Promise<number | undefined> =>
    (await publisher.publish(endpoint(name), '0.0.0.0', [range]))[0]?.hostPort;
  expect([await number('a'), await number('b')]).toEqual([8000, 8001]);
  await expect(number('c')).rejects.toThrow('all ports are allocated');
});

it('brings a netd that was started anew, or kept running, to the records', async () => {
  await publisher.publish(endpoint('a'), '0.0.0.0', [{ ...tcp, hostPort: 8080 }]);
  await publisher.publish(endpoint('b'), '0.0.0.0', [{ ...tcp, hostPort: 8081 }]);
  const kept = netd.open;
  netd.open = [];
  await publisher.synchronize(requester, []);
  expect(netd.open).toEqual(kept);
  const stale = { ...kept[0]!, containerId: 'gone', hostPort: 9 };
  netd.open = [kept[0]!, stale];
  await publisher.synchronize(requester, netd.open);
  expect(netd.listening().sort()).toEqual(['a 0.0.0.0 8080', 'a :: 8080', 'b 0.0.0.0 8081', 'b :: 8081']);
});

it('forgets containers that are gone', async () => {
  await publisher.publish(endpoint('a'), '0.0.0.0', [{ ...tcp, hostPort: 8080 }]);
  publisher.forget(() => false);
  expect(publisher.published('a')).toEqual([]);
});

describe('ports that follow what a container listens on', () => {
  const port = (hostPort: number, containerPort = hostPort): PublishedPort => ({
    protocol: 'tcp',
    hostIp: '0.0.0.0',
    hostPort,
    containerPort,
  });

  it('come and go by themselves, and those that stay are not touched', async () => {
    expect(await publisher.follow(endpoint('a'), 'a', [port(80), port(81)])).toEqual([]);
    const [kept] = netd.open;
    await publisher.follow(endpoint('a'), 'a', [port(80), port(82)]);
    expect(netd.listening()).toEqual(['a 0.0.0.0 80', 'a 0.0.0.0 82']);
    expect(netd.open[0]).toBe(kept);
    // the same port of the host, which leads elsewhere now
    await publisher.follow(endpoint('a'), 'a', [port(80, 40_000)]);
    expect(netd.open.map(({ targetPort }) => targetPort)).toEqual([40_000]);
    await publisher.follow(endpoint('a'), 'a', []);
    expect(publisher.published('a')).toEqual([]);
    expect(netd.open).toEqual([]);
  });

  it('are told of where somebody else has them, and are had later', async () => {
    netd.taken.add('0.0.0.0 80');
    await publisher.publish(endpoint('b'), '0.0.0.0', [{ ...tcp, hostPort: 81 }]);
    const refused = await publisher.follow(endpoint('a'), 'a', [port(80), port(81), port(82)]);
    expect(refused.map(({ port: { hostPort }, reason }) => [hostPort, reason])).toEqual([
      [80, expect.stringContaining('bind: address already in use')],
      [81, 'Bind for 0.0.0.0:81 failed: port is already allocated'],
    ]);
    expect(publisher.published('a')).toEqual([port(82)]);
    netd.taken.clear();
    await publisher.unpublish('b');
    expect(await publisher.follow(endpoint('a'), 'a', [port(80), port(81), port(82)])).toEqual([]);
    expect(publisher.published('a')).toHaveLength(3);
  });
});
