import { commonVersion } from '../../../../src/vm/agent/versions';

const ours = { oldest: 2, newest: 4 };

test.each([
  ['the same range', { version: 4, oldest: 2 }, 4],
  ['a newer agent that still knows ours', { version: 7, oldest: 3 }, 4],
  ['an older agent', { version: 3, oldest: 1 }, 3],
  ['one that says only its newest, as 0.1.0 did', { version: 2 }, 2],
])('%s', (_, hello, version) => expect(commonVersion(hello, ours)).toBe(version));

test.each([
  ['too old', { version: 1 }, /speaks version 1 of the protocol, this daemon 2 to 4/],
  ['too new', { version: 9, oldest: 5 }, /speaks version 5 to 9 /],
  ['a range that is none', { version: 3, oldest: 4 }, /speaks version 4 to 3 /],
  ['no number', { version: '3' }, /an unknown version/],
])('%s is refused', (_, hello, message) => expect(() => commonVersion(hello, ours)).toThrow(message));

test('an agent of release 0.1.0 is understood by this one', () => {
  expect(commonVersion({ version: 1 })).toBe(1);
});
