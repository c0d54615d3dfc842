import { StartTimes } from '../../../src/daemon/start-times';

test('each step has the time since the one before', () => {
  const times = new StartTimes(400.4);
  times.done('locks', 410);
  times.done('records', 500);
  expect(times.summary()).toEqual({ ms: 100, steps: { load: 400, locks: 10, records: 90 } });
});
