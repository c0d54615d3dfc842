import { SharedTransfers } from '../../../../src/storage/transfers/shared-transfers';
import type { ProgressMessage, ProgressSink } from '../../../../src/storage/contract/stores';

interface Started {
  progress: ProgressSink;
  signal: AbortSignal;
  succeed: () => void;
  fail: (error: Error) => void;
}

function setUp() {
  const transfers = new SharedTransfers();
  const started: Started[] = [];
  const join = (signal = new AbortController().signal, messages: ProgressMessage[] = []): Promise<void> =>
    transfers.join(
      'layer',
      (message) => messages.push(message),
      signal,
      (progress, own) =>
        new Promise<void>((resolve, reject) => {
          started.push({ progress, signal: own, succeed: resolve, fail: reject });
          own.addEventListener('abort', () => reject(new Error('aborted')));
        }),
    );
  return { started, join };
}

test('two that want the same do it once, and both hear of it', async () => {
  const { started, join } = setUp();
  const first: ProgressMessage[] = [];
  const second: ProgressMessage[] = [];
  const one = join(undefined, first);
  started[0]!.progress({ status: 'Downloading' });
  const two = join(undefined, second);
  started[0]!.progress({ status: 'Pull complete' });
  started[0]!.succeed();
  await Promise.all([one, two]);
  expect(started).toHaveLength(1);
  expect(first.map(({ status }) => status)).toEqual(['Downloading', 'Pull complete']);
  expect(second.map(({ status }) => status)).toEqual(['Downloading', 'Pull complete']);
});

test('a failure is everybody’s, and the next one starts anew', async () => {
  const { started, join } = setUp();
  const both = Promise.allSettled([join(), join()]);
  started[0]!.fail(new Error('broken'));
  expect((await both).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  const again = join();
  started[1]!.succeed();
  await again;
});

test('who leaves does not take it away from the others', async () => {
  const { started, join } = setUp();
  const leaving = new AbortController();
  const one = join(leaving.signal);
  const two = join();
  leaving.abort();
  await expect(one).rejects.toMatchObject({ name: 'AbortError' });
  expect(started[0]!.signal.aborted).toBe(false);
  started[0]!.succeed();
  await two;
});

test('when the last one leaves the work is aborted, and over when that returns', async () => {
  const { started, join } = setUp();
  const leaving = new AbortController();
  const one = join(leaving.signal);
  leaving.abort();
  await expect(one).rejects.toMatchObject({ name: 'AbortError' });
  expect(started[0]!.signal.aborted).toBe(true);
  await expect(join(leaving.signal)).rejects.toMatchObject({ name: 'AbortError' });
  expect(started).toHaveLength(1);
});
