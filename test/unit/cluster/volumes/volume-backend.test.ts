// Volumes as claims: what creates leave, and claims that are on their way out.

import type { V1PersistentVolumeClaim } from '@kubernetes/client-node';
import { DaemonError } from '../../../../src/errors';
import {
  ClusterVolumeBackend,
  type ClaimStore,
  type VolumeUser,
} from '../../../../src/cluster/volumes/volume-backend';

class MemoryClaims implements ClaimStore {
  readonly claims = new Map<string, V1PersistentVolumeClaim>();

  list(): Promise<V1PersistentVolumeClaim[]> {
    return Promise.resolve([...this.claims.values()]);
  }

  async get(name: string): Promise<V1PersistentVolumeClaim> {
    await Promise.resolve();
    const claim = this.claims.get(name);
    if (claim === undefined) throw new DaemonError('NotFound', `${name} not found`);
    return claim;
  }

  async create(claim: V1PersistentVolumeClaim): Promise<V1PersistentVolumeClaim> {
    await Promise.resolve();
    const name = claim.metadata?.name ?? '';
    if (this.claims.has(name)) throw new DaemonError('Conflict', `${name} already exists`);
    this.claims.set(name, claim);
    return claim;
  }

  async unmark(name: string, annotation: string): Promise<void> {
    const { metadata } = await this.get(name);
    delete metadata?.annotations?.[annotation];
  }

  remove(name: string): Promise<void> {
    this.claims.delete(name);
    return Promise.resolve();
  }
}

function volumesOf(users: VolumeUser[]): { volumes: ClusterVolumeBackend; claims: MemoryClaims } {
  const claims = new MemoryClaims();
  const volumes = new ClusterVolumeBackend({
    claims,
    settings: { storageClass: '', accessMode: 'ReadWriteOnce', size: '1Gi' },
    labels: {},
    users: () => Promise.resolve(users),
    publish: () => Promise.resolve(),
  });
  return { volumes, claims };
}

it('keeps what has come to have its container, and removes what waits for one in vain', async () => {
  const users: VolumeUser[] = [];
  const { volumes, claims } = volumesOf(users);
  const used = await volumes.ensure({}, { forContainer: true });
  const left = await volumes.ensure({}, { forContainer: true });
  await volumes.ensure({});
  await volumes.ensure({ Name: 'named' }, { forContainer: true });
  users.push({ containerId: 'c', volumes: [used.name] });
  await volumes.settle(() => false);
  expect(claims.claims.size).toBe(4);
  users.pop();
  await volumes.settle(() => true);
  expect([...claims.claims.keys()]).not.toContain(left.claim);
  expect(claims.claims.size).toBe(3);
});

it('keeps the anonymous ones of a container that is removed without them', async () => {
  const { volumes, claims } = volumesOf([]);
  const { name } = await volumes.ensure({}, { forContainer: true });
  await volumes.keep([name]);
  await volumes.settle(() => true);
  expect(claims.claims.size).toBe(1);
});

it('removes anonymous ones with the container that has them, unless another has them, too', async () => {
  const users: VolumeUser[] = [];
  const { volumes, claims } = volumesOf(users);
  const { name } = await volumes.ensure({}, { forContainer: true });
  users.push({ containerId: 'a', volumes: [name] }, { containerId: 'b', volumes: [name] });
  await volumes.removeAnonymous('a', [name]);
  expect(claims.claims.size).toBe(1);
  users.shift();
  await volumes.removeAnonymous('b', [name]);
  expect(claims.claims.size).toBe(0);
});

it('waits for a claim of the same name that is on its way out', async () => {
  const { volumes, claims } = volumesOf([]);
  const { claim } = await volumes.ensure({ Name: 'data' });
  const leaving = await claims.get(claim);
  if (leaving.metadata !== undefined) leaving.metadata.deletionTimestamp = new Date();
  await expect(volumes.inspect('data')).rejects.toThrow('no such volume');
  const again = volumes.ensure({ Name: 'data' });
  await claims.remove(claim);
  await expect(again).resolves.toMatchObject({ name: 'data' });
});
