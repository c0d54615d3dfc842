import type { NetworkCreateRequest } from '../../../src/network/network';
import { planNetwork } from '../../../src/network/network-plan';
import type { NetworkRecord } from '../../../src/network/network-record';

const swarm =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';
const config = (pool: object): Partial<NetworkCreateRequest> => ({ ipam: { config: [pool] } });

const noConfiguration =
  'user specified configurations are not supported if the network depends on a configuration network';
const noOperatorFields =
  'configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.';

function record(name: string, more: Partial<NetworkRecord> = {}): NetworkRecord {
  // what a plan reads of it
  return { id: `id-of-${name}`, name, ...more } as NetworkRecord;
}

const configuration = record('c', {
  configOnly: true,
  enableIpv6: true,
  labels: { a: 'b' },
  options: { 'com.docker.network.driver.mtu': '1400' },
  ipamDriver: 'default',
  ipamOptions: { x: 'y' },
  ipam: [{ subnet: '10.5.0.0/24', gateway: '10.5.0.9' }, { subnet: 'fd00:5::/64' }],
});

describe('a request', () => {
  it.each<[Partial<NetworkCreateRequest>, string, string]>([
    [{ name: '' }, 'Internal', 'invalid name: '],
    [{ name: 'bridge' }, 'Forbidden', 'operation is not permitted on predefined bridge network '],
    [{ name: 'default' }, 'Forbidden', 'operation is not permitted on predefined default network '],
    [{ driver: 'nope' }, 'NotFound', 'plugin "nope" not found'],
    [{ driver: 'default' }, 'NotFound', 'plugin "default" not found'],
    [{ checkDuplicate: true, name: 'known' }, 'Conflict', 'network with name known already exists'],
    [{ driver: 'host' }, 'Forbidden', 'only one instance of "host" network is allowed'],
    [{ driver: 'null' }, 'Forbidden', 'only one instance of "null" network is allowed'],
    [{ scope: 'swarm' }, 'Forbidden', 'cannot create a swarm scoped network when swarm is not active'],
    [{ ingress: true }, 'Forbidden', 'Ingress network can only be global scope network'],
    [config({ subnet: 'garbage' }), 'Internal', 'Invalid subnet garbage : invalid CIDR address: garbage'],
    [config({ gateway: '10.1.1.1' }), 'Internal', 'Invalid subnet  : invalid CIDR address: '],
    [{ configFrom: 'nobody' }, 'NotFound', 'configuration network "nobody" does not exist'],
    [{ configFrom: 'known' }, 'NotFound', 'configuration network "known" does not exist'],
    [{ configFrom: 'c', enableIpv6: true }, 'Forbidden', noConfiguration],
    [{ configFrom: 'c', labels: { a: 'b' } }, 'Forbidden', noConfiguration],
    [{ configFrom: 'c', ...config({ subnet: '10.1.0.0/24' }) }, 'Forbidden', noConfiguration],
    [{ configFrom: 'c', ipam: { driver: 'null' } }, 'Forbidden', noConfiguration],
    [
      { configFrom: 'c', options: { a: 'b' } },
      'Forbidden',
      'network driver options are not supported if the network depends on a configuration network',
    ],
    [
      { configFrom: 'c', configOnly: true },
      'Forbidden',
      'a configuration network cannot depend on another configuration network',
    ],
    [{ configOnly: true, scope: 'local' }, 'Forbidden', noOperatorFields],
    [{ configOnly: true, ingress: true }, 'Forbidden', noOperatorFields],
  ])('%j is refused', (wanted, code, message) => {
    expect(() => planNetwork.fromRequest({ name: 'n', ...wanted }, [record('known'), configuration])).toThrow(
      expect.objectContaining({ code, message }) as Error,
    );
  });

  it('has defaults', () => {
    expect(planNetwork.fromRequest({ name: 'n' })).toMatchObject({
      driver: 'bridge',
      internal: false,
      subnets: [],
    });
  });

  it('without configuration only is no bridge', () => {
    expect(planNetwork.fromRequest({ name: 'n', configOnly: true }).driver).toBe('null');
  });

  it('takes from a configuration all but what the operator says', () => {
    const { id, name, enableIpv6, labels, options, ipamDriver, ipamOptions, ipam } = configuration;
    const wanted = { name: 'n', configFrom: 'c', internal: true, attachable: true };
    expect(planNetwork.fromRequest(wanted, [record('c'), configuration])).toMatchObject({
      name: 'n',
      driver: 'bridge',
      internal: true,
      attachable: true,
      configFrom: { id, name },
      ...{ enableIpv6, labels, options, ipamDriver, ipamOptions, subnets: ipam },
    });
  });

  it.each<[Partial<NetworkCreateRequest>, string]>([
    [{ driver: 'overlay' }, swarm],
    [{ scope: 'global' }, swarm],
    [
      { driver: 'macvlan' },
      "macvlan networks are not available: networks are in a namespace of the engine's own",
    ],
    [{ driver: 'ipvlan' }, 'ipvlan networks are not available'],
  ])('%j is refused once the addresses are found', (wanted, message) => {
    const plan = planNetwork.fromRequest({ name: 'n', ...wanted });
    expect(() => planNetwork.requireCreatable(plan)).toThrow(message);
  });
});
