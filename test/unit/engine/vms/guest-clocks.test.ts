import { nowNanoseconds } from '../../../../src/go/timestamp';
import { GuestClocks, setClock } from '../../../../src/engine/vms/guest-clocks';
import type { RunningPod } from '../../../../src/engine/vms/running-pod';

/** A guest whose clock is behind the host's by so much. */
class Guest {
  readonly adjustments: number[] = [];
  behindUsec: number;

  constructor(behindUsec: number) {
    this.behindUsec = behindUsec;
  }

  request = (_op: string, { adjustUsec }: { adjustUsec: number }): Promise<{ timeUsec: number }> => {
    if (adjustUsec !== 0) this.adjustments.push(adjustUsec);
    this.behindUsec -= adjustUsec;
    return Promise.resolve({ timeUsec: Number(nowNanoseconds() / 1000n) - this.behindUsec });
  };
}

const asked = (guest: Guest): Parameters<typeof setClock>[0] => guest;
const second = 1e6;

test.each([20 * second, -3 * second])('a clock that is %p µs behind is put right', async (behind) => {
  const guest = new Guest(behind);
  await setClock(asked(guest));
  expect(guest.adjustments).toHaveLength(1);
  expect(Math.abs(guest.behindUsec)).toBeLessThan(second);
});

test('one that is right is left alone', async () => {
  const guest = new Guest(0);
  await setClock(asked(guest));
  expect(guest.adjustments).toEqual([]);
});

describe('all of them', () => {
  let wall = 1e12;
  let monotonic = 0;
  const guest = new Guest(0);
  const silent = { request: () => Promise.reject(new Error('no answer')) };
  const pods = [silent, guest].map((agent, i) => ({ id: String(i), vm: { agent } }) as unknown as RunningPod);
  const clocks = new GuestClocks(() => pods, { wall: () => wall, monotonic: () => monotonic });
  const pass = (ms: number): void => void ((wall += ms), (monotonic += ms));

  beforeEach(() => {
    guest.behindUsec = 5 * second;
    guest.adjustments.length = 0;
  });

  test('are not asked while nothing happens', async () => {
    for (let i = 0; i < 100; i += 1) {
      pass(1000 + i);
      await clocks.check();
    }
    expect(guest.adjustments).toEqual([]);
  });

  test('are set at once when the host was suspended, whoever else does not answer', async () => {
    pass(1000);
    wall += 60_000;
    await clocks.check();
    expect(guest.adjustments).toHaveLength(1);
  });

  test('are compared now and then, against drift', async () => {
    for (let i = 0; i < 300; i += 1) await clocks.check();
    expect(guest.adjustments).toHaveLength(1);
  });
});
