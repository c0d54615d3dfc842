// Tables of names on Pods when containers of one network change at the same time.

import { ClusterContainerNetworks } from '../../../../src/cluster/networks/container-networks';
import type { ClusterRecord } from '../../../../src/cluster/contract/cluster-record';

jest.mock('@kubernetes/client-node', () => ({}));

type Listener = (container: unknown, before: unknown, after: unknown) => void;

function recordOf(name: string, kind: string): ClusterRecord {
  return {
    id: name.repeat(64).slice(0, 64),
    name,
    state: { kind },
    hostConfig: { Dns: [], NetworkMode: 'front' },
    config: {},
    networks: { front: { networkId: 'n', requested: {} } },
    pod: { name: `pod-${name}`, uid: name, node: 'node1', address: `10.0.0.${name.length}` },
  } as unknown as ClusterRecord; // what names are made of
}

/** Three containers: `web` runs. Writing takes a turn, as with an API server. */
function fake(): {
  networks: ClusterContainerNetworks;
  table(name: string): string;
  writtenElsewhere(name: string, table: string): void;
  become(name: string, kind: string): void;
  settled(): Promise<void>;
} {
  const records = new Map(
    [recordOf('web', 'running'), recordOf('db', 'created'), recordOf('cache', 'created')].map((record) => [
      record.name,
      record,
    ]),
  );
  const tables = new Map<string, string>();
  const listeners: Listener[] = [];
  const network = { id: 'n', name: 'front' };
  const networks = new ClusterContainerNetworks({
    catalog: { resolve: () => Promise.resolve(network), list: () => Promise.resolve([network]) },
    containers: {
      list: () => [...records.values()].map((record) => ({ id: record.id, record, state: record.state })),
      onChange: (listener: Listener) => listeners.push(listener),
    },
    pods: {
      upstreams: () => Promise.resolve([]),
      patch: async (pod: string, { annotations }: { annotations: Record<string, string> }) => {
        await new Promise((resolve) => setImmediate(resolve));
        tables.set(pod, Object.values(annotations)[0] ?? '');
      },
    },
    ports: { open: () => Promise.resolve([]), close: () => undefined },
    services: { close: () => Promise.resolve() },
    publishAs: 'listener',
    tableOf: (pod: string) => tables.get(pod),
    publish: () => Promise.resolve(),
  } as never);
  return {
    networks,
    table: (name) => tables.get(`pod-${name}`) ?? '',
    writtenElsewhere: (name, table) => tables.set(`pod-${name}`, table),
    become: (name, kind) => {
      const before = records.get(name);
      const after = recordOf(name, kind);
      records.set(name, after);
      for (const listener of listeners) listener({ record: after }, before, after);
    },
    settled: async () => {
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

it('two that start at once are both known to the others in the end, and to each other', async () => {
  const { networks, table, become, settled } = fake();
  networks.followNames();
  const starts = ['db', 'cache'].map((name) => {
    const record = recordOf(name, 'created');
    return networks.attach(record, record.pod as never);
  });
  await Promise.all(starts);
  for (const name of ['db', 'cache']) become(name, 'running');
  await settled();
  expect(table('web')).toMatch(/name cache 10.0.0.5\n.*name db 10.0.0.2/s);
  expect(table('db')).toContain('name cache 10.0.0.5');
  expect(table('cache')).toContain('name db 10.0.0.2');
});

it('who has ended is known no more, also where another daemon has written meanwhile', async () => {
  const { networks, table, writtenElsewhere, become, settled } = fake();
  become('db', 'running');
  networks.followNames();
  await settled();
  const both = table('web');
  expect(both).toContain('name db');
  become('db', 'exited');
  await settled();
  expect(table('web')).not.toContain('name db');
  writtenElsewhere('web', '');
  become('db', 'running');
  await settled();
  expect(table('web')).toBe(both);
});
