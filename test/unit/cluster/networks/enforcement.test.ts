// Whether a cluster's network keeps its policies is tried once in a while, and all daemons tell of it.

import type { V1NetworkPolicy, V1Pod } from '@kubernetes/client-node';
import {
  EnforcementProbe,
  enforcementWarnings,
  type ProbeObjects,
} from '../../../../src/cluster/networks/enforcement';
import { DaemonError } from '../../../../src/errors';
import { clusterSettings } from '../../../support/fakes/cluster-fakes';

jest.mock('@kubernetes/client-node', () => ({}));

/** Pods run at once, and the one that tries ends with this code; undefined: they can't be made. */
class Fake {
  policy: V1NetworkPolicy | undefined;
  readonly pods = new Map<string, V1Pod>();
  made = 0;
  nowMs = Date.parse('2030-01-01T00:00:00Z');

  exitCode: number | undefined;

  constructor(exitCode: number | undefined) {
    this.exitCode = exitCode;
  }

  probe(): EnforcementProbe {
    const objects: ProbeObjects = {
      policy: () =>
        this.policy === undefined
          ? Promise.reject(new DaemonError('NotFound', 'no such policy'))
          : Promise.resolve(this.policy),
      createPolicy: (policy) => {
        if (this.policy !== undefined) return Promise.reject(new DaemonError('Conflict', 'it is there'));
        return Promise.resolve((this.policy = policy));
      },
      replacePolicy: (_, policy) => Promise.resolve((this.policy = policy)),
      createPod: (pod) => this.#make(pod),
      pods: (selector) => {
        const [label = '', value] = selector.split('=');
        const all = [...this.pods.values()];
        return Promise.resolve(
          all.filter(({ metadata }) =>
            value === undefined ? label in (metadata?.labels ?? {}) : metadata?.labels?.[label] === value,
          ),
        );
      },
      deletePod: (name) => Promise.resolve(this.pods.delete(name)),
    };
    return new EnforcementProbe(objects, clusterSettings, {}, () => this.nowMs);
  }

  #make(pod: V1Pod): Promise<void> {
    const { exitCode } = this;
    if (exitCode === undefined) return Promise.reject(new DaemonError('Forbidden', 'exceeded quota'));
    this.made += 1;
    const name = `probe-${this.made}`;
    const isClient = pod.metadata?.labels?.['caisson.io/probe'] === 'client';
    const status = isClient
      ? { containerStatuses: [{ state: { terminated: { exitCode } } }] }
      : { phase: 'Running', podIP: '10.0.0.9' };
    this.pods.set(name, { ...pod, metadata: { ...pod.metadata, name }, status } as V1Pod);
    return Promise.resolve();
  }
}

const { signal } = new AbortController();

it.each([
  [0, 'kept'],
  [3, 'ignored'],
  [4, 'unknown'],
  [137, 'unknown'],
  [undefined, 'unknown'],
])('finds what the end of the one that tries says: %s', async (exitCode, expected) => {
  const fake = new Fake(exitCode);
  await fake.probe().renew(signal);
  await expect(fake.probe().known()).resolves.toBe(expected);
  expect(fake.pods.size).toBe(0);
});

it('tries it again when what is known is old, and sooner where it is not known', async () => {
  const fake = new Fake(0);
  const probe = fake.probe();
  await probe.renew(signal);
  await probe.renew(signal);
  expect(fake.made).toBe(2);
  fake.nowMs += 25 * 3_600_000;
  fake.exitCode = 4;
  await probe.renew(signal);
  expect([fake.made, await probe.known()]).toEqual([4, 'unknown']);
  fake.nowMs += 3 * 60_000;
  await probe.renew(signal);
  expect(fake.made).toBe(6);
});

it('lets the one that tries reach one port of the other, as nobody who runs in the namespace needs to', async () => {
  const fake = new Fake(0);
  await fake.probe().renew(signal);
  expect(fake.policy?.spec?.ingress?.[0]?.ports).toEqual([{ protocol: 'TCP', port: 8080 }]);
});

it('warns of what is not kept, and of what nobody knows', () => {
  expect(enforcementWarnings('kept')).toEqual([]);
  expect(enforcementWarnings('ignored')[0]).toContain('does not enforce');
  expect(enforcementWarnings('unknown')[0]).toContain('not known yet');
});
