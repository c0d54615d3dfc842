import { BackOff, type BackOffState } from '../../../src/play/back-off';

const never = new AbortController().signal;

beforeEach(() => jest.useFakeTimers({ now: 0 }));
afterEach(() => jest.useRealTimers());

function pauseAfter(backOff: BackOff, ranForMs: number): number {
  backOff.begin(ranForMs);
  return backOff.leftMs;
}

test('the first restart is at once, the others after 10 s doubled up to 300 s', () => {
  const backOff = new BackOff();
  const delays = Array.from({ length: 8 }, () => pauseAfter(backOff, 0) / 1000);
  expect(delays).toEqual([0, 10, 20, 40, 80, 160, 300, 300]);
});

test('a run of ten minutes begins anew', () => {
  const backOff = new BackOff();
  for (let count = 0; count < 5; count++) backOff.begin(0);
  expect(pauseAfter(backOff, 600_000)).toBe(0);
  expect(pauseAfter(backOff, 0)).toBe(10_000);
});

test('the next daemon waits for what is left of a pause, and goes on from there', async () => {
  let saved: BackOffState | undefined;
  const first = new BackOff(undefined, (state) => (saved = state));
  first.begin(0);
  first.begin(0);
  const cut = new AbortController();
  const cutShort = first.rest(cut.signal);
  jest.advanceTimersByTime(4000);
  cut.abort();
  await cutShort;
  expect(first.isPausing).toBe(true);

  const second = new BackOff(saved, (state) => (saved = state));
  expect(second.leftMs).toBe(6000);
  const rest = second.rest(never);
  jest.advanceTimersByTime(6000);
  await rest;
  expect(saved).toEqual({ nextMs: 20_000 });
  expect(pauseAfter(second, 0)).toBe(20_000);
});

test('a clock that was set back makes no pause longer than the longest', () => {
  expect(new BackOff({ nextMs: 20_000, untilMs: 1e12 }).leftMs).toBe(300_000);
});
