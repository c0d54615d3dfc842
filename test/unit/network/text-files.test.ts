// The small formats: resolv.conf, routes, counters, uid maps.

import { formatSubnet } from '../../../src/network/addresses/addresses';
import { parseCounters } from '../../../src/network/counters';
import { isMapped } from '../../../src/host/uid-map';
import { parseRoutes } from '../../../src/network/host-routes';
import {
  formatResolvConf,
  parseResolvConf,
  usableNameservers,
} from '../../../src/network/addresses/resolv-conf';

describe('resolv.conf', () => {
  it('is read and written', () => {
    const text =
      '# comment\nsearch a.example b.example\nnameserver 10.0.0.1 ; first\nnameserver fe80::1%eth0\noptions ndots:2 rotate\nbogus line\n';
    const read = parseResolvConf(text);
    expect(read).toEqual({
      nameservers: ['10.0.0.1', 'fe80::1%eth0'],
      search: ['a.example', 'b.example'],
      options: ['ndots:2', 'rotate'],
    });
    expect(formatResolvConf({ ...read, nameservers: ['127.0.0.11'] })).toBe(
      'search a.example b.example\nnameserver 127.0.0.11\noptions ndots:2 rotate\n',
    );
    expect(formatResolvConf({ nameservers: [], search: ['.'], options: [] })).toBe('');
  });

  it.each([
    [
      ['10.0.0.1', '10.0.0.2'],
      ['10.0.0.1', '10.0.0.2'],
    ],
    [
      ['127.0.0.53', '10.0.0.2', '127.0.0.1'],
      ['198.19.255.3', '10.0.0.2'],
    ],
    [['::1'], ['198.19.255.3']],
    [['fe80::1%eth0', 'garbage'], ['198.19.255.3']],
    [[], ['198.19.255.3']],
  ])('%j is reached as %j', (servers, expected) => {
    expect(usableNameservers(servers, '198.19.255.3')).toEqual(expected);
  });
});

it('routes of the host are subnets, but for the default', () => {
  const text = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
`;
  expect(parseRoutes(text).map(formatSubnet)).toEqual(['192.0.2.0/24', '172.17.0.0/16']);
});

it("counters are the container's view", () => {
  const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
 cv1n0:     200       2    3    4    0     0          0         0      500       6    7    8    0     0       0          0
`;
  expect(parseCounters(text, 'cv1n0')).toEqual({
    rxBytes: 500,
    rxPackets: 6,
    rxErrors: 7,
    rxDropped: 8,
    txBytes: 200,
    txPackets: 2,
    txErrors: 3,
    txDropped: 4,
  });
  expect(parseCounters(text, 'v1n0')).toBeUndefined();
});

it('user maps tell which users exist', () => {
  expect(isMapped('         0          0 4294967295\n', 65534)).toBe(true);
  expect(isMapped('         0       1000          1\n', 65534)).toBe(false);
  expect(isMapped('0 1000 1\n1 100000 65536\n', 65534)).toBe(true);
  expect(isMapped('', 0)).toBe(false);
});
