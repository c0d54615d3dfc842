import { bridgeOptions } from '../../../src/network/bridge-options';
import { formatSubnet } from '../../../src/network/addresses/addresses';
import { SubnetChooser } from '../../../src/network/addresses/ipam';
import { planNetwork, type BridgeDefaults } from '../../../src/network/network-plan';

const plain: BridgeDefaults = { mtu: 1500, interContainer: true, hostBindingAddress: '0.0.0.0' };

describe('the default bridge', () => {
  it.each([
    [plain, { subnet: '172.17.0.0/16' }],
    [
      { ...plain, bridgeAddress: '10.1.2.3/22' },
      { subnet: '10.1.0.0/22', gateway: '10.1.2.3' },
    ],
    [
      { ...plain, bridgeAddress: '10.1.0.1/24', fixedCidr: '10.1.0.128/25' },
      { subnet: '10.1.0.0/24', gateway: '10.1.0.1', ipRange: '10.1.0.128/25' },
    ],
  ])('%j', (defaults, subnet) => {
    expect(planNetwork.predefined('bridge', defaults).subnets).toEqual([subnet]);
  });

  it('has the options that were asked for, in inspect too', () => {
    const plan = planNetwork.predefined('bridge', {
      mtu: 1400,
      interContainer: false,
      hostBindingAddress: '127.0.0.1',
    });
    expect(bridgeOptions(plan.options)).toMatchObject({
      mtu: 1400,
      interContainer: false,
      hostBindingAddress: '127.0.0.1',
    });
    expect(plan.options).toMatchObject({
      'com.docker.network.driver.mtu': '1400',
      'com.docker.network.bridge.enable_icc': 'false',
      'com.docker.network.bridge.host_binding_ipv4': '127.0.0.1',
    });
  });

  it('refuses a range outside of it', () => {
    expect(() => planNetwork.predefined('bridge', { ...plain, fixedCidr: '10.0.0.0/24' })).toThrow(
      'invalid ip-range 10.0.0.0/24: not in subnet 172.17.0.0/16',
    );
  });
});

it('subnets come from the pools, in order, and none that is taken', () => {
  const chooser = new SubnetChooser([
    { base: '10.7.0.0/23', size: 24 },
    { base: '10.9.0.0/24', size: 24 },
  ]);
  const taken: NonNullable<ReturnType<SubnetChooser['choose']>>[] = [];
  for (let subnet = chooser.choose(taken); subnet !== undefined; subnet = chooser.choose(taken))
    taken.push(subnet);
  expect(taken.map(formatSubnet)).toEqual(['10.7.0.0/24', '10.7.1.0/24', '10.9.0.0/24']);
});
