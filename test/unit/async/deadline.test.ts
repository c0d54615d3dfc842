import {
  DeadlineExceeded,
  longestTimerMs,
  patientClock,
  settlesWithin,
  unlessAborted,
  wallClock,
  within,
  type Clock,
} from '../../../src/async/deadline';
import { isDaemonError } from '../../../src/errors';

const never = new Promise<never>(() => undefined);

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

describe('within', () => {
  it('gives what the promise gives, and leaves no timer', async () => {
    await expect(within(Promise.resolve(7), 1000)).resolves.toBe(7);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('rejects as the promise does, and leaves no timer', async () => {
    await expect(within(Promise.reject(new Error('broken')), 1000)).rejects.toThrow('broken');
    expect(jest.getTimerCount()).toBe(0);
  });

  it('rejects with DeadlineExceeded, which is Unavailable, when the time is over', async () => {
    const waiting = within(never, 1000).catch((error: unknown) => error);
    await jest.advanceTimersByTimeAsync(1000);
    const error = await waiting;
    expect(error).toBeInstanceOf(DeadlineExceeded);
    expect(isDaemonError(error, 'Unavailable')).toBe(true);
  });

  it("asks for the caller's own error when the time is over, not before", async () => {
    let left = 2;
    const waiting = within(never, 1000, { overdue: () => new Error(`${left} left`) });
    const failed = expect(waiting).rejects.toThrow('1 left');
    left = 1;
    await jest.advanceTimersByTimeAsync(1000);
    await failed;
  });

  it('does not end a time that no timer can count', async () => {
    const ended = jest.fn();
    within(never, longestTimerMs + 1).catch(ended);
    await jest.advanceTimersByTimeAsync(1000);
    expect(ended).not.toHaveBeenCalled();
    expect(jest.getTimerCount()).toBe(0);
  });

  it('lets a rejection that comes too late be', async () => {
    let fail: (error: Error) => void = () => undefined;
    const work = new Promise<never>((_, reject) => (fail = reject));
    const failed = expect(within(work, 10)).rejects.toThrow(DeadlineExceeded);
    await jest.advanceTimersByTimeAsync(10);
    await failed;
    fail(new Error('nobody waits any more'));
    await jest.advanceTimersByTimeAsync(10); // an unhandled rejection would end the test
  });
});

describe('a clock that does not count everything', () => {
  /** One millisecond of so many counts. */
  const slow =
    (times: number): Clock =>
    () => {
      const elapsed = wallClock();
      return () => elapsed() / times;
    };

  it('makes the wait longer, and no deadline endless', async () => {
    const ended = jest.fn();
    within(never, 10_000, { clock: slow(4) }).catch(ended);
    await jest.advanceTimersByTimeAsync(36_000); // the first second counts as it is
    expect(ended).not.toHaveBeenCalled();
    await jest.advanceTimersByTimeAsync(2000);
    expect(ended).toHaveBeenCalledWith(expect.any(DeadlineExceeded));
    const stopped = jest.fn();
    within(never, 10_000, { clock: slow(Infinity) }).catch(stopped);
    await jest.advanceTimersByTimeAsync(190_000);
    expect(stopped).not.toHaveBeenCalled();
    await jest.advanceTimersByTimeAsync(20_000);
    expect(stopped).toHaveBeenCalled();
    expect(jest.getTimerCount()).toBe(0);
  });

  it('is not asked for what is over soon', async () => {
    const clock = jest.fn(wallClock);
    const work = new Promise<number>((resolve) => setTimeout(() => resolve(7), 900));
    const waiting = within(work, 10_000, { clock });
    await jest.advanceTimersByTimeAsync(900);
    await expect(waiting).resolves.toBe(7);
    expect(clock).not.toHaveBeenCalled();
    expect(jest.getTimerCount()).toBe(0);
  });

  it('lets what has come meanwhile be read first', async () => {
    let answer: (value: number) => void = () => undefined;
    const work = new Promise<number>((resolve) => (answer = resolve));
    const waiting = within(work, 2000, { clock: () => () => 5000 });
    jest.advanceTimersByTime(1000); // the timer, and not yet what the event loop does after it
    answer(7);
    await jest.advanceTimersByTimeAsync(1000);
    await expect(waiting).resolves.toBe(7);
  });

  it('of several is the one that counts least', async () => {
    const both = patientClock(slow(2), slow(5))();
    await jest.advanceTimersByTimeAsync(1000);
    expect(both()).toBe(200);
    const alone = patientClock()();
    await jest.advanceTimersByTimeAsync(1000);
    expect(alone()).toBe(1000);
  });
});

describe('unlessAborted', () => {
  it("rejects with the signal's reason, at once if it has come already", async () => {
    const reason = new Error('the client left');
    await expect(unlessAborted(never, AbortSignal.abort(reason))).rejects.toBe(reason);
    const controller = new AbortController();
    const failed = expect(unlessAborted(never, controller.signal)).rejects.toBe(reason);
    controller.abort(reason);
    await failed;
    expect(jest.getTimerCount()).toBe(0);
  });

  it('leaves no listener behind', async () => {
    const { signal } = new AbortController();
    const removed = jest.spyOn(signal, 'removeEventListener');
    await unlessAborted(Promise.resolve(), signal);
    expect(removed).toHaveBeenCalledTimes(1);
  });
});

describe('settlesWithin', () => {
  it('says whether it did', async () => {
    await expect(settlesWithin(Promise.resolve(), 10)).resolves.toBe(true);
    const late = settlesWithin(never, 10);
    await jest.advanceTimersByTimeAsync(10);
    await expect(late).resolves.toBe(false);
  });

  it('rejects as the promise does, also with a deadline of its own', async () => {
    await expect(settlesWithin(Promise.reject(new DeadlineExceeded(1)), 10)).rejects.toThrow(
      DeadlineExceeded,
    );
  });
});
