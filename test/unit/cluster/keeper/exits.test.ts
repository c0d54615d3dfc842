// The end of a run is recorded once, whoever sees it.

import type { V1Pod } from '@kubernetes/client-node';
import type { ClusterContext } from '../../../../src/cluster/containers/context';
import { podName } from '../../../../src/cluster/containers/pod-plan';
import { killContainer } from '../../../../src/cluster/containers/kill';
import { ExitKeeper } from '../../../../src/cluster/keeper/exits';
import type { ClusterContainer } from '../../../../src/cluster/records/cluster-container';
import { ContainerStore } from '../../../../src/cluster/records/container-store';
import type { ContainerState } from '../../../../src/semantics/containers/container-state';
import { ContainerWaits } from '../../../../src/semantics/containers/container-wait';
import type { HostConfig } from '../../../../src/docker/types';
import { DaemonError } from '../../../../src/errors';
import { clusterRecord, MemoryRecords, runningState } from '../../../support/fakes/cluster-fakes';

jest.mock('@kubernetes/client-node', () => ({}));
jest.useFakeTimers();

const run: ContainerState = runningState;

class Fake {
  readonly store = new ContainerStore(new MemoryRecords());
  readonly events: string[] = [];
  readonly removedPods: string[] = [];
  readonly pods = new Map<string, V1Pod>();
  readonly #listeners = new Set<(name: string, pod: V1Pod | undefined) => void>();
  /** Ends the run, as its supervisor tells it. */
  exit: (code: number) => void = () => undefined;

  readonly context = {
    containers: this.store,
    waits: new ContainerWaits(),
    events: {
      publish: (_: string, action: string) => this.events.push(action),
      flush: () => Promise.resolve(),
      wasTold: () => true,
    },
    networks: {
      detach: () =>
        Promise.resolve({
          attachment: { networks: {}, publishedPorts: [] },
          left: [{ id: 'n', name: 'bridge', driver: 'bridge' }],
        }),
      removed: () => Promise.resolve(),
    },
    images: { released: () => Promise.resolve() },
    volumes: { removeAnonymous: () => Promise.resolve(), removed: () => Promise.resolve() },
    pods: {
      get: (name: string) => this.pods.get(name),
      onChange: (listener: (name: string, pod: V1Pod | undefined) => void) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
      remove: (name: string) => Promise.resolve(void this.removedPods.push(name)),
    },
    supervisor: () => ({
      signal: () => Promise.reject(new DaemonError('Unavailable', 'not there')),
      follow: () =>
        Promise.resolve({
          start: { state: 'running', run: 1 },
          batches: this.#batches(),
          close: () => undefined,
        }),
    }),
  } as unknown as ClusterContext;

  async running(hostConfig: HostConfig = {}): Promise<ClusterContainer> {
    const container = await this.store.create(clusterRecord({ state: run }, {}, hostConfig));
    this.tellPod(container, { containerStatuses: [{ name: 'container', state: { running: {} } }] });
    return container;
  }

  tellPod({ id }: ClusterContainer, status: object | undefined): void {
    const pod = {
      metadata: { labels: { 'caisson.io/id': id.slice(0, 63) }, uid: 'uid' },
      status,
    } as unknown as V1Pod;
    if (status === undefined) this.pods.delete(podName(id));
    else this.pods.set(podName(id), pod);
    for (const listener of this.#listeners) listener(podName(id), status === undefined ? undefined : pod);
  }

  async *#batches(): AsyncGenerator {
    const exited = { kind: 'exited', signal: 0, oom: false, timeNs: 1n, position: 1 };
    // of the run before
    yield { events: [{ ...exited, run: 0, code: 99 }] };
    const code = await new Promise<number>((resolve) => (this.exit = resolve));
    yield { events: [{ ...exited, run: 1, code }] };
  }
}

async function settle(): Promise<void> {
  await jest.advanceTimersByTimeAsync(0);
}

it('records an exit once, though two daemons follow it', async () => {
  const fake = new Fake();
  const container = await fake.running();
  const [one, other] = [new ExitKeeper(fake.context), new ExitKeeper(fake.context)];
  one.start();
  await settle();
  const exitOfOne = fake.exit;
  other.start();
  await settle();
  exitOfOne(3);
  fake.exit(3);
  await settle();
  expect(container.state).toMatchObject({ kind: 'exited', exitCode: 3 });
  expect(fake.events).toEqual(['die', 'disconnect']);
  one.stop();
  other.stop();
});

it('follows nothing any more when its lease is lost', async () => {
  const fake = new Fake();
  const container = await fake.running();
  const keeper = new ExitKeeper(fake.context);
  keeper.start();
  await settle();
  keeper.stop();
  fake.exit(3);
  await settle();
  expect(container.state.kind).toBe('running');
});

it('has a Pod that was evicted, or deleted, as the end of its container', async () => {
  const fake = new Fake();
  const container = await fake.running();
  const keeper = new ExitKeeper(fake.context);
  keeper.start();
  fake.tellPod(container, undefined);
  await jest.advanceTimersByTimeAsync(5_000);
  expect(container.record).toMatchObject({ layerLost: true, state: { kind: 'exited', exitCode: 137 } });
  expect(fake.events).toEqual(['die', 'disconnect']);
  keeper.stop();
});

it('removes what goes with its exit, and has what is to start again wait', async () => {
  const [gone, again] = [new Fake(), new Fake()];
  await gone.running({ AutoRemove: true });
  const restarting = await again.running({ RestartPolicy: { Name: 'always' } });
  const keepers = [gone, again].map(({ context }) => new ExitKeeper(context));
  for (const keeper of keepers) keeper.start();
  await settle();
  gone.exit(0);
  again.exit(0);
  await settle();
  expect(gone.store.list()).toEqual([]);
  expect(gone.events).toEqual(['die', 'disconnect', 'destroy']);
  expect(restarting.state.kind).toBe('restarting');
  for (const keeper of keepers) keeper.stop();
});

it('lets no kill wait for an exit that nobody records', async () => {
  const fake = new Fake();
  const container = await fake.running();
  const ended = jest.fn();
  killContainer(fake.context, container, { ref: 'box', signal: 9 }).catch(ended);
  await jest.advanceTimersByTimeAsync(60_000);
  expect(fake.removedPods).toEqual([podName(container.id)]);
  expect(ended).toHaveBeenCalledWith(
    expect.objectContaining({ message: 'tried to kill container, but did not receive an exit event' }),
  );
});
