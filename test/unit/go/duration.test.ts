import { goDuration, goDurationProblem } from '../../../src/go/duration';

test.each([
  ['0', undefined],
  ['1h30m', undefined],
  ['-1.5s', undefined],
  ['', 'time: invalid duration ""'],
  ['-', 'time: invalid duration "-"'],
  ['.s', 'time: invalid duration ".s"'],
  ['x', 'time: invalid duration "x"'],
  ['10', 'time: missing unit in duration "10"'],
  ['1h30', 'time: missing unit in duration "1h30"'],
  ['1d', 'time: unknown unit "d" in duration "1d"'],
  ['2001-01-01', 'time: unknown unit "-" in duration "2001-01-01"'],
])('%j as a duration: %s', (text, problem) => expect(goDurationProblem(text)).toBe(problem));

test.each([
  [0, '0s'],
  [7, '7ns'],
  [1_500, '1.5µs'],
  [500e6, '500ms'],
  [1.5e9, '1.5s'],
  [30e9, '30s'],
  [90e9, '1m30s'],
  [3600e9, '1h0m0s'],
])('%d ns is %s', (nanoseconds, text) => expect(goDuration(nanoseconds)).toBe(text));
