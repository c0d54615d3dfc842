// The cluster that the other tests stand on: what it is itself.

import { readdirSync } from 'node:fs';

import { TestCluster, registryHost } from './harness/test-cluster';

const cluster = TestCluster.current();

afterAll(() => {
  cluster.kubectl('delete', 'pod,pvc', '--all', '--now', '--wait=false');
});

it('has nodes that are ready', () => {
  const nodes = cluster.kubectl('get', 'nodes', '-o', 'jsonpath={.items[*].metadata.name}').split(' ');
  expect(nodes).toContain('node1');
});

it('runs a Pod with an image of its registry, and tells its exit code', () => {
  cluster.kubectl(
    ...['run', 'ends', '--restart=Never', '--image', `${registryHost}/busybox`, '--command', '--'],
    ...['sh', '-c', 'echo said; exit 7'],
  );
  cluster.kubectl('wait', '--for=jsonpath={.status.phase}=Failed', '--timeout=120s', 'pod/ends');
  expect(cluster.kubectl('logs', 'ends')).toBe('said\n');
  const code = 'jsonpath={.status.containerStatuses[0].state.terminated.exitCode}';
  expect(cluster.kubectl('get', 'pod', 'ends', '-o', code)).toBe('7');
});

it('runs commands in a Pod, with stdin, and gives it volumes of its class', () => {
  const manifest = {
    apiVersion: 'v1',
    kind: 'List',
    items: [
      {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name: 'data' },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
      },
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'stays' },
        spec: {
          terminationGracePeriodSeconds: 0,
          volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }],
          containers: [
            {
              name: 'stays',
              image: `${registryHost}/busybox`,
              command: ['sleep', '3600'],
              volumeMounts: [{ name: 'data', mountPath: '/data' }],
            },
          ],
        },
      },
    ],
  };
  cluster.kubectlWith(JSON.stringify(manifest), 'apply', '-f', '-');
  cluster.kubectl('wait', '--for=condition=Ready', '--timeout=120s', 'pod/stays');
  const echoed = cluster.kubectlWith('hello', 'exec', '-i', 'stays', '--', 'tee', '/data/file');
  expect(echoed).toBe('hello');
});

it('holds requests to roles', () => {
  const can = (...args: string[]): string => {
    try {
      return cluster.kubectl('auth', 'can-i', ...args).trim();
    } catch {
      return 'no'; // the exit code says so too
    }
  };
  expect(can('create', 'pods')).toBe('yes');
  expect(can('create', 'pods', '--as', 'system:serviceaccount:default:default')).toBe('no');
});

it('leaves the host its root directory', () => {
  expect(readdirSync('/')).toEqual(expect.arrayContaining(['bin', 'lib', 'sbin', 'usr']));
  expect(readdirSync('/bin').length).toBeGreaterThan(0);
});
