import { parseTimeReference } from '../../../src/go/time-reference';

test.each<[string, number | undefined]>([
  ['1h', 1_000_000 - 3_600_000],
  ['1700000000', 1_700_000_000_000],
  ['1700000000.25', 1_700_000_000_250],
  ['0', 0],
  ['2024-01-02T03:04:05Z', Date.UTC(2024, 0, 2, 3, 4, 5)],
  ['2024-01-02T03:04:05.5+01:00', Date.UTC(2024, 0, 2, 2, 4, 5, 500)],
  ['2024-01-02T03Z', Date.UTC(2024, 0, 2, 3)],
  ['2024-01-02Z', Date.UTC(2024, 0, 2)],
  ['99999999999999999999', undefined],
  [`${'9'.repeat(400)}h`, undefined],
  ['x', undefined],
])('%s', (text, expectedMs) => {
  const expected = expectedMs === undefined ? undefined : BigInt(expectedMs) * 1_000_000n;
  expect(parseTimeReference(text, 1_000_000)).toBe(expected);
});
