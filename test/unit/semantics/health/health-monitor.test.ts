import type { Health } from '../../../../src/docker/types';
import { nextHealth, probeCommand } from '../../../../src/semantics/health/health-monitor';

const starting: Health = { Status: 'starting', FailingStreak: 0, Log: [] };
const result = (ExitCode: number) => ({ Start: 'a', End: 'b', ExitCode, Output: '' });

test.each([
  [undefined, null, undefined],
  [{ Test: ['NONE'] }, null, undefined],
  [{ Test: [] }, null, undefined],
  [{ Test: ['CMD', 'a', 'b'] }, null, ['a', 'b']],
  [{ Test: ['CMD-SHELL', 'a b'] }, null, ['/bin/sh', '-c', 'a b']],
  [{ Test: ['CMD-SHELL', 'a b'] }, ['bash', '-ec'], ['bash', '-ec', 'a b']],
])('command of %j with shell %j', (config, shell, command) => {
  expect(probeCommand(config, shell)).toEqual(command);
});

test('one success makes healthy, three failures unhealthy', () => {
  expect(nextHealth(starting, result(0), {}, 0).Status).toBe('healthy');
  let health: Health = { ...starting, Status: 'healthy' };
  const seen = [1, 1, 2, 0].map((code) => (health = nextHealth(health, result(code), {}, 0)));
  expect(seen.map(({ Status, FailingStreak }) => [Status, FailingStreak])).toEqual([
    ['healthy', 1],
    ['healthy', 2],
    ['unhealthy', 3],
    ['healthy', 0],
  ]);
});

test('failures in the start period do not count, until it was healthy once', () => {
  const config = { StartPeriod: 5e9, Retries: 1 };
  expect(nextHealth(starting, result(1), config, 4_999)).toMatchObject({
    Status: 'starting',
    FailingStreak: 0,
  });
  expect(nextHealth(starting, result(1), config, 5_000).Status).toBe('unhealthy');
  expect(nextHealth({ ...starting, Status: 'healthy' }, result(1), config, 1).Status).toBe('unhealthy');
});

test('the last five results are kept', () => {
  let health = starting;
  for (let code = 0; code < 9; code += 1) health = nextHealth(health, result(code), {}, 0);
  expect(health.Log?.map(({ ExitCode }) => ExitCode)).toEqual([4, 5, 6, 7, 8]);
});
