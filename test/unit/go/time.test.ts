import { timeError } from '../../../src/go/time';

const failure = (value: string): string | undefined => timeError(JSON.stringify(value));

test.each(['2014-01-02T03:04:05Z', '2014-01-02T03:04:05.123456789Z', '2014-01-02T03:04:05+01:00'])(
  '%s is a time',
  (text) => {
    expect(failure(text)).toBeUndefined();
  },
);

test.each([
  ['yesterday', String.raw`cannot parse "yesterday\"" as "2006"`],
  ['2014-01-02', String.raw`cannot parse "\"" as "T"`],
  ['2014-01-02T03:04:05Zx', String.raw`cannot parse "x\"" as "\""`],
  ['2014-01-02T03:04:05+0100', String.raw`cannot parse "+0100\"" as "Z07:00"`],
  ['2014-13-02T03:04:05Z', 'month out of range'],
])('%s: %s', (text, words) => {
  expect(failure(text)?.endsWith(`: ${words}`)).toBe(true);
});

test('what is no text', () => {
  expect(timeError('5')).toBe(
    String.raw`parsing time "5" as "\"2006-01-02T15:04:05Z07:00\"": cannot parse "5" as "\""`,
  );
});
