import { isIP } from 'node:net';
import fc from 'fast-check';

import {
  addressOfReverseName,
  contains,
  containsSubnet,
  formatAddress,
  formatSubnet,
  lastValue,
  linkLocalOfMac,
  macOfIpv4,
  overlaps,
  parseAddress,
  parseMac,
  parseSubnet,
  subnetOf,
} from '../../../../src/network/addresses/addresses';
import type { IpAddress } from '../../../../src/network/addresses/addresses';

const ipv4 = fc.bigInt({ min: 0n, max: (1n << 32n) - 1n }).map((value): IpAddress => ({ family: 4, value }));
const ipv6 = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }).map((value): IpAddress => ({ family: 6, value }));
const subnet = fc
  .oneof(fc.tuple(ipv4, fc.nat(32)), fc.tuple(ipv6, fc.nat(128)))
  .map(([address, prefixLength]) => subnetOf(address, prefixLength));

describe('addresses', () => {
  it('are read as they are written', () => {
    fc.assert(
      fc.property(fc.oneof(ipv4, ipv6), (address) => {
        const text = formatAddress(address);
        expect(isIP(text)).toBe(address.family);
        expect(parseAddress(text)).toEqual(address);
      }),
    );
  });

  it.each([
    ['::', 0n],
    ['::1', 1n],
    ['fd00::1:0:0:2', (0xfdn << 120n) | (1n << 48n) | 2n],
    ['64:ff9b::1.2.3.4', (0x64ff9bn << 96n) | 0x01020304n],
    ['2001:db8::', 0x20010db8n << 96n],
  ])('%s', (text, value) => {
    expect(parseAddress(text)).toEqual({ family: 6, value });
  });

  it('of IPv4 may be written in IPv6', () => {
    expect(parseAddress('::ffff:1.2.3.4')).toEqual({ family: 4, value: 0x01020304n });
  });

  it('are written as RFC 5952 says', () => {
    for (const text of ['::', '::1', 'fe80::1', '2001:db8::1:0:0:1', '2001:db8:0:1:1:1:1:1', '1:0:0:2::']) {
      expect(formatAddress(parseAddress(text)!)).toBe(text);
    }
  });

  it.each(['', '1.2.3', '1.2.3.256', 'fe80::1%eth0', '1.2.3.4/8', ':::', 'x'])('%j is none', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });
});

describe('subnets', () => {
  it('contain their first and last address and not those next to them', () => {
    fc.assert(
      fc.property(subnet, (net) => {
        const at = (value: bigint): IpAddress => ({ family: net.family, value });
        expect(contains(net, at(net.base)) && contains(net, at(lastValue(net)))).toBe(true);
        expect(contains(net, at(net.base - 1n)) || contains(net, at(lastValue(net) + 1n))).toBe(false);
        expect(parseSubnet(formatSubnet(net))).toEqual(net);
      }),
    );
  });

  it('overlap exactly if one contains the other', () => {
    fc.assert(
      fc.property(subnet, subnet, (one, two) => {
        expect(overlaps(one, two)).toBe(containsSubnet(one, two) || containsSubnet(two, one));
      }),
    );
  });

  it.each(['10.0.0.0', '10.0.0.0/33', '10.0.0/8', 'fd00::/129', '/8', '10.0.0.0/-1', '10.0.0.0/8/8'])(
    '%j is none',
    (text) => {
      expect(parseSubnet(text)).toBeUndefined();
    },
  );
});

describe('MAC addresses', () => {
  it("are Docker's of an IPv4 address", () => {
    expect(macOfIpv4(parseAddress('172.17.0.2')!)).toBe('02:42:ac:11:00:02');
  });

  it.each([
    ['02:42:AC:11:00:02', '02:42:ac:11:00:02'],
    ['02-42-ac-11-00-02', '02:42:ac:11:00:02'],
    ['01:00:5e:00:00:01', undefined],
    ['ff:ff:ff:ff:ff:ff', undefined],
    ['00:00:00:00:00:00', undefined],
    ['02:42:ac:11:00', undefined],
    ['02:42:ac:11:00:02:03', undefined],
    ['02:42-ac:11:00:02', undefined],
  ])('%s is read as %s', (text, mac) => {
    expect(parseMac(text)).toBe(mac);
  });

  it('give the link-local address that Linux gives', () => {
    expect(formatAddress(linkLocalOfMac('02:42:ac:11:00:02'))).toBe('fe80::42:acff:fe11:2');
  });
});

describe('reverse names', () => {
  it('are read back', () => {
    fc.assert(
      fc.property(fc.oneof(ipv4, ipv6), (address) => {
        const digits = address.value.toString(16).padStart(32, '0').split('').reverse().join('.');
        const quad = formatAddress(address).split('.').reverse().join('.');
        const name = address.family === 4 ? `${quad}.in-addr.arpa` : `${digits}.ip6.arpa`;
        expect(addressOfReverseName(name)).toEqual(address);
      }),
    );
  });

  it.each(['in-addr.arpa', '1.2.in-addr.arpa', '1.2.3.400.in-addr.arpa', '1.ip6.arpa', 'web'])(
    '%s is none',
    (name) => {
      expect(addressOfReverseName(name)).toBeUndefined();
    },
  );
});
