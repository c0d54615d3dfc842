// What a user is told of an image that a manifest's Pod can't have: which one, for which container, under which policy.

import { DaemonError } from '../../../src/errors';
import type { PodPlan } from '../../../src/kubernetes/plan';
import type { PlayHost } from '../../../src/play/host';
import { prepareImages } from '../../../src/play/images';

type Policy = PodPlan['containers'][number]['pullPolicy'];

function plan(pullPolicy: Policy): PodPlan {
  const container = {
    name: 'web',
    role: 'main',
    image: 'registry:5000/app:1',
    pullPolicy,
    runAsNonRoot: false,
  };
  return { pullCredentials: [], containers: [container] } as unknown as PodPlan;
}

const missing = (): Promise<never> => Promise.reject(new DaemonError('NotFound', 'No such image: app'));
const unreachable = (): Promise<never> => Promise.reject(new DaemonError('Internal', 'connection refused'));

const prepare = (pullPolicy: Policy, inspect: () => Promise<unknown>): Promise<void> =>
  prepareImages(
    { images: { inspect, pull: unreachable } } as unknown as PlayHost,
    plan(pullPolicy),
    new AbortController().signal,
  );

it.each<[Policy, string]>([
  ['Never', 'container web: image registry:5000/app:1 is not there, and imagePullPolicy is Never'],
  [
    'IfNotPresent',
    'container web: image registry:5000/app:1 could not be pulled (imagePullPolicy IfNotPresent): connection refused',
  ],
  [
    'Always',
    'container web: image registry:5000/app:1 could not be pulled (imagePullPolicy Always): connection refused; imagePullPolicy IfNotPresent takes one that is here',
  ],
])('with imagePullPolicy %s', async (policy, message) => {
  await expect(prepare(policy, missing)).rejects.toMatchObject({ message });
});

it('one that is there is not pulled, unless it always is', async () => {
  await prepare('IfNotPresent', () => Promise.resolve({}));
  await prepare('Never', () => Promise.resolve({}));
  await expect(prepare('Always', () => Promise.resolve({}))).rejects.toThrow('could not be pulled');
});
