// What a killed daemon leaves is found: not at once, since another daemon may be about to write it.

import type { V1Pod } from '@kubernetes/client-node';
import type { ClusterContext } from '../../../../src/cluster/containers/context';
import { podName } from '../../../../src/cluster/containers/pod-plan';
import { Reaper } from '../../../../src/cluster/keeper/reaper';
import { ContainerStore } from '../../../../src/cluster/records/container-store';
import type { ClusterContainer } from '../../../../src/cluster/records/cluster-container';
import { clusterRecord, MemoryRecords } from '../../../support/fakes/cluster-fakes';

jest.mock('@kubernetes/client-node', () => ({}));

class Fake {
  readonly store = new ContainerStore(new MemoryRecords());
  readonly pods = new Map<string, V1Pod>();
  readonly removed: string[] = [];
  readonly events: string[] = [];
  asked = 0;
  told = true;
  supervised: { state: string; startedAt: bigint } = { state: 'never', startedAt: 0n };
  now = 0;
  readonly reaper = new Reaper(
    {
      containers: this.store,
      events: {
        publish: (_: string, action: string) => this.events.push(action),
        flush: () => Promise.resolve(),
        wasTold: () => this.told,
        whenTold: () => Promise.resolve(false),
      },
      volumes: {
        settle: (isOld: (name: string) => boolean) => {
          if (isOld('orphaned')) this.removed.push('orphaned volume');
          return Promise.resolve();
        },
        removeAnonymous: () => Promise.resolve(),
        removed: () => Promise.resolve(),
      },
      images: { released: () => Promise.resolve() },
      networks: {
        removed: () => Promise.resolve(),
        detach: () => Promise.resolve({ attachment: { networks: {}, publishedPorts: [] }, left: [] }),
        attach: () => Promise.resolve({ attachment: { networks: {}, publishedPorts: [] }, joined: [] }),
      },
      pods: {
        list: () => [...this.pods.values()],
        get: (name: string) => this.pods.get(name),
        remove: (name: string) => Promise.resolve(void this.removed.push(name)),
      },
      supervisor: () => ({
        state: () => {
          this.asked += 1;
          return Promise.resolve({ ...this.supervised, pid: 7, run: 1, end: 0 });
        },
      }),
    } as unknown as ClusterContext,
    () => this.now,
  );

  async look(times = 1): Promise<void> {
    for (let i = 0; i < times; i++) {
      await this.reaper.look();
      this.now += 20_000;
    }
  }

  podFor(id: string, name = podName(id)): void {
    const labels = { 'caisson.io/container': 'true', 'caisson.io/id': id.slice(0, 63) };
    const containerStatuses = [{ name: 'container', state: { running: {} } }];
    this.pods.set(name, { metadata: { name, uid: name, labels }, status: { containerStatuses } } as never);
  }
}

async function created(fake: Fake): Promise<ClusterContainer> {
  await fake.store.start();
  const container = await fake.store.create(clusterRecord());
  fake.podFor(container.id);
  return container;
}

it('removes the Pod of a container that is gone, after a while', async () => {
  const fake = new Fake();
  await created(fake);
  fake.podFor('b'.repeat(64), 'orphan');
  await fake.look(2);
  expect(fake.removed).toEqual([]);
  await fake.look();
  expect(fake.removed).toEqual(['orphaned volume', 'orphan']);
});

it('records a run that nobody has recorded, and asks once of one that is as it should be', async () => {
  const fake = new Fake();
  const container = await created(fake);
  await fake.look(4);
  expect([fake.asked, container.state.kind]).toEqual([1, 'created']);
  fake.supervised = { state: 'running', startedAt: 1_900_000_000_000_000_000n };
  // a start that begins anew says so first
  await fake.store.update(container, (record) => ({ ...record, startBegunAt: 'now' }));
  await fake.look(4);
  expect([fake.asked, container.state.kind]).toEqual([2, 'running']);
  expect(fake.events).toEqual(['start']);
});

it('removes the container of a build that says nothing any more', async () => {
  const fake = new Fake();
  const container = await created(fake);
  const beat = (buildBeat: number): Promise<unknown> =>
    fake.store.update(container, (record) => ({ ...record, isBuildStep: true, buildBeat }));
  await beat(1);
  await fake.look(4);
  await beat(2);
  await fake.look(4);
  expect(fake.store.byId(container.id)).toBe(container);
  await fake.look(2);
  expect(fake.store.byId(container.id)).toBeUndefined();
  expect(fake.removed).toContain(podName(container.id));
});

const ended = {
  exitCode: 3,
  error: '',
  oomKilled: false,
  startedAt: '2030-01-01T00:00:00Z',
  finishedAt: '2030-01-01T00:00:01Z',
};

it('tells of an end that nobody has told of', async () => {
  const fake = new Fake();
  const container = await created(fake);
  await fake.store.update(container, (record) => ({ ...record, state: { kind: 'exited', ...ended } }));
  await fake.look(4);
  expect(fake.events).toEqual([]);
  fake.told = false;
  await fake.look(3);
  expect(fake.events).toEqual(['die']);
});

it.each(['removing', 'exited'] as const)('ends a removal that was left (%s)', async (kind) => {
  const fake = new Fake();
  await fake.store.start();
  const record = clusterRecord({ state: { kind, ...ended } }, {}, { AutoRemove: true });
  const container = await fake.store.create(record);
  await fake.look(2);
  expect(fake.store.byId(container.id)).toBe(container);
  await fake.look();
  expect(fake.store.byId(container.id)).toBeUndefined();
  expect(fake.events).toEqual(['destroy']);
});
