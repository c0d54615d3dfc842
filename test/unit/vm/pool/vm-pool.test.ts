import { PooledVms } from '../../../../src/vm/pool/vm-pool';
import { FakeVmFactory, PlainVm } from '../../../support/fakes/fake-vm';

let factory: FakeVmFactory;

beforeEach(() => {
  jest.useFakeTimers();
  factory = new FakeVmFactory();
});

afterEach(() => jest.useRealTimers());

function makePool(poolSize = 2): PooledVms {
  const accelerator = { kind: 'tcg', reason: 'a test', tscKhz: undefined } as const;
  return new PooledVms({
    factory,
    accelerator,
    poolSize,
    clonesAtOnce: 2,
    most: { memoryBytes: 4000, cpus: 8 },
  });
}

async function fullPool(poolSize = 2): Promise<PooledVms> {
  const pool = makePool(poolSize);
  pool.start();
  await jest.advanceTimersByTimeAsync(0);
  return pool;
}

const made = () => factory.made.map(({ how }) => how);

test('fills itself in the background, one after the other', async () => {
  let running = 0;
  factory.before = async () => {
    expect((running += 1)).toBe(1);
    await Promise.resolve();
    running -= 1;
  };
  const pool = await fullPool(3);
  expect(pool.status()).toMatchObject({ idle: 3, associated: 0, template: true, accelerator: 'tcg' });
  expect(made()).toEqual(['warm', 'warm', 'warm']);
});

test('a VM that ends while the next one is made costs neither', async () => {
  const pool = await fullPool();
  await pool.acquire('pod', {});
  factory.before = () => {
    factory.made[1]?.vm.settle({ cause: 'crashed', message: '' }); // an idle one
    return Promise.resolve();
  };
  await jest.advanceTimersByTimeAsync(2000);
  const ids = factory.made.slice(2).map(({ vm }) => vm.id);
  expect(pool.status().idle).toBe(2);
  expect(pool.list().map(({ id }) => id)).toEqual(['vm1', ...ids]);
});

test('hands out the oldest idle VM, associated, and makes another one a little later', async () => {
  const pool = await fullPool();
  const vm = await pool.acquire('pod', {});
  expect(vm).toMatchObject({ id: 'vm1', used: true, state: { kind: 'Associated', podId: 'pod' } });
  expect(pool.find('vm1')).toBe(vm);
  await jest.advanceTimersByTimeAsync(149);
  expect(pool.status()).toMatchObject({ idle: 1, associated: 1 });
  await jest.advanceTimersByTimeAsync(1);
  expect(pool.status()).toMatchObject({ idle: 2, associated: 1 });
});

test('starts that follow each other put off the filling, but not for ever', async () => {
  const pool = await fullPool(20);
  const before = factory.made.length;
  for (let index = 0; index < 9; index += 1) {
    await pool.acquire(`pod${index}`, {});
    await jest.advanceTimersByTimeAsync(100);
  }
  expect(factory.made.length).toBe(before);
  await pool.acquire('last', {});
  await jest.advanceTimersByTimeAsync(100);
  expect(factory.made.length).toBeGreaterThan(before);
});

test('without an idle one a clone is made', async () => {
  const pool = makePool(0);
  await pool.acquire('pod', { memoryBytes: 500, cpus: 1 });
  expect(made()).toEqual(['clone']);
});

test('of many that want one at once, only some are made at a time, and the pool is filled afterwards', async () => {
  const pool = await fullPool(1);
  let cloning = 0;
  let most = 0;
  factory.before = async (how) => {
    if (how === 'warm') {
      expect(pool.status().associated).toBeGreaterThan(4);
      return;
    }
    most = Math.max(most, (cloning += 1));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    cloning -= 1;
  };
  const all = Promise.all(Array.from({ length: 7 }, (_, index) => pool.acquire(`pod${index}`, {})));
  await jest.advanceTimersByTimeAsync(10_000);
  expect(new Set((await all).map(({ id }) => id)).size).toBe(7);
  expect(most).toBe(2);
  expect(pool.status()).toMatchObject({ idle: 1, associated: 7 });
});

