// One daemon keeps the containers, and another takes over.

import type { V1Lease } from '@kubernetes/client-node';
import type { ClusterApi } from '../../../../src/cluster/client/cluster-api';
import { LeaseHolder } from '../../../../src/cluster/keeper/lease';

beforeEach(() => jest.useFakeTimers({ doNotFake: ['nextTick'] }));
afterEach(() => jest.useRealTimers());

/** A lease of the cluster; each write finds the version that was read, or is refused. */
class FakeLeases {
  lease: V1Lease | undefined;
  isAway = false;
  #version = 0;

  readNamespacedLease(): Promise<V1Lease> {
    if (this.isAway) return Promise.reject(refusal(503));
    return this.lease === undefined ? Promise.reject(refusal(404)) : Promise.resolve(this.lease);
  }

  createNamespacedLease({ body }: { body: V1Lease }): Promise<V1Lease> {
    return this.lease === undefined ? Promise.resolve(this.#put(body)) : Promise.reject(refusal(409));
  }

  replaceNamespacedLease({ body }: { body: V1Lease }): Promise<V1Lease> {
    const isSame = body.metadata?.resourceVersion === this.lease?.metadata?.resourceVersion;
    return isSame ? Promise.resolve(this.#put(body)) : Promise.reject(refusal(409));
  }

  /** What changes nothing makes no version, as in a cluster. */
  #put(body: V1Lease): V1Lease {
    if (JSON.stringify(body) === JSON.stringify(this.lease)) return body;
    this.#version += 1;
    this.lease = { ...body, metadata: { ...body.metadata, resourceVersion: String(this.#version) } };
    return this.lease;
  }
}

function refusal(code: number): Error {
  return Object.assign(new Error('refused'), { code });
}

function holder(leases: FakeLeases, identity: string): { lease: LeaseHolder; told: string[] } {
  const lease = new LeaseHolder(
    { coordination: leases, namespace: 'box' } as unknown as ClusterApi,
    identity,
  );
  const told: string[] = [];
  lease.start(
    () => told.push('gained'),
    () => told.push('lost'),
  );
  return { lease, told };
}

it('is held by one of two, and by the other as soon as the first gives it back', async () => {
  const leases = new FakeLeases();
  const first = holder(leases, 'first');
  await jest.advanceTimersByTimeAsync(100);
  const second = holder(leases, 'second');
  await jest.advanceTimersByTimeAsync(20_000);
  expect([first.told, second.told]).toEqual([['gained'], []]);
  await first.lease.close();
  await jest.advanceTimersByTimeAsync(3_000);
  expect(second.told).toEqual(['gained']);
  expect(first.lease.isHeld).toBe(false);
  await second.lease.close();
});

it('is lost by who cannot renew it, and taken from who is gone', async () => {
  const leases = new FakeLeases();
  const first = holder(leases, 'first');
  await jest.advanceTimersByTimeAsync(100);
  leases.isAway = true;
  await jest.advanceTimersByTimeAsync(9_000);
  expect(first.told).toEqual(['gained', 'lost']);
  await first.lease.close();
  leases.isAway = false;
  const second = holder(leases, 'second');
  await jest.advanceTimersByTimeAsync(4_000);
  expect(second.told).toEqual([]); // whether the first is gone is not known before its time is over
  await jest.advanceTimersByTimeAsync(6_000);
  expect(second.told).toEqual(['gained']);
  await second.lease.close();
});
