// A Pod is waited for as long as something happens.

import type { V1Pod } from '@kubernetes/client-node';
import { Pods } from '../../../../src/cluster/containers/pods';
import type { ClusterApi } from '../../../../src/cluster/client/cluster-api';

jest.mock('@kubernetes/client-node', () => ({}));
jest.useFakeTimers();

const running = { containerStatuses: [{ name: 'container', state: { running: {} } }], podIP: '10.0.0.7' };

function waiting(reason: string, name = 'container'): object {
  return { containerStatuses: [{ name, image: 'i', state: { waiting: { reason, message: 'why' } } }] };
}

interface Fake {
  pods: Pods;
  tell(status: object, metadata?: object): Promise<void>;
}

function fake(): Fake {
  const core = { createNamespacedPod: ({ body }: { body: V1Pod }) => Promise.resolve(body) };
  const pods = new Pods({ core, namespace: 'box' } as unknown as ClusterApi);
  const tell = (status: object, metadata: object = {}): Promise<void> =>
    pods.ensure({ metadata: { name: 'p', uid: 'u', ...metadata }, status });
  return { pods, tell };
}

it('runs, with its address', async () => {
  const { pods, tell } = fake();
  const facts = pods.whenRunning('p');
  await tell({ phase: 'Pending' });
  await tell(running);
  await expect(facts).resolves.toEqual({ name: 'p', uid: 'u', node: '', address: '10.0.0.7' });
});

it.each([
  ['ErrImagePull', 'failed to pull image i: why'],
  ['CreateContainerConfigError', 'CreateContainerConfigError: why'],
])('fails at once by %s', async (reason, words) => {
  const { pods, tell } = fake();
  const facts = pods.whenRunning('p');
  facts.catch(() => undefined);
  await tell(waiting(reason));
  await expect(facts).rejects.toThrow(words);
});

it.each([
  ['StartError', 'the Pod has ended: StartError: why'],
  ['Error', 'the Pod has ended: Error'],
])('that ends by %s has ended', async (reason, words) => {
  const { pods, tell } = fake();
  const facts = pods.whenRunning('p');
  facts.catch(() => undefined);
  await tell({
    containerStatuses: [
      { name: 'container', state: { terminated: { exitCode: 128, reason, message: 'why' } } },
    ],
  });
  await expect(facts).rejects.toMatchObject({ message: words });
});

it('is not waited for when nothing happens for long, and is as long as something does', async () => {
  const { pods, tell } = fake();
  const ended = jest.fn();
  pods.whenRunning('p').catch(ended);
  for (let change = 0; change < 3; change++) {
    await tell(waiting('ContainerCreating'));
    await jest.advanceTimersByTimeAsync(14 * 60_000);
  }
  expect(ended).not.toHaveBeenCalled();
  await jest.advanceTimersByTimeAsync(60_000);
  expect(ended).toHaveBeenCalledWith(
    expect.objectContaining({
      code: 'Unavailable',
      message: expect.stringContaining('ContainerCreating') as string,
    }),
  );
});

it.each([
  ['that the cluster tells nothing of', undefined, 'tells nothing of the Pod'],
  ['on its way out, whose node is gone', { deletionTimestamp: new Date(0) }, 'Terminating'],
])('is not waited for for ever: one %s', async (_, metadata, words) => {
  const { pods, tell } = fake();
  if (metadata !== undefined) await tell(running, metadata);
  const ended = jest.fn();
  pods.whenRunning('p').catch(ended);
  await jest.advanceTimersByTimeAsync(60_000);
  expect(ended).toHaveBeenCalledWith(
    expect.objectContaining({ message: expect.stringContaining(words) as string }),
  );
});

it('is not waited for by a client that has gone before', async () => {
  const { pods } = fake();
  await expect(pods.whenRunning('p', AbortSignal.abort())).rejects.toThrow('the client has gone');
});

it('leaves no timer behind', async () => {
  const { pods, tell } = fake();
  await tell(running);
  await pods.whenRunning('p');
  expect(jest.getTimerCount()).toBe(0);
});
