import type { NetworkIpamConfig } from '../../../src/network/network';
import { planNetwork } from '../../../src/network/network-plan';
import { requireValidPools } from '../../../src/network/network-pools';

const check = (config: NetworkIpamConfig[], more: { enableIpv6?: boolean; driver?: string } = {}): void => {
  const { driver, enableIpv6 = false } = more;
  const ipam = { config, ...(driver === undefined ? {} : { driver }) };
  requireValidPools(planNetwork.fromRequest({ name: 'net', enableIpv6, ipam }));
};

describe('what is wrong by itself', () => {
  it.each<[string, NetworkIpamConfig[], string]>([
    ['a gateway that is none', [{ subnet: '10.1.0.0/24', gateway: 'x' }], 'invalid gateway address x'],
    [
      'a gateway elsewhere',
      [{ subnet: '10.1.0.0/24', gateway: '10.2.0.1' }],
      'Requested address is out of range',
    ],
    ['a range that is none', [{ subnet: '10.1.0.0/24', ipRange: 'x' }], 'Invalid Address SubPool'],
    [
      'an auxiliary address elsewhere',
      [{ subnet: '10.1.0.0/24', auxiliaryAddresses: { a: '10.2.0.9' } }],
      'must belong to the master pool',
    ],
    ['a subnet twice', [{ subnet: '10.1.0.0/24' }, { subnet: '10.1.0.0/25' }], 'Pool overlaps'],
    [
      'two subnets',
      [{ subnet: '10.1.0.0/24' }, { subnet: '10.2.0.0/24' }],
      "bridge driver doesn't support multiple subnets",
    ],
  ])('%s', (_, config, message) => expect(() => check(config)).toThrow(message));

  it('a driver of addresses that is not there', () =>
    expect(() => check([], { driver: 'mine' })).toThrow('plugin "mine" not found'));
});

it('takes what other networks may have, and what the engine keeps for itself', () => {
  expect(() => check([{ subnet: '172.17.0.0/16', gateway: '172.17.0.1' }])).not.toThrow();
  expect(() =>
    check([{ subnet: '10.1.0.0/24' }, { subnet: 'fd00::/64' }], { enableIpv6: true }),
  ).not.toThrow();
  expect(() => check([])).not.toThrow();
});
