import { parseTimestampQuery } from '../../../../src/api/v1.41/timestamp-query';
import { parseGoDuration } from '../../../../src/go/duration';

const now = Date.UTC(2026, 0, 1);
const nowNs = BigInt(now) * 1_000_000n;

test.each<[string, bigint | undefined]>([
  ['', undefined],
  ['0', 0n],
  ['1795239138', 1795239138_000000000n],
  ['1795239138.463639424', 1795239138_463639424n],
  ['1795239138.4636394249', 1795239138_463639424n],
  ['1.5', 1_500_000_000n],
  ['-1', -1_000_000_000n],
  ['10m', nowNs - 600_000_000_000n],
  ['1h30m', nowNs - 5_400_000_000_000n],
  ['1.5s', nowNs - 1_500_000_000n],
  ['-1s', nowNs + 1_000_000_000n],
  ['2026-01-01T00:00:00Z', nowNs],
  ['2026-01-01T00:00:00.123456789Z', nowNs + 123_456_789n],
  ['2026-01-01T01:00:00+01:00', nowNs],
  ['2026-01-01T00:00Z', nowNs],
  ['2026-01-01Z', nowNs],
])('%p', (text, expected) => expect(parseTimestampQuery(text, now)).toBe(expected));

test.each(['x', '10', '1y', 'm', '1.2.3s', '2026-13-01T00:00:00Z', '2026-01-01T25:00:00Z', '1e3', '0x10'])(
  '%p as a duration or a time',
  (text) => {
    expect(parseGoDuration(text)).toBeUndefined();
    if (text !== '10') {
      expect(() => parseTimestampQuery(text, now)).toThrow(
        /^strconv\.ParseInt: parsing ".*": invalid syntax$/,
      );
    }
  },
);

test.each([
  ['1.2.3', 'strconv.ParseInt: parsing "2.3": invalid syntax'],
  ['1.x', 'strconv.ParseInt: parsing "x": invalid syntax'],
  ['1.', 'strconv.ParseInt: parsing "": invalid syntax'],
  ['.5', 'strconv.ParseInt: parsing "": invalid syntax'],
  ['99999999999999999999', 'strconv.ParseInt: parsing "99999999999999999999": value out of range'],
])('%j as a time: %s', (text, message) => expect(() => parseTimestampQuery(text, 0)).toThrow(message));
