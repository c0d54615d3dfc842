import { mkdtempSync, appendFileSync, rmSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { EventMessage } from '../../../../src/docker/types';
import { EventHistory, historyLength } from '../../../../src/engine/events/event-history';
import { EventBus } from '../../../../src/semantics/events/events';

const filters = (entries: Record<string, string[]> = {}) => new Map(Object.entries(entries));
const never = new AbortController().signal;
const past = { sinceNs: 1n, untilNs: 0n };

async function take(events: AsyncIterable<EventMessage>, count: number): Promise<string[]> {
  const seen: string[] = [];
  if (count === 0) return seen;
  for await (const event of events) {
    seen.push(event.Action);
    if (seen.length === count) break;
  }
  return seen;
}

/** What the history has for these filters. */
async function replay(bus: EventBus, wanted: Record<string, string[]>): Promise<string[]> {
  const abort = new AbortController();
  const query = { sinceNs: past.sinceNs, untilNs: BigInt(Date.now()) * 1_000_000n + 50_000_000n };
  const seen: string[] = [];
  for await (const event of bus.subscribe({ ...query, filters: filters(wanted) }, abort.signal)) {
    seen.push(event.Action);
  }
  return seen;
}

describe('an event', () => {
  test('has the members of dockerd, the old ones for containers and images', async () => {
    const bus = new EventBus(new EventHistory());
    const events = bus.subscribe({ filters: filters() }, never);
    bus.publish('container', 'die', 'c1', { name: 'web', image: 'busybox', exitCode: '3' });
    bus.publish('network', 'connect', 'n1', { name: 'bridge' });
    const seen: EventMessage[] = [];
    for await (const event of events) if (seen.push(event) === 2) break;
    expect(seen[0]).toMatchObject({
      status: 'die',
      id: 'c1',
      from: 'busybox',
      Type: 'container',
      Action: 'die',
      Actor: { ID: 'c1', Attributes: { exitCode: '3', image: 'busybox', name: 'web' } },
      scope: 'local',
    });
    expect(Object.keys(seen[0]?.Actor.Attributes ?? {})).toEqual(['exitCode', 'image', 'name']);
    expect(seen[0]?.time).toBe(Number((seen[0]?.timeNano ?? 0n) / 1_000_000_000n));
    expect(seen[1]).not.toHaveProperty('status');
    expect((seen[1]?.timeNano ?? 0n) > (seen[0]?.timeNano ?? 0n)).toBe(true);
    expect(bus.listenerCount).toBe(0);
  });
});

describe('a subscription', () => {
  test('tells of nothing past unless a time is given', async () => {
    const bus = new EventBus(new EventHistory());
    bus.publish('container', 'create', 'c1', {});
    const events = bus.subscribe({ filters: filters() }, never);
    bus.publish('container', 'start', 'c1', {});
    expect(await take(events, 1)).toEqual(['start']);
  });

  test('goes on from the time of an event without losing or repeating a later one', async () => {
    const bus = new EventBus(new EventHistory());
    for (const action of ['create', 'attach', 'start']) bus.publish('container', action, 'c1', {});
    const first: EventMessage[] = [];
    for await (const event of bus.subscribe({ sinceNs: 1n, filters: filters() }, never)) {
      if (first.push(event) === 2) break;
    }
    const events = bus.subscribe({ sinceNs: (first[1]?.timeNano ?? 0n) + 1n, filters: filters() }, never);
    bus.publish('container', 'die', 'c1', {});
    expect(await take(events, 2)).toEqual(['start', 'die']);
  });

  test('ends at once when the end lies in the past, and when it is aborted', async () => {
    const bus = new EventBus(new EventHistory());
    expect(await take(bus.subscribe({ untilNs: 5n, filters: filters() }, never), 9)).toEqual([]);
    const abort = new AbortController();
    const seen = take(bus.subscribe({ filters: filters() }, abort.signal), 9);
    abort.abort();
    expect(await seen).toEqual([]);
    expect(bus.listenerCount).toBe(0);
  });

  test('refuses times in the wrong order in words of dockerd', () => {
    expect(() =>
      new EventBus(new EventHistory()).subscribe(
        { sinceNs: 200_000_000_000n, untilNs: 100_000_000_000n, filters: filters() },
        never,
      ),
    ).toThrow('`since` time (200) cannot be after `until` time (100)');
  });
});

describe('filters', () => {
  const bus = new EventBus(new EventHistory());
  bus.publish('container', 'create', 'abc123', { name: 'web', image: 'busybox:1', tier: 'a' });
  bus.publish('container', 'exec_create: sh -c true', 'abc123', { name: 'web', image: 'busybox:1' });
  bus.publish('container', 'health_status: healthy', 'def456', { name: 'db', image: 'localhost:5000/pg' });
  bus.publish('image', 'pull', 'localhost:5000/pg:9', { name: 'localhost:5000/pg' });
  bus.publish('network', 'connect', 'net1', { name: 'bridge', container: 'abc123' });

  test.each<[Record<string, string[]>, string[]]>([
    [{ type: ['image', 'network'] }, ['pull', 'connect']],
    [{ event: ['create'] }, ['create']],
    [{ event: ['exec_create'] }, ['exec_create: sh -c true']],
    [{ event: ['health_status'] }, ['health_status: healthy']],
    [{ event: ['health_status: healthy'] }, ['health_status: healthy']],
    [{ container: ['abc'] }, ['create', 'exec_create: sh -c true']],
    [{ container: ['db'] }, ['health_status: healthy']],
    [{ container: ['web', 'db'], event: ['create'] }, ['create']],
    [{ image: ['busybox'] }, ['create', 'exec_create: sh -c true']],
    [{ image: ['localhost:5000/pg'] }, ['health_status: healthy', 'pull']],
    [{ label: ['tier'] }, ['create']],
    [{ label: ['tier=b'] }, []],
    [{ network: ['bri'] }, ['connect']],
    [{ scope: ['swarm'] }, []],
    [{ nonsense: ['x'], type: ['network'] }, ['connect']],
  ])('%j', async (wanted, actions) => {
    expect(await replay(bus, wanted)).toEqual(actions);
  });
});

describe('the history', () => {
  let directory: string;
  beforeEach(() => (directory = mkdtempSync(path.join(tmpdir(), 'caisson-events-'))));
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  test('outlives the daemon, keeps the last 256 and survives a torn line', async () => {
    const file = path.join(directory, 'events.ndjson');
    const bus = new EventBus(new EventHistory(file));
    for (let i = 0; i < 3000; i += 1) {
      bus.publish('container', `a${i}`, 'c', {});
      if (i % 500 === 0) await bus.close();
    }
    await bus.close();
    expect(readFileSync(file, 'utf8').split('\n').length).toBeLessThan(9 * historyLength);
    appendFileSync(file, '{"torn');
    const next = new EventBus(new EventHistory(file));
    next.publish('container', 'after', 'c', {});
    await next.close();
    const third = new EventBus(new EventHistory(file));
    const seen = await take(third.subscribe({ sinceNs: 1n, filters: filters() }, never), 255);
    expect(seen.at(-1)).toBe('after');
    expect(seen[0]).toBe(`a${3000 - 254}`);
  });
});
