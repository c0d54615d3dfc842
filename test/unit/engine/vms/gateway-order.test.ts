import { gatewayEndpoint, gatewayOrder } from '../../../../src/engine/vms/gateway-order';
import type { AttachedEndpoint } from '../../../../src/engine/vms/running-pod';

function attached(networkName: string, more: Partial<AttachedEndpoint['endpoint']> = {}): AttachedEndpoint {
  const endpoint: AttachedEndpoint['endpoint'] = {
    id: networkName,
    networkId: networkName,
    networkName,
    containerId: 'c',
    macAddress: '02:42:0a:00:00:02',
    ipv4Address: '10.0.0.2',
    ipv4PrefixLength: 24,
    ipv4Gateway: '10.0.0.1',
    ipv6Address: '',
    ipv6PrefixLength: 0,
    ipv6Gateway: '',
    mtu: 1500,
    dnsServers: [],
    aliases: [],
    ...more,
  };
  return { networkName, endpoint, nic: 0 };
}

it('prefers both families, then names in their order, and internal networks last', () => {
  const order = gatewayOrder([
    attached('a-internal', { internal: true }),
    attached('z'),
    attached('b'),
    attached('y', { ipv6Gateway: 'fd00::1' }),
  ]);
  expect(order.map(({ networkName }) => networkName)).toEqual(['y', 'b', 'z', 'a-internal']);
});

it('has no gateway where nothing leads out', () => {
  expect(gatewayEndpoint([])).toBeUndefined();
  expect(gatewayEndpoint([attached('a', { internal: true })])).toBeUndefined();
  expect(gatewayEndpoint([attached('a', { internal: true }), attached('b')])?.networkName).toBe('b');
});
