import fc from 'fast-check';

import {
  contains,
  formatAddress,
  formatSubnet,
  overlaps,
  parseAddress,
  parseSubnet,
} from '../../../../src/network/addresses/addresses';
import type { Subnet } from '../../../../src/network/addresses/addresses';
import { AddressPool, defaultSubnets, rangeOf, SubnetChooser } from '../../../../src/network/addresses/ipam';

function net(text: string): Subnet {
  return parseSubnet(text)!;
}

function taken(pool: AddressPool, count: number): string[] {
  return Array.from({ length: count }, () => {
    const address = pool.takeAny();
    return address === 'exhausted' ? address : formatAddress(address);
  });
}

describe('a pool', () => {
  it('gives the lowest free address, never the edges', () => {
    const pool = new AddressPool(net('10.0.0.0/29'));
    expect(taken(pool, 7)).toEqual([
      '10.0.0.1',
      '10.0.0.2',
      '10.0.0.3',
      '10.0.0.4',
      '10.0.0.5',
      '10.0.0.6',
      'exhausted',
    ]);
    // Docker does not look at a wanted address then
    expect(pool.take(parseAddress('10.0.0.3')!)).toBe('exhausted');
    pool.release(parseAddress('10.0.0.3')!);
    pool.release(parseAddress('10.0.0.0')!);
    expect(taken(pool, 2)).toEqual(['10.0.0.3', 'exhausted']);
  });

  it('gives from its range, and takes anything of its subnet', () => {
    const pool = new AddressPool(
      net('10.0.0.0/24'),
      rangeOf(net('10.0.0.0/24'), { subnet: '10.0.0.0/24', ipRange: '10.0.0.128/30' }),
    );
    expect(pool.take(parseAddress('10.0.0.5')!)).toBeUndefined();
    expect(taken(pool, 5)).toEqual(['10.0.0.128', '10.0.0.129', '10.0.0.130', '10.0.0.131', 'exhausted']);
    expect(pool.take(parseAddress('10.0.0.129')!)).toBe('in-use');
    expect(pool.take(parseAddress('10.0.1.1')!)).toBe('out-of-range');
    expect(pool.take(parseAddress('10.0.0.255')!)).toBe('in-use');
  });

  it('knows subnets without edges, and IPv6', () => {
    expect(taken(new AddressPool(net('10.0.0.0/31')), 1)).toEqual(['exhausted']);
    expect(taken(new AddressPool(net('10.0.0.9/32')), 1)).toEqual(['exhausted']);
    expect(taken(new AddressPool(net('fd00::/127')), 2)).toEqual(['fd00::1', 'exhausted']);
    expect(taken(new AddressPool(net('fd00::/64')), 2)).toEqual(['fd00::1', 'fd00::2']);
  });

  it('agrees with a list of what is used, whatever is done', () => {
    const step = fc.oneof(
      fc.constant({ kind: 'any' as const }),
      fc.record({ kind: fc.constantFrom('take' as const, 'release' as const), offset: fc.nat(20) }),
    );
    fc.assert(
      fc.property(
        fc.constantFrom('10.0.0.0/28', '10.0.0.0/30', 'fd00::/124'),
        fc.array(step, { maxLength: 60 }),
        (text, steps) => {
          const subnet = net(text);
          const pool = new AddressPool(subnet);
          const model = new Set<bigint>();
          for (const each of steps) {
            if (each.kind === 'any') {
              const address = pool.takeAny();
              if (address === 'exhausted') continue;
              expect(model.has(address.value)).toBe(false);
              expect(contains(subnet, address)).toBe(true);
              for (let lower = subnet.base + 1n; lower < address.value; lower++)
                expect(model.has(lower)).toBe(true);
              model.add(address.value);
            } else {
              const address = { family: subnet.family, value: subnet.base + BigInt(each.offset) };
              if (each.kind === 'release') {
                pool.release(address);
                model.delete(address.value);
              } else if (pool.take(address) === undefined) {
                expect(model.has(address.value)).toBe(false);
                model.add(address.value);
              }
            }
          }
        },
      ),
    );
  });
});

describe('default subnets', () => {
  it("are dockerd's, none overlapping another", () => {
    const all = defaultSubnets();
    expect(all.map(formatSubnet).slice(0, 4)).toEqual([
      '172.17.0.0/16',
      '172.18.0.0/16',
      '172.19.0.0/16',
      '172.20.0.0/16',
    ]);
    expect(all).toHaveLength(15 + 16);
    for (const [index, one] of all.entries()) {
      for (const two of all.slice(index + 1)) expect(overlaps(one, two)).toBe(false);
    }
  });

  it('are chosen in turn, and a freed one only after the others', () => {
    const chooser = new SubnetChooser();
    const inUse = [net('172.17.0.0/16')];
    expect(formatSubnet(chooser.choose(inUse)!)).toBe('172.18.0.0/16');
    expect(formatSubnet(chooser.choose(inUse)!)).toBe('172.19.0.0/16');
    expect(formatSubnet(chooser.choose([...inUse, net('172.20.5.0/24')])!)).toBe('172.21.0.0/16');
  });

  it('run out', () => {
    const chooser = new SubnetChooser();
    const inUse: Subnet[] = [];
    for (let chosen = chooser.choose(inUse); chosen !== undefined; chosen = chooser.choose(inUse))
      inUse.push(chosen);
    expect(inUse).toHaveLength(31);
  });
});
