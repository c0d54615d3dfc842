import { TestEngine } from '../../../support/fakes/engine-fakes';
import { OperationQueue } from '../../../../src/async/operation-queue';

describe('registry', () => {
  let engine: TestEngine;
  beforeEach(() => (engine = new TestEngine()));
  afterEach(() => engine.dispose());

  it('finds by id, prefix and name', async () => {
    const id = await engine.create({}, 'web');
    for (const ref of [id, id.slice(0, 12), id.slice(0, 4), 'web', '/web']) {
      expect(engine.registry.get(ref).id).toBe(id);
    }
    expect(() => engine.registry.get('nosuch')).toThrow('No such container: nosuch');
    expect(() => engine.registry.get('')).toThrow('invalid name or ID supplied: ""');
  });

  it('says when a prefix means several', async () => {
    for (let count = 0; count < 17; count++) await engine.create();
    const firsts = engine.registry.list().map(({ id }) => id.charAt(0));
    const shared = firsts.find((first, index) => firsts.indexOf(first) !== index) ?? '';
    expect(() => engine.registry.get(shared)).toThrow(`Multiple IDs found with provided prefix: ${shared}`);
  });

  it('prefers a name to a prefix', async () => {
    const other = await engine.create();
    const named = await engine.create({}, other.slice(0, 6));
    expect(engine.registry.get(other.slice(0, 6)).id).toBe(named);
  });

  it('lists the newest first and reads its records back', async () => {
    const ids = [await engine.create(), await engine.create(), await engine.create()];
    expect(engine.registry.list().map(({ id }) => id)).toEqual([...ids].reverse());
    const later = new TestEngine(engine);
    later.registry.load();
    expect(later.registry.list().map(({ id }) => id)).toEqual([...ids].reverse());
    later.dispose();
  });

  it('refuses an illegal step, and tells nobody of it', async () => {
    const container = engine.registry.get(await engine.create());
    const before = container.record;
    const told: string[] = [];
    engine.registry.onTransition(({ state }) => told.push(state.kind));
    expect(() => engine.registry.transition(container, { kind: 'pause' })).toThrow(
      expect.objectContaining({
        code: 'Conflict',
        message: `container ${container.id} is created: pause is not possible`,
      }) as Error,
    );
    expect(engine.registry.tryTransition(container, { kind: 'resume' })).toBeUndefined();
    expect(container.record).toBe(before);
    expect(told).toEqual([]);
    expect(engine.registry.transition(container, { kind: 'remove' }).kind).toBe('removing');
    expect(told).toEqual(['removing']);
  });
});

it('a queue runs one after the other, whatever fails', async () => {
  const queue = new OperationQueue();
  const order: string[] = [];
  const step = (name: string, fails = false) =>
    queue.run(async () => {
      order.push(`${name} begins`);
      await Promise.resolve();
      order.push(`${name} ends`);
      if (fails) throw new Error(name);
    });
  const results = await Promise.allSettled([step('one'), step('two', true), step('three')]);
  expect(order).toEqual(['one begins', 'one ends', 'two begins', 'two ends', 'three begins', 'three ends']);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(queue.idle).toBe(true);
});
