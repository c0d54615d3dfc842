import { BackOff } from '../../../src/play/back-off';

test('the first restart is at once, the others after 10 s doubled up to 300 s', () => {
  const backOff = new BackOff();
  const delays = Array.from({ length: 8 }, () => backOff.next(0) / 1000);
  expect(delays).toEqual([0, 10, 20, 40, 80, 160, 300, 300]);
});

test('a run of ten minutes begins anew', () => {
  const backOff = new BackOff();
  for (let count = 0; count < 5; count++) backOff.next(0);
  expect(backOff.next(600_000)).toBe(0);
  expect(backOff.next(0)).toBe(10_000);
});
