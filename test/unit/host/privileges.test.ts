import { missingPrivilege } from '../../../src/host/privileges';

const wholeHost = '         0          0 4294967295\n';

it.each([
  [0, wholeHost, undefined],
  [1000, wholeHost, 'not root'],
  [0, '         0       1000          1\n', /^root in a user namespace that has no user 1650000000/],
  [0, '         0       1000          1\n1650000000     100000      65536\n', undefined],
])('user %i with the map %j', (uid, uidMap, expected) => {
  const reason = missingPrivilege(1_650_000_000, uid, uidMap);
  if (expected instanceof RegExp) expect(reason).toMatch(expected);
  else expect(reason).toBe(expected);
});
