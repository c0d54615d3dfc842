// Containers of a namespace, for two daemons in front of it.

import type { ClusterRecord } from '../../../../src/cluster/contract/cluster-record';
import { ContainerStore } from '../../../../src/cluster/records/container-store';
import { clusterRecord, MemoryRecords } from '../../../support/fakes/cluster-fakes';

const ids = ['a1'.repeat(32), 'a2'.repeat(32)] as const;

async function stores(): Promise<{
  records: MemoryRecords<ClusterRecord>;
  here: ContainerStore;
  there: ContainerStore;
}> {
  const records = new MemoryRecords<ClusterRecord>();
  const [here, there] = [new ContainerStore(records), new ContainerStore(records)];
  await Promise.all([here.start(), there.start()]);
  return { records, here, there };
}

it('finds a container by name, id and a prefix that only one has', async () => {
  const { here } = await stores();
  const first = await here.create(clusterRecord({ id: ids[0], name: 'first' }));
  await here.create(clusterRecord({ id: ids[1], name: 'second' }));
  for (const ref of ['first', '/first', ids[0], 'a1']) expect(await here.resolve(ref)).toBe(first);
  await expect(here.resolve('a')).rejects.toThrow('Multiple IDs found with provided prefix: a');
  await expect(here.resolve('third')).rejects.toMatchObject({
    code: 'NotFound',
    message: 'No such container: third',
  });
  await expect(here.resolve('')).rejects.toMatchObject({ code: 'InvalidParameter' });
});

it('finds what another daemon has made before the watch tells', async () => {
  const records = new MemoryRecords<ClusterRecord>();
  const [here, late] = [new ContainerStore(records), new ContainerStore(records)]; // neither follows
  const made = await here.create(clusterRecord());
  expect((await late.resolve('box')).id).toBe(made.id);
});

it('refuses a name that is taken in the words of Docker, whoever has taken it', async () => {
  const { here, there } = await stores();
  await here.create(clusterRecord({ id: ids[0] }));
  await expect(there.create(clusterRecord({ id: ids[1] }))).rejects.toMatchObject({
    code: 'Conflict',
    message:
      `Conflict. The container name "/box" is already in use by container "${ids[0]}". ` +
      'You have to remove (or rename) that container to be able to reuse that name.',
  });
});

it('makes a change again on what another has written meanwhile', async () => {
  const { records, here, there } = await stores();
  const container = await here.create(clusterRecord());
  records.meanwhile = () => there.update(there.get('box'), (now) => ({ ...now, manuallyStopped: true }));
  const after = await here.update(container, (now) => ({ ...now, restartCount: now.restartCount + 1 }));
  expect(after).toMatchObject({ restartCount: 1, manuallyStopped: true });
});

it('writes nothing for a step that is illegal by now', async () => {
  const { records, here } = await stores();
  const container = await here.create(clusterRecord());
  const version = container.stored.version;
  expect(await here.transition(container, () => ({ kind: 'resume' }))).toBeUndefined();
  expect([...records.objects.values()].map((stored) => stored.version)).toEqual([version]);
});

it('gives up on a record that others change all the time', async () => {
  const { records, here, there } = await stores();
  const container = await here.create(clusterRecord());
  const disturb = async (): Promise<void> => {
    records.meanwhile = undefined;
    await there.update(there.get('box'), (now) => ({ ...now, restartCount: now.restartCount + 1 }));
    records.meanwhile = disturb;
  };
  records.meanwhile = disturb;
  const change = here.update(container, (now) => ({ ...now, manuallyStopped: true }));
  await expect(change).rejects.toMatchObject({ code: 'Unavailable' });
});

it('says that a container is gone in the words of Docker', async () => {
  const { here, there } = await stores();
  const container = await here.create(clusterRecord());
  await there.remove(there.get('box'));
  expect(here.list()).toEqual([]);
  await expect(here.update(container, (now) => ({ ...now }))).rejects.toThrow(`No such container: ${ids[0]}`);
  await expect(here.remove(container)).resolves.toBeUndefined();
});

it('renames: the same container under the new name alone, for all daemons', async () => {
  const { records, here, there } = await stores();
  const [mine, other] = [await here.create(clusterRecord({ id: ids[0] })), there.get('box')];
  await here.rename(mine, 'chest');
  for (const [store, container] of [
    [here, mine],
    [there, other],
  ] as const) {
    expect(store.get('chest')).toBe(container);
    expect(store.find('box')).toBeUndefined();
    expect(store.nameIsFree('box')).toBe(true);
  }
  expect(records.objects.size).toBe(1);
});

it('does not let a name go with a rename that another container has taken', async () => {
  const { here } = await stores();
  const mine = await here.create(clusterRecord({ id: ids[0] }));
  await here.create(clusterRecord({ id: ids[1], name: 'chest' }));
  await expect(here.rename(mine, 'chest')).rejects.toMatchObject({ code: 'Conflict' });
  expect(here.get('box')).toBe(mine);
  expect(here.get('chest').id).toBe(ids[1]);
});
