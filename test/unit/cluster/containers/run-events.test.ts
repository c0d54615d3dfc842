// What several daemons tell of a run comes in Docker's order, however late one of them is.

import type { ClusterContext } from '../../../../src/cluster/containers/context';
import { removeStopped } from '../../../../src/cluster/containers/remove';
import {
  beginTold,
  endTold,
  endTolder,
  publishBegin,
  publishEnd,
} from '../../../../src/cluster/containers/run-events';
import { ContainerStore } from '../../../../src/cluster/records/container-store';
import type { ClusterContainer } from '../../../../src/cluster/records/cluster-container';
import { ClusterEvents, type EventsRecord } from '../../../../src/cluster/records/event-log';
import { clusterRecord, MemoryRecords, runningState } from '../../../support/fakes/cluster-fakes';

jest.mock('@kubernetes/client-node', () => ({}));
jest.useFakeTimers();

const { startedAt } = runningState;
const exit = { exitCode: 3, error: '', oomKilled: false, startedAt, finishedAt: '2030-01-01T00:00:01Z' };
const left = [{ id: 'n', name: 'bridge', driver: 'bridge' }];

/** Two daemons in front of one cluster. */
class Cluster {
  readonly store = new ContainerStore(new MemoryRecords());
  readonly #events = new MemoryRecords<EventsRecord>();
  readonly keeper = this.#daemon();
  readonly other = this.#daemon();
  readonly told: string[] = [];

  async running(): Promise<ClusterContainer> {
    await this.keeper.events.start();
    await this.other.events.start();
    this.other.events.bus.listen(({ Action }) => this.told.push(Action));
    return this.store.create(clusterRecord({ state: runningState }));
  }

  async exits(container: ClusterContainer): Promise<void> {
    await this.store.transition(container, () => ({ kind: 'exit', exit }));
  }

  #daemon(): ClusterContext {
    const nothing = (): Promise<void> => Promise.resolve();
    return {
      events: new ClusterEvents(this.#events),
      containers: this.store,
      networks: { detach: () => Promise.resolve({ left }), removed: nothing },
      images: { released: nothing },
      volumes: { removed: nothing },
      pods: { remove: nothing },
    } as unknown as ClusterContext;
  }
}

async function settle(ms = 0): Promise<void> {
  await jest.advanceTimersByTimeAsync(ms);
}

it('a removal is told after the end that another daemon is about to tell of', async () => {
  const cluster = new Cluster();
  const container = await cluster.running();
  publishBegin(cluster.other, container.record, left);
  await cluster.exits(container);
  const removing = removeStopped(cluster.other, container, { volumes: false, graceSeconds: 0 });
  await settle(1_000);
  expect(cluster.told).toEqual(['connect', 'start']);
  publishEnd(cluster.keeper, container.record, left);
  await removing;
  expect(cluster.told).toEqual(['connect', 'start', 'die', 'disconnect', 'destroy']);
});

it('the end is told by who needs it, should its keeper be gone; should that be late instead, once', async () => {
  const cluster = new Cluster();
  const container = await cluster.running();
  await cluster.exits(container);
  const removing = removeStopped(cluster.other, container, { volumes: false, graceSeconds: 0 });
  await settle(2_000);
  await removing;
  publishEnd(cluster.keeper, container.record, left);
  await settle();
  expect(cluster.told).toEqual(['die', 'disconnect', 'destroy']);
});

it('the begin is told before the end, by its keeper if the daemon that began it is late', async () => {
  const cluster = new Cluster();
  const container = await cluster.running();
  const { record } = container;
  await cluster.exits(container);
  const begin = beginTold(cluster.keeper, record, left);
  await settle(2_000);
  await begin;
  publishEnd(cluster.keeper, container.record, left);
  publishBegin(cluster.other, record, left);
  await settle();
  expect(cluster.told).toEqual(['connect', 'start', 'die', 'disconnect']);
});

it('a verb that ends a run waits for that run’s end, though another has begun', async () => {
  const cluster = new Cluster();
  const container = await cluster.running();
  const told = endTolder(cluster.other, container);
  await cluster.exits(container);
  const ended = container.record;
  const run = { ...runningState, startedAt: '2030-01-01T00:00:02Z' };
  await cluster.store.transition(container, () => ({ kind: 'start', run }));
  const waits = jest.fn();
  const waiting = told().then(waits);
  await settle(1_000);
  expect(waits).not.toHaveBeenCalled();
  publishEnd(cluster.keeper, ended, left);
  await waiting;
});

it('nothing is told of a container that runs, or never ran', async () => {
  const cluster = new Cluster();
  const container = await cluster.running();
  await endTold(cluster.other, container.record);
  await endTold(cluster.other, clusterRecord());
  expect(cluster.told).toEqual([]);
});
