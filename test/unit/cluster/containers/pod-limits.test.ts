// Limits of a Pod that is there: asked for, done by its node, refused by the API server or by the node, or not done yet.

import type { V1Pod } from '@kubernetes/client-node';
import { PodResizes } from '../../../../src/cluster/client/pod-resizes';
import { PodLimits } from '../../../../src/cluster/containers/pod-limits';

jest.mock('@kubernetes/client-node', () => ({
  PatchStrategy: { StrategicMergePatch: 'strategic' },
  setHeaderOptions: () => ({}),
}));
jest.useFakeTimers();

const from = { limits: { memory: '67108864', cpu: '500m' } };
const to = { limits: { memory: '100663296', cpu: '2000m' } };

/** What a node tells of: `limits` of the container, `pending` why it does not do what it is asked for. */
function pod(limits: Record<string, string>, pending?: { reason: string; message: string }): V1Pod {
  const conditions = pending === undefined ? [] : [{ type: 'PodResizePending', status: 'True', ...pending }];
  return {
    metadata: { name: 'p' },
    status: {
      conditions,
      containerStatuses: [{ name: 'container', resources: { limits } } as never],
    },
  };
}

interface Setting {
  /** As it is told of, one after the other. */
  told: V1Pod[];
  /** As the API server answers the wish. */
  answer?: () => Promise<V1Pod>;
  subresources?: string[];
}

function limitsOf({ told, answer, subresources = ['pods', 'pods/resize'] }: Setting): {
  limits: PodLimits;
  patches: unknown[];
} {
  const patches: unknown[] = [];
  const core = {
    getAPIResources: () => Promise.resolve({ resources: subresources.map((name) => ({ name })) }),
    patchNamespacedPodResize: ({ body }: { body: { spec: { containers: [{ resources: unknown }] } } }) => {
      patches.push(body.spec.containers[0].resources);
      return answer?.() ?? Promise.resolve(told[0]);
    },
  };
  const pods = {
    get: () => told[0],
    nextChange: (_name: string, timeoutMs: number) => {
      told.shift();
      if (told.length > 0) return Promise.resolve();
      told.push(pod({ memory: '64Mi', cpu: '500m' }));
      return new Promise<void>((resolve) => setTimeout(resolve, timeoutMs));
    },
  };
  return { limits: new PodLimits(new PodResizes({ core, namespace: 'box' } as never), pods), patches };
}

const before = { memory: '64Mi', cpu: '500m' };

it('is done when its node tells of the new limits, in whatever units', async () => {
  const { limits, patches } = limitsOf({ told: [pod(before), pod({ memory: '96Mi', cpu: '2' })] });
  await expect(limits.change('p', from, to)).resolves.toEqual([]);
  expect(patches).toEqual([to]);
});

it('is not asked for where the cluster has no such thing', async () => {
  const { limits, patches } = limitsOf({ told: [pod(before)], subresources: ['pods'] });
  await expect(limits.change('p', from, to)).rejects.toMatchObject({ code: 'Conflict' });
  expect(patches).toEqual([]);
});

it('is refused in the words of the API server', async () => {
  const message = 'Pod QOS Class may not change as a result of resizing';
  const answer = (): Promise<V1Pod> =>
    Promise.reject(Object.assign(new Error('422'), { code: 422, body: JSON.stringify({ message }) }));
  const { limits } = limitsOf({ told: [pod(before)], answer });
  await expect(limits.change('p', from, to)).rejects.toMatchObject({ code: 'Conflict', message });
});

it('is refused in the words of its node, which is asked for the old ones again', async () => {
  const message = 'Node did not have enough capacity: memory';
  const { limits, patches } = limitsOf({
    told: [pod(before), pod(before, { reason: 'Infeasible', message })],
  });
  await expect(limits.change('p', from, to)).rejects.toMatchObject({ code: 'Conflict', message });
  expect(patches).toEqual([to, from]);
});

it('of an earlier wish that was refused nothing is taken for an answer', async () => {
  const old = pod(before, { reason: 'Infeasible', message: 'too much' });
  const { limits } = limitsOf({ told: [old, pod({ memory: '96Mi', cpu: '2' })] });
  await expect(limits.change('p', from, to)).resolves.toEqual([]);
});

it('warns where the node has not done it after ten seconds', async () => {
  const { limits } = limitsOf({ told: [pod(before)] });
  const warnings = limits.change('p', from, to);
  await jest.advanceTimersByTimeAsync(10_000);
  await expect(warnings).resolves.toEqual([
    expect.stringMatching(/^The new limits hold when .*not said so yet/),
  ]);
});
