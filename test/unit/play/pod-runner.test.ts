// What of a played Pod outlives the daemon, on a host that does as it is told.

import type { PodPlan } from '../../../src/kubernetes/plan';
import type { PlayHost } from '../../../src/play/host';
import { PodChronicle, type PodHistory } from '../../../src/play/pod-history';
import { PodRunner } from '../../../src/play/pod-runner';

/** One Pod of one container, which ends when a test says so. */
class FakeHost {
  readonly starts: string[] = [];
  state = 'Created';
  exitCode = 0;
  #exit: (exitCode: number) => void = () => undefined;
  #exited = new Promise<number>(() => undefined);
  runner: PodRunner | undefined;

  readonly host = {
    pods: {
      inspect: () => ({
        state: this.state,
        detail: '',
        addresses: {},
        containers: [{ id: 'c', name: 'c', exitCode: this.exitCode, startedAt: '', finishedAt: '' }],
      }),
      start: async () => {
        this.#begin('pod');
        await this.runner?.containerStarted('c');
      },
      hold: () => () => undefined,
    },
    whenKnown: () => Promise.resolve(),
    containers: {
      start: () => {
        this.#begin('container');
        return Promise.resolve();
      },
      wait: (_: string, __: string, signal: AbortSignal) => {
        const stopped = new Promise<number>((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(new Error('stopped'))),
        );
        const exit = Promise.race([this.#exited, stopped]).then((StatusCode) => ({ StatusCode }));
        return Promise.resolve({ exit });
      },
    },
  } as unknown as PlayHost;

  #begin(what: string): void {
    this.starts.push(what);
    this.state = 'Running';
    this.#exited = new Promise((resolve) => (this.#exit = resolve));
  }

  exit(exitCode: number): void {
    this.exitCode = exitCode;
    this.#exit(exitCode);
  }
}

const plan = (restartPolicy: PodPlan['restartPolicy']): PodPlan => ({
  template: { name: 'web', containers: [] },
  restartPolicy,
  gracePeriodSeconds: 30,
  volumes: [],
  pullCredentials: [],
  containers: [
    {
      ...{ name: 'c', role: 'main', image: 'busybox', pullPolicy: 'Never', runAsNonRoot: false },
      ...{ probes: {}, hooks: {} },
    },
  ],
});

let saved: PodHistory | undefined;
let fake: FakeHost;

beforeEach(() => {
  jest.useFakeTimers({ now: 0, doNotFake: ['setImmediate'] });
  saved = undefined;
  fake = new FakeHost();
});
afterEach(() => jest.useRealTimers());

/** Of a daemon that lives until the signal. */
function daemon(restartPolicy: PodPlan['restartPolicy']): {
  runner: PodRunner;
  outcome: Promise<string>;
  failures: () => number;
  end: () => Promise<string>;
} {
  const life = new AbortController();
  let failures = 0;
  const chronicle = new PodChronicle(saved, (history) => (saved = history));
  const runner = new PodRunner(fake.host, plan(restartPolicy), chronicle, () => (failures += 1));
  fake.runner = runner;
  const outcome = runner.run(life.signal);
  return {
    runner,
    outcome,
    failures: () => failures,
    end: () => {
      life.abort();
      return outcome;
    },
  };
}

async function passes(milliseconds: number): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
  await jest.advanceTimersByTimeAsync(milliseconds);
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
}

it('goes on with counts of restarts and the pause under way', async () => {
  const first = daemon('Always');
  await passes(0);
  fake.exit(1);
  await passes(0);
  fake.exit(1);
  await passes(4000);
  expect(fake.starts).toEqual(['pod', 'container']);
  expect(first.runner.report()).toEqual([{ name: 'c', ready: false, restartCount: 1 }]);
  expect(await first.end()).toBe('Stopped');

  const second = daemon('Always');
  await passes(5000);
  expect(fake.starts).toEqual(['pod', 'container']);
  expect(second.runner.report()).toMatchObject([{ restartCount: 1 }]);
  await passes(1000);
  expect(fake.starts).toEqual(['pod', 'container', 'container']);
  expect(second.runner.report()).toMatchObject([{ restartCount: 2 }]);
  // That end was the first daemon's to count.
  expect([first.failures(), second.failures()]).toEqual([2, 0]);
  await second.end();
});

it('starts a Pod anew that was not kept while its container waited, when the pause is over', async () => {
  const first = daemon('Always');
  await passes(0);
  fake.exit(1);
  await passes(0);
  fake.exit(1);
  await passes(0);
  await first.end();
  fake.state = 'Created';
  const second = daemon('Always');
  await passes(9000);
  expect(fake.starts).toEqual(['pod', 'container']);
  await passes(1000);
  expect(fake.starts).toEqual(['pod', 'container', 'pod']);
  expect(second.runner.report()).toMatchObject([{ restartCount: 2 }]);
  await second.end();
});

it.each([
  ['Never', 0, 'Succeeded'],
  ['Never', 3, 'Failed'],
  ['OnFailure', 0, 'Succeeded'],
] as const)(
  'does not run again with %s what ended with %i while no daemon was there',
  async (policy, code, outcome) => {
    const first = daemon(policy);
    await passes(0);
    await first.end();
    fake.exit(code);
    fake.state = 'Created';
    expect(await daemon(policy).outcome).toBe(outcome);
    expect(fake.starts).toEqual(['pod']);
  },
);

it('restarts what failed while no daemon was there', async () => {
  const first = daemon('OnFailure');
  await passes(0);
  await first.end();
  fake.exit(2);
  fake.state = 'Created';
  const second = daemon('OnFailure');
  await passes(0);
  expect(fake.starts).toEqual(['pod', 'pod']);
  expect(second.failures()).toBe(1);
  await second.end();
});