test('who was given up while it waited for its turn gets none', async () => {
  const pool = makePool(0);
  const releases: (() => void)[] = [];
  factory.before = () => new Promise((resolve) => releases.push(resolve));
  const first = [pool.acquire('a', {}), pool.acquire('b', {})];
  const controller = new AbortController();
  const waiting = pool.acquire('c', {}, controller.signal);
  controller.abort();
  await jest.advanceTimersByTimeAsync(0);
  for (const release of releases) release();
  await Promise.all(first);
  await expect(waiting).rejects.toThrow('the start was given up');
  expect(made()).toEqual(['clone', 'clone']);
});

test.each([
  [{ memoryBytes: 1001 }, { memoryBytes: 2000, cpus: 2 }],
  [
    { memoryBytes: 2500, cpus: 1 },
    { memoryBytes: 4000, cpus: 2 },
  ],
  [{ cpus: 3 }, { memoryBytes: 1000, cpus: 3 }],
])('a Pod that wants %j gets the next one of few sizes', async (wanted, resources) => {
  const pool = await fullPool();
  const vm = await pool.acquire('pod', wanted);
  expect(made().at(-1)).toBe('sized');
  expect(vm.resources).toEqual(resources);
});

test('a VM never gets more than the host has', async () => {
  const pool = await fullPool();
  const vm = await pool.acquire('pod', { memoryBytes: 2 ** 50, cpus: 99 });
  expect(vm.resources).toEqual({ memoryBytes: 4000, cpus: 8 });
});

test('an idle VM that died is neither kept nor handed out', async () => {
  const pool = await fullPool();
  factory.made[0]?.vm.settle({ cause: 'crashed', message: '' });
  await jest.advanceTimersByTimeAsync(0);
  expect(pool.list().map(({ id }) => id)).toEqual(['vm2']);
  await jest.advanceTimersByTimeAsync(150);
  expect(pool.status().idle).toBe(2);
});

test('one that can not be associated is ended, and the next one taken', async () => {
  const pool = await fullPool();
  factory.made[0]!.vm.associateFailure = new Error('its directory is gone');
  expect((await pool.acquire('pod', {})).id).toBe('vm2');
  await expect(factory.made[0]!.vm.ended).resolves.toMatchObject({ cause: 'requested' });
});

describe('a VM that is named', () => {
  test("is taken once, and is nobody else's", async () => {
    const pool = await fullPool();
    const { id } = await pool.hold({});
    expect((await pool.acquire('other', {})).id).not.toBe(id);
    expect(await pool.take(id, 'pod', {})).toMatchObject({ id, held: false });
    await expect(pool.take(id, 'third', {})).rejects.toThrow(`VM ${id} is in use by Pod pod`);
  });

  test('must be there, and large enough', async () => {
    const pool = await fullPool();
    await expect(pool.take('nosuch', 'pod', {})).rejects.toThrow('No such VM: nosuch');
    await expect(pool.take('vm1', 'pod', { memoryBytes: 2000 })).rejects.toThrow('are needed');
    expect(pool.find('vm1')?.state).toEqual({ kind: 'Idle' });
  });
});

test('a start that was given up takes nothing', async () => {
  const pool = await fullPool();
  await expect(pool.acquire('pod', {}, AbortSignal.abort())).rejects.toMatchObject({ code: 'Unavailable' });
  expect(pool.status().idle).toBe(2);
});

test('filling that fails is tried again later', async () => {
  factory.failure = new Error('no memory');
  const pool = await fullPool();
  expect(pool.status().idle).toBe(0);
  factory.failure = undefined;
  await jest.advanceTimersByTimeAsync(5000);
  expect(pool.status().idle).toBe(2);
});

