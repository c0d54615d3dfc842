// Events of several daemons are the same ones for each, in one order.

import { ClusterEvents, type EventsRecord } from '../../../../src/cluster/records/event-log';
import { DaemonError } from '../../../../src/errors';
import { nowNanoseconds } from '../../../../src/go/timestamp';
import { MemoryRecords } from '../../../support/fakes/cluster-fakes';

async function daemons(): Promise<{
  records: MemoryRecords<EventsRecord>;
  here: ClusterEvents;
  there: ClusterEvents;
}> {
  const records = new MemoryRecords<EventsRecord>();
  const [here, there] = [new ClusterEvents(records), new ClusterEvents(records)];
  await Promise.all([here.start(), there.start()]);
  return { records, here, there };
}

async function past(events: ClusterEvents): Promise<string[]> {
  const untilNs = nowNanoseconds() + 1_000_000n;
  const found: string[] = [];
  const query = { sinceNs: 0n, untilNs, filters: new Map<string, string[]>() };
  for await (const { Action } of events.bus.subscribe(query, new AbortController().signal))
    found.push(Action);
  return found;
}

it('tells each daemon of what all publish, in the order of the cluster', async () => {
  const { here, there } = await daemons();
  here.publish('container', 'create', 'c', {});
  here.publish('container', 'start', 'c', {});
  await here.flush();
  there.publish('container', 'die', 'c', { exitCode: '0' });
  await there.flush();
  for (const daemon of [here, there]) expect(await past(daemon)).toEqual(['create', 'start', 'die']);
});

it('knows by its mark when another daemon has told of something, and waits for it no longer than it is told to', async () => {
  const { records, here, there } = await daemons();
  const told = there.whenTold('run 1', 60_000);
  here.publish('container', 'start', 'c', {}, 'run 1');
  await told;
  expect(await there.whenTold('run 1', 60_000)).toBe(true);
  expect(await there.whenTold('run 2', 1)).toBe(false);
  const later = new ClusterEvents(records);
  await later.start();
  expect(await later.whenTold('run 1', 60_000)).toBe(true);
  expect([later.wasTold('run 1', 1n), later.wasTold('run 2', 1n)]).toEqual([true, false]);
  expect(JSON.stringify(await past(later))).toBe('["start"]');
});

it('tells what several daemons tell of once, and whole: as the first one does', async () => {
  const { here, there } = await daemons();
  for (const daemon of [here, there]) {
    daemon.publish('container', 'die', 'c', {}, 'end 1');
    daemon.publish('network', 'disconnect', 'n', {}, 'end 1');
  }
  there.publish('container', 'destroy', 'c', {});
  await Promise.all([here.flush(), there.flush()]);
  for (const daemon of [here, there]) expect(await past(daemon)).toEqual(['die', 'disconnect', 'destroy']);
});

it('wakes all who wait for the same', async () => {
  const { here, there } = await daemons();
  const waiting = [there.whenTold('end 1', 60_000), there.whenTold('end 1', 60_000)];
  here.publish('container', 'die', 'c', {}, 'end 1');
  expect(await Promise.all(waiting)).toEqual([true, true]);
});

it('offers events again that the cluster does not take for a moment', async () => {
  const { records, here } = await daemons();
  const unavailable = new DaemonError('Unavailable', 'away');
  const create = jest.spyOn(records, 'create').mockRejectedValueOnce(unavailable);
  here.publish('image', 'told', 'i', {});
  await here.flush();
  create.mockRestore();
  expect(await past(here)).toEqual(['told']);
});

it('gives each event of a daemon a time of its own', async () => {
  const { records, here } = await daemons();
  for (let n = 0; n < 5; n++) here.publish('image', 'tag', String(n), {});
  await here.flush();
  const times = [...records.objects.values()].flatMap(({ value }) =>
    value.events.map(({ timeNano }) => timeNano),
  );
  expect(new Set(times).size).toBe(5);
});

it('knows at its start what was told before, by the versions and not by the listing', async () => {
  const records = new MemoryRecords<EventsRecord>();
  const event = (Action: string): EventsRecord => ({
    events: [
      {
        Type: 'image',
        Action,
        Actor: { ID: 'i', Attributes: {} },
        timeNano: '1',
        time: 1,
      } as EventsRecord['events'][number],
    ],
  });
  for (const [name, Action] of [
    ['b', 'first'],
    ['a', 'second'],
  ] as const)
    await records.create(name, event(Action));
  const listed = [...records.objects.values()].reverse();
  records.objects.clear();
  for (const stored of listed) records.objects.set(stored.name, stored);
  const late = new ClusterEvents(records);
  await late.start();
  expect(await past(late)).toEqual(['first', 'second']);
});

it('keeps as many as dockerd, and takes older ones out of the cluster', async () => {
  const { records, here } = await daemons();
  for (let n = 0; n < 300; n++) {
    here.publish('image', String(n), 'i', {});
    await here.flush();
  }
  expect(await past(here)).toHaveLength(256);
  expect((await past(here))[0]).toBe('44');
  expect(here.wasTold('of long ago', 1n)).toBe(true);
  await here.trim();
  expect(records.objects.size).toBe(256);
  await here.trim();
  expect(records.objects.size).toBe(256);
});

it('goes on after events that the cluster does not take', async () => {
  const { records, here } = await daemons();
  const create = jest.spyOn(records, 'create').mockRejectedValueOnce(new Error('away'));
  here.publish('image', 'lost', 'i', {});
  await here.flush();
  create.mockRestore();
  here.publish('image', 'told', 'i', {});
  await here.flush();
  expect(await past(here)).toEqual(['told']);
});
