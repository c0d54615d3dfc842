// Networks: what their creation takes and refuses, field by field. Addresses that nobody else has: 10.217.0.0/16, fd00:217::/32.

import { httpCases, scriptCases } from '../harness/cases';

type Pool = Record<string, unknown>;

const create = (body: object) => ({ request: 'POST /networks/create', body: { Name: '$c', ...body } });
const inspect = 'GET /networks/$c';
const remove = { request: 'DELETE /networks/$c' };
const ofPools = (...Config: Pool[]) => create({ IPAM: { Config } });
/** Each made, looked at and removed. */
const each = (steps: readonly ReturnType<typeof create>[]) =>
  steps.flatMap((step) => [step, inspect, remove]);

httpCases('networks: subnets', {
  'that are taken': each([
    ofPools({ Subnet: '10.217.0.7/24' }),
    ofPools({ Subnet: '10.217.1.0/30' }),
    ofPools({ Subnet: '10.217.2.0/24', Gateway: '10.217.2.7' }),
    ofPools({ Subnet: '10.217.3.0/24', IPRange: '10.217.99.64/26' }),
    ofPools({ Subnet: '10.217.4.0/24', IPRange: '10.0.0.0/8', AuxiliaryAddresses: { a: '10.217.4.9' } }),
    ofPools({ Subnet: 'fd00:217::/64' }, { Subnet: '10.217.5.0/24' }),
    create({
      EnableIPv6: true,
      IPAM: { Config: [{ Subnet: '10.217.6.0/24' }, { Subnet: 'fd00:217:1::/127' }] },
    }),
    create({
      EnableIPv6: true,
      IPAM: {
        Config: [{ Subnet: '10.217.7.0/24' }, { Subnet: 'fd00:217:2::5/80', Gateway: 'fd00:217:2::9' }],
      },
    }),
    create({
      EnableIPv6: true,
      IPAM: { Config: [{ Subnet: '10.217.8.0/24' }, { Subnet: 'fe80:217::/64' }] },
    }),
    create({ IPAM: { Driver: 'default', Options: { a: 'b' }, Config: [{ Subnet: '10.217.9.0/24' }] } }),
    create({ Scope: 'local', IPAM: { Config: [{ Subnet: '10.217.10.0/24' }] } }),
  ]),
  // One of two in a subnet of its own: dockerd keeps the subnet of a network that it refused.
  'that are refused': [
    ofPools({ Subnet: '10.217.20.0/33' }),
    ofPools({ Subnet: '10.217.20.0' }),
    ofPools({ Subnet: '10.017.20.0/24' }),
    ofPools({}),
    ofPools({ Gateway: '10.217.20.1' }),
    ofPools({ Subnet: '10.217.21.0/31' }),
    ofPools({ Subnet: '10.217.22.0/32' }),
    create({
      EnableIPv6: true,
      IPAM: { Config: [{ Subnet: '10.217.23.0/24' }, { Subnet: 'fd00:217:23::1/128' }] },
    }),
    ofPools({ Subnet: '10.217.24.0/24', Gateway: 'x' }),
    ofPools({ Subnet: '10.217.25.0/24', Gateway: '10.217.25.1/24' }),
    ofPools({ Subnet: '10.217.26.0/24', Gateway: '10.217.27.1' }),
    ofPools({ Subnet: '10.217.28.0/24', Gateway: '10.217.28.0' }),
    ofPools({ Subnet: '10.217.29.0/24', IPRange: '10.217.29.64' }),
    ofPools({ Subnet: '10.217.30.0/24', IPRange: '10.217.30.0/32' }),
    ofPools({ Subnet: '10.217.31.0/24', AuxiliaryAddresses: { a: '10.217.32.1' } }),
    ofPools({ Subnet: '10.217.33.0/24', AuxiliaryAddresses: { a: 'x' } }),
    ofPools({ Subnet: '10.217.34.0/24', AuxiliaryAddresses: { a: '10.217.34.1' } }),
    ofPools({ Subnet: '10.217.35.0/24' }, { Subnet: '10.217.36.0/24' }),
    ofPools({ Subnet: '10.217.37.0/24' }, { Subnet: '10.217.37.0/24' }),
    ofPools({ Subnet: '10.217.38.0/24' }, { Subnet: '10.217.38.0/25' }),
    create({ EnableIPv6: true, IPAM: { Config: [{ Subnet: '10.217.39.0/24' }] } }),
    create({ IPAM: { Driver: 'null' } }),
    create({ IPAM: { Driver: 'null', Config: [{ Subnet: '10.217.40.0/24' }] } }),
    create({ EnableIPv6: true, IPAM: { Driver: 'null' } }),
    create({ IPAM: { Driver: '$c-ipam' } }),
  ],
  'drivers and scopes that are refused': [
    create({ Driver: 'default' }),
    create({ Driver: 'Bridge' }),
    create({ Driver: 'null' }),
    create({ Driver: 'overlay', IPAM: { Config: [{ Subnet: '10.217.50.0/24', Gateway: '1.2.3.4' }] } }),
    create({ Scope: 'global', IPAM: { Config: [{ Subnet: '10.217.51.0/24', Gateway: '1.2.3.4' }] } }),
    create({ Scope: '$c', IPAM: { Config: [{ Subnet: '10.217.52.0/24' }] } }),
    create({ Scope: 'swarm', Driver: 'host' }),
    create({ Ingress: true }),
    create({ Name: '' }),
    create({ Name: '  ' }),
    ...[
      { 'com.docker.network.bridge.host_binding_ipv4': 'x' },
      { 'com.docker.network.bridge.inhibit_ipv4': 'x' },
      { 'com.docker.network.host_ipv4': 'x' },
      { 'com.docker.network.bridge.name': 'longer-than-names-are' },
      { 'com.docker.network.driver.mtu': '-1' },
    ].map((Options, index) =>
      create({ Options, IPAM: { Config: [{ Subnet: `10.217.${60 + index}.0/24` }] } }),
    ),
  ],
  'of a configuration, and what contradicts one': [
    ...[
      { ConfigFrom: { Network: '$c-nobody' } },
      { ConfigFrom: { Network: 'bridge' } },
      { ConfigFrom: { Network: '$c-nobody' }, Driver: '$c' },
      { ConfigFrom: { Network: '$c-nobody' }, ConfigOnly: true },
      { ConfigFrom: { Network: '$c-nobody' }, Labels: { a: 'b' }, EnableIPv6: true },
      { ConfigFrom: { Network: '$c-nobody' }, IPAM: { Driver: 'null' } },
      { ConfigFrom: { Network: '$c-nobody' }, Options: { a: 'b' } },
      { ConfigOnly: true, Internal: true },
      { ConfigOnly: true, Scope: 'local' },
    ].map(create),
    create({
      ConfigOnly: true,
      Driver: '$c-nothing',
      Options: { 'com.docker.network.driver.mtu': 'x' },
      IPAM: { Driver: '$c-ipam', Config: [{ Subnet: '10.217.70.0/24', Gateway: 'x' }] },
    }),
    inspect,
    create({ Name: '$c-made', ConfigFrom: { Network: '$c' } }),
    remove,
  ],
});

scriptCases('networks: addresses', {
  'an auxiliary address that is the default gateway': `
    docker network create --subnet 10.217.80.0/24 --aux-address DefaultGatewayIPv4=10.217.80.5 --aux-address other=10.217.80.2 $c >/dev/null
    docker run -d --name $c --network $c busybox sleep 300 >/dev/null
    docker exec $c sh -c 'ip route; ip -o -4 address show eth0 | grep -o "inet [^ ]*"'
    docker inspect -f '{{json .NetworkSettings.Networks}}' $c
    docker run --rm --network $c --ip 10.217.80.5 busybox true`,
  'a range elsewhere counts by its last bits': `
    docker network create --subnet 10.217.81.0/24 --gateway 10.217.81.254 $c-b >/dev/null
    docker run --rm --network $c-b busybox sh -c 'ip -o -4 address show eth0 | grep -o "inet [^ ]*"; ip route'
    docker network create --subnet 10.217.82.0/24 --ip-range 10.217.82.64/27 $c >/dev/null
    docker run --rm --network $c busybox sh -c 'ip -o -4 address show eth0 | grep -o "inet [^ ]*"; ip route'`,
});
