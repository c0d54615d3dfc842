// Who reaches whom.

import { NetworkLab } from './network-lab';
import type { FakeGuest } from './network-lab';
import type { Endpoint } from '../../../src/network/network';

let lab: NetworkLab;
let one: FakeGuest;
let two: FakeGuest;
let other: { guest: FakeGuest; endpoint: Endpoint };
let inside: FakeGuest;

jest.setTimeout(30_000);

beforeAll(async () => {
  lab = await NetworkLab.open();
  await lab.manager.create({ name: 'red' });
  await lab.manager.create({ name: 'vault', internal: true });
  await lab.manager.create({ name: 'quiet', options: { 'com.docker.network.bridge.enable_icc': 'false' } });
  ({ guest: one } = await lab.join('bridge', '1n0'));
  ({ guest: two } = await lab.join('bridge', '2n0'));
  other = await lab.join('red', '3n0');
  ({ guest: inside } = await lab.join('vault', '4n0'));
}, 60_000);

afterAll(() => lab.close());

describe('on one network', () => {
  it('guests reach each other and their gateway', async () => {
    expect(await one.canPing('172.17.0.3')).toBe(true);
    expect(await two.canPing('172.17.0.2')).toBe(true);
    expect(await one.canPing('172.17.0.1')).toBe(true);
  });

  it('without inter-container communication they reach only the gateway', async () => {
    const { guest } = await lab.join('quiet', '5n0');
    const { endpoint } = await lab.join('quiet', '6n0');
    expect(await guest.canPing(endpoint.ipv4Address)).toBe(false);
    expect(await guest.canPing(endpoint.ipv4Gateway)).toBe(true);
  });
});

describe('between networks', () => {
  it('nobody reaches a guest of another network', async () => {
    expect(await one.canPing(other.endpoint.ipv4Address)).toBe(false);
    expect(await other.guest.canPing('172.17.0.2')).toBe(false);
    expect(await inside.canPing('172.17.0.2')).toBe(false);
  });

  it('nobody reaches the gateway address of another network', async () => {
    expect(await one.canPing(other.endpoint.ipv4Gateway)).toBe(false);
    expect((await one.tryRun('busybox', 'nc', '-w', '1', other.endpoint.ipv4Gateway, '53')).code).not.toBe(0);
  });
});

describe('to the outside', () => {
  it('guests reach other machines', async () => {
    await lab.world.serve(7000, 'from outside');
    expect(await one.fetch('192.0.2.1', 7000)).toBe('from outside');
  });

  it('guests of a network with IPv6 reach other machines with it', async () => {
    await lab.manager.create({
      name: 'six',
      enableIpv6: true,
      ipam: { config: [{ subnet: '10.66.0.0/24' }, { subnet: 'fd66::/64' }] },
    });
    const { guest } = await lab.join('six', '7n0');
    await lab.world.serve(7006, 'from outside', '2001:db8::1');
    let got = '';
    for (let tried = 0; tried < 5 && got !== 'from outside'; tried++)
      got = await guest.fetch('2001:db8::1', 7006);
    expect(got).toBe('from outside');
  });

  it('reach a service that listens on all addresses of the host, at their gateway', async () => {
    await lab.host.serve(7001, 'from the host');
    expect(await one.fetch('172.17.0.1', 7001)).toBe('from the host');
    expect(await other.guest.fetch(other.endpoint.ipv4Gateway, 7001)).toBe('from the host');
    expect(await lab.process.property('hostGateway')).toBe('172.17.0.1');
  });

  it("do not reach the host's loopback", async () => {
    await lab.host.serve(7002, 'secret', '127.0.0.1');
    expect(await lab.host.fetch('127.0.0.1', 7002)).toBe('secret');
    for (const address of [
      '172.17.0.1',
      '198.19.255.2',
      '198.19.255.3',
      '192.0.2.2',
      '127.0.0.1',
      '10.0.2.2',
    ]) {
      expect(await one.fetch(address, 7002)).not.toContain('secret');
    }
  });

  it('guests of an internal network reach neither', async () => {
    await lab.world.serve(7003, 'from outside');
    await lab.host.serve(7003, 'from the host');
    const { ipam } = await lab.manager.inspect('vault');
    const gateway = ipam[0]!.gateway!;
    inside.run('ip', 'route', 'replace', 'default', 'via', gateway);
    expect(await inside.fetch('192.0.2.1', 7003)).not.toContain('from');
    expect(await inside.fetch(gateway, 7003)).not.toContain('from');
    expect(await inside.canPing(gateway)).toBe(true);
  });
});

it('the gateway follows when the host gets another address', async () => {
  await lab.host.serve(7004, 'from the host');
  lab.host.run('ip', 'addr', 'del', '192.0.2.2/24', 'dev', 'uplink');
  lab.host.run('ip', 'addr', 'add', '192.0.2.22/24', 'dev', 'uplink');
  expect(await one.fetch('172.17.0.1', 7004)).not.toBe('from the host');
  await lab.process.kill();
  await lab.restart(); // or within half a minute
  expect(await one.fetch('172.17.0.1', 7004)).toBe('from the host');
});