describe('VMs of an earlier daemon', () => {
  const left = (id: string, isFresh: boolean, podId?: string) => {
    const vm = new PlainVm(id, factory.resources);
    if (podId !== undefined) vm.state = { kind: 'Associated', podId };
    return { vm, isFresh };
  };

  test('fresh ones are idle again, associated ones go on, others end', async () => {
    factory.left = [left('fresh', true), left('busy', false, 'pod'), left('used', false)];
    const pool = makePool();
    const { vms } = await pool.recover(() => false);
    await Promise.all(vms.map(({ answered }) => answered));
    expect(pool.list().map(({ id }) => id)).toEqual(['fresh', 'busy']);
    expect(pool.status()).toMatchObject({ idle: 1, associated: 1 });
    await expect(factory.left[2]!.vm.ended).resolves.toMatchObject({ cause: 'requested' });
    expect((await pool.acquire('new', {})).id).toBe('fresh');
  });

  test('more than the pool holds are kept, and no more made', async () => {
    factory.left = ['a', 'b', 'c'].map((id) => left(id, true));
    const pool = makePool(1);
    await pool.recover(() => false);
    pool.start();
    await jest.advanceTimersByTimeAsync(0);
    expect(factory.made).toEqual([]);
    expect(pool.status().idle).toBe(3);
  });

  test('are counted until they have answered, and the pool is filled only then; who needs one does not wait', async () => {
    factory.left = [left('fresh', true), left('busy', false, 'pod')];
    let answer = (): void => undefined;
    factory.answer = new Promise((resolve) => (answer = resolve));
    const pool = makePool(1);
    await pool.recover((id) => id === 'busy');
    pool.start();
    await jest.advanceTimersByTimeAsync(5000);
    expect(pool.unanswered).toHaveLength(2);
    expect(made()).toEqual([]);
    await pool.acquire('urgent', {});
    expect(made()).toEqual(['clone']);
    answer();
    await jest.advanceTimersByTimeAsync(5000);
    expect(pool.unanswered).toEqual([]);
    expect(pool.status()).toMatchObject({ idle: 1, associated: 2 });
    expect(made()).toEqual(['clone']);
  });

  test('may answer when this daemon has come to its end: they are the next one’s', async () => {
    factory.left = [left('busy', false, 'pod')];
    let answer = (): void => undefined;
    factory.answer = new Promise((resolve) => (answer = resolve));
    const pool = makePool(1);
    const { vms } = await pool.recover(() => true);
    await pool.close({ endIdle: true });
    const told = jest.fn();
    void vms[0]?.answered.then(told);
    answer();
    await jest.advanceTimersByTimeAsync(0);
    expect(told).not.toHaveBeenCalled();
    expect(factory.left[0]?.vm.isDetached).toBe(true);
  });
});

describe('close', () => {
  test('ends the idle ones if asked to, lets go of the others, makes no more', async () => {
    const pool = await fullPool();
    await pool.acquire('pod', {});
    await pool.close({ endIdle: true });
    await expect(factory.made[1]!.vm.ended).resolves.toMatchObject({ cause: 'requested' });
    expect(factory.made[0]!.vm.isDetached).toBe(true);
    expect(factory.isStopped).toBe(true);
    await jest.advanceTimersByTimeAsync(60_000);
    expect(factory.made).toHaveLength(2);
  });

  test('leaves the idle ones to the next daemon otherwise', async () => {
    const pool = await fullPool();
    await pool.close({ endIdle: false });
    expect(factory.made.every(({ vm }) => vm.isDetached)).toBe(true);
  });
});

describe('closing while a VM is being made for a Pod', () => {
  test('waits for it, and leaves none behind', async () => {
    const pool = makePool(0);
    let made = (): void => undefined;
    factory.before = () => new Promise<void>((resolve) => (made = resolve));
    const acquired = pool.acquire('pod', {});
    acquired.catch(() => undefined);
    await jest.advanceTimersByTimeAsync(0);
    const closed = jest.fn();
    const closing = pool.close({ endIdle: true }).then(closed);
    await jest.advanceTimersByTimeAsync(0);
    expect(closed).not.toHaveBeenCalled();
    made();
    await closing;
    await expect(acquired).rejects.toMatchObject({ code: 'Unavailable' });
    await expect(factory.made[0]!.vm.ended).resolves.toMatchObject({ cause: 'requested' });
  });

  test('nothing is made afterwards', async () => {
    const pool = await fullPool();
    await pool.close({ endIdle: false });
    await expect(pool.acquire('pod', {})).rejects.toMatchObject({ code: 'Unavailable' });
  });
});
