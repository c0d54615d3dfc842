import type { NetworkCreateRequest } from '../../../src/network/network';
import { planNetwork } from '../../../src/network/network-plan';

const swarm =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';
const options = (name: string, value: string): Partial<NetworkCreateRequest> => ({
  options: { [name]: value },
});
const config = (pool: object): Partial<NetworkCreateRequest> => ({ ipam: { config: [pool] } });

describe('a request', () => {
  it.each<[Partial<NetworkCreateRequest>, string, string]>([
    [{ name: '' }, 'Internal', 'invalid name: '],
    [{ name: 'bridge' }, 'Forbidden', 'operation is not permitted on predefined bridge network '],
    [{ name: 'default' }, 'Forbidden', 'operation is not permitted on predefined default network '],
    [{ driver: 'overlay' }, 'Internal', swarm],
    [{ driver: 'nope' }, 'NotFound', 'plugin "nope" not found'],
    [{ driver: 'macvlan' }, 'Internal', 'operation not supported'],
    [{ driver: 'host' }, 'Forbidden', 'only one instance of "host" network is allowed'],
    [{ driver: 'null' }, 'Forbidden', 'only one instance of "null" network is allowed'],
    [{ scope: 'swarm' }, 'Forbidden', 'cannot create a swarm scoped network when swarm is not active'],
    [{ ingress: true }, 'Forbidden', 'Ingress network can only be global scope network'],
    [{ ipam: { driver: 'nope' } }, 'NotFound', 'plugin "nope" not found'],
    [config({ subnet: 'garbage' }), 'Internal', 'Invalid subnet garbage : invalid CIDR address: garbage'],
    [config({ gateway: '10.1.1.1' }), 'Internal', 'Invalid subnet  : invalid CIDR address: '],
    [
      config({ subnet: '10.5.0.0/24', ipRange: '10.6.0.0/25' }),
      'InvalidParameter',
      'invalid ip-range 10.6.0.0/25: not in subnet 10.5.0.0/24',
    ],
    [
      options('com.docker.network.driver.mtu', 'abc'),
      'Internal',
      'failed to parse com.docker.network.driver.mtu value: abc (strconv.Atoi: parsing "abc": invalid syntax)',
    ],
    [options('com.docker.network.driver.mtu', '10'), 'Internal', 'invalid MTU: 10'],
    [
      options('com.docker.network.bridge.enable_icc', 'abc'),
      'Internal',
      'failed to parse com.docker.network.bridge.enable_icc value: abc (strconv.ParseBool: parsing "abc": invalid syntax)',
    ],
    [
      options('com.docker.network.bridge.host_binding_ipv4', 'x'),
      'Internal',
      'failed to parse com.docker.network.bridge.host_binding_ipv4 value: x (invalid ip)',
    ],
  ])('%j is refused', (wanted, code, message) => {
    expect(() => planNetwork.fromRequest({ name: 'n', ...wanted })).toThrow(
      expect.objectContaining({ code, message }) as Error,
    );
  });

  it('has defaults', () => {
    expect(planNetwork.fromRequest({ name: 'n' })).toMatchObject({
      driver: 'bridge',
      internal: false,
      mtu: 1500,
      interContainer: true,
      masquerade: true,
      hostBindingAddress: '0.0.0.0',
      subnets: [],
    });
  });

  it('has options', () => {
    const plan = planNetwork.fromRequest({
      name: 'n',
      options: {
        'com.docker.network.driver.mtu': '1400',
        'com.docker.network.bridge.enable_icc': 'false',
        'com.docker.network.bridge.enable_ip_masquerade': '0',
        'com.docker.network.bridge.host_binding_ipv4': '127.0.0.1',
        'org.example': 'kept',
      },
    });
    expect(plan).toMatchObject({
      mtu: 1400,
      interContainer: false,
      masquerade: false,
      hostBindingAddress: '127.0.0.1',
    });
    expect(plan.options['org.example']).toBe('kept');
  });

  it('without configuration only is no bridge', () => {
    expect(planNetwork.fromRequest({ name: 'n', configOnly: true }).driver).toBe('null');
  });
});
