import { sweepSteps } from '../../../../src/cluster/builds/step-sweep';

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

function pod(name: string, labels: Record<string, string>, beat: string): object {
  return { metadata: { name, uid: name, labels, annotations: { 'caisson.io/build-beat': beat } } };
}

it('Pods of steps go that nobody has said anything of, and no others', async () => {
  const removed: string[] = [];
  const step = { 'caisson.io/build-step': 'true' };
  let beats = 0;
  const pods = {
    list: () => [
      pod('silent', step, '3'),
      pod('alive', step, String((beats += 1))),
      pod('container', {}, '0'),
    ],
    remove: async (name: string) => Promise.resolve(void removed.push(name)),
  };
  const stop = sweepSteps(pods, () => Date.now());
  await jest.advanceTimersByTimeAsync(90_000);
  expect(removed).toEqual([]);
  await jest.advanceTimersByTimeAsync(10_000);
  expect(removed).toEqual(['silent']);
  stop();
});
