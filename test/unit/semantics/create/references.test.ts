// What a create says of other things: networks and other containers' volumes.

import { requireValidEndpoints } from '../../../../src/semantics/create/endpoints';
import { parseVolumesFrom } from '../../../../src/semantics/create/volumes-from';

const old = { major: 1, minor: 41 };

it.each([
  [{ a: {}, b: {} }, old, 'Container cannot be connected to network endpoints: a, b'],
  [{ a: null }, old, 'no EndpointSettings for a'],
  [{ a: { IPAMConfig: { IPv4Address: 'x' } } }, old, 'invalid IPv4 address: x'],
  [{ a: { IPAMConfig: { IPv6Address: '10.0.0.1' } } }, old, 'invalid IPv6 address: 10.0.0.1'],
])('refuses endpoints %j', (endpoints, version, words) => {
  expect(() => requireValidEndpoints(endpoints, version)).toThrow(words);
});

it('takes several endpoints from newer clients', () => {
  const endpoints = { a: {}, b: { IPAMConfig: { IPv4Address: '10.0.0.1' } } };
  expect(() => requireValidEndpoints(endpoints, { major: 1, minor: 44 })).not.toThrow();
});

it('reads whose volumes, and how', () => {
  expect(parseVolumesFrom('box')).toEqual({ ref: 'box', readOnly: false });
  expect(parseVolumesFrom('box:z,ro')).toEqual({ ref: 'box', readOnly: true });
  expect(() => parseVolumesFrom('')).toThrow('volumes-from specification cannot be an empty string');
  for (const text of ['box:', 'box:ro:rw', 'box:nonsense'])
    expect(() => parseVolumesFrom(text)).toThrow('invalid mode: ');
});
