import { linkEnvironment } from '../../../src/translate/link-environment';

const linked = { name: '/web/my-db', address: '172.17.0.2', exposedPorts: [], env: [] };

it('names the container, in capitals and without dashes', () => {
  expect(linkEnvironment(linked)).toEqual(['MY_DB_NAME=/web/my-db']);
});

it('passes on variables but for those every image sets', () => {
  expect(linkEnvironment({ ...linked, env: ['A=b=c', 'EMPTY=', 'PATH=/bin', 'HOME=/', 'NONE'] })).toEqual([
    'MY_DB_NAME=/web/my-db',
    'MY_DB_ENV_A=b=c',
    'MY_DB_ENV_EMPTY=',
  ]);
});

it('takes the lowest port for the default, and tcp before udp', () => {
  const [first, ...rest] = linkEnvironment({ ...linked, exposedPorts: ['80/tcp', '53/udp', '53/tcp'] });
  expect(first).toBe('MY_DB_PORT=tcp://172.17.0.2:53');
  expect(rest).toContain('MY_DB_PORT_53_UDP_ADDR=172.17.0.2');
  expect(rest).toContain('MY_DB_PORT_80_TCP=tcp://172.17.0.2:80');
});

it('sums up three ports or more in a row', () => {
  const variables = linkEnvironment({ ...linked, exposedPorts: ['80/tcp', '82/tcp', '81/tcp', '90/tcp'] });
  expect(variables).toContain('MY_DB_PORT_80_TCP_START=tcp://172.17.0.2:80');
  expect(variables).toContain('MY_DB_PORT_80_TCP_PORT_END=82');
  expect(variables.filter((entry) => entry.includes('_90_TCP_START'))).toEqual([]);
  const two = linkEnvironment({ ...linked, exposedPorts: ['80/tcp', '81/tcp'] });
  expect(two.filter((entry) => entry.includes('_START'))).toEqual([]);
});
