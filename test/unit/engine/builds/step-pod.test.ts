import type { ExecStep, StepMount } from '../../../../src/buildkit/contract/executor';
import { keptMounts, placedMounts, stepPod, treeMounts } from '../../../../src/engine/builds/step-pod';

const limits = {
  ...{ memoryBytes: 0, memorySwapBytes: 0, cpuShares: 0, cpuPeriod: 0, cpuQuota: 0 },
  ...{ cpusetCpus: '', cpusetMems: '' },
};
const layers = (dest: string, more: object = {}): Extract<StepMount, { kind: 'layers' }> => ({
  ...{ kind: 'layers', dest, diffIds: ['a'], selector: '', readonly: false, keepsChanges: true },
  ...more,
});
const stepOf = (more: Partial<ExecStep>): ExecStep => ({
  ...{
    buildId: 'b',
    after: '',
    architecture: '',
    alone: false,
    root: layers('/'),
    mounts: [],
    args: ['true'],
    env: [],
    secretEnv: [],
  },
  ...{ workingDir: '/work', user: '', hostname: '', network: 'sandbox', insecure: false, extraHosts: [] },
  ...{ ulimits: [], cgroupParent: '', limits, removeMountStubs: false, terminal: false },
  ...more,
});
const containerDefaults = {
  ...{ logDriver: 'json-file', logOptions: {}, ipcMode: 'private', cgroupnsMode: undefined, ulimits: [] },
  ...{
    noNewPrivileges: false,
    seccompProfile: undefined,
    init: true,
    dns: [],
    dnsOptions: [],
    dnsSearch: [],
  },
};
const podOf = (step: ExecStep): ReturnType<typeof stepPod> =>
  stepPod('f'.repeat(64), step, placedMounts(step), { containerDefaults }, 'nameserver 1.1.1.1\n');

const cache: StepMount = {
  ...{ kind: 'cache', dest: 'cache', diskPath: '/d', fill: ['b'], selector: '/sub', readonly: true },
};
const secret: StepMount = {
  ...{ kind: 'secret', dest: '/run/secrets/s', content: Buffer.from('hush'), uid: 1, gid: 2, mode: 0o400 },
};

test('mounts are in the order of their places, relative ones below the working directory', () => {
  const step = stepOf({ mounts: [layers('/z'), cache, layers('/a/b', { readonly: true }), layers('/a')] });
  const placed = placedMounts(step);
  expect(placed.map(({ target, tree }) => [target, tree])).toEqual([
    ['/a', 0],
    ['/a/b', 1],
    ['/work/cache', 2],
    ['/z', 3],
  ]);
  expect(treeMounts(placed)).toHaveLength(4);
  expect(keptMounts(step, placed).map(({ mount, tree }) => [mount.dest, tree])).toEqual([
    ['/', undefined],
    ['/a', 0],
    ['/z', 3],
  ]);
});

test('the agent is told of trees, memory, sockets and files, none of them twice', () => {
  const ssh: StepMount = {
    kind: 'ssh',
    dest: '/agent',
    uid: 0,
    gid: 0,
    mode: 0o600,
    connect: () => undefined as never,
  };
  const shm: StepMount = { kind: 'tmpfs', dest: '/dev/shm', sizeBytes: 4096 };
  const { container, files } = podOf(stepOf({ mounts: [cache, secret, ssh, shm, layers('/etc/hosts')] }));
  const mounts = new Map(container.mounts.map((mount) => [mount.target, mount]));
  expect(container.mounts.filter(({ target }) => target === '/dev/shm')).toHaveLength(1);
  expect(mounts.get('/dev/shm')?.options).toEqual(['nosuid', 'size=4096']);
  expect(mounts.get('/work/cache')).toMatchObject({ type: 'tree', subpath: '/sub', options: ['ro'] });
  expect(mounts.get('/agent')).toMatchObject({
    type: 'bind',
    source: expect.stringMatching(/^\/run\/tunnels\/f{12}-\d$/),
  });
  expect(files.map(({ path, mode, uid, readonly }) => [path, mode, uid, readonly])).toEqual([
    ['/etc/resolv.conf', 0o644, undefined, true],
    ['/run/secrets/s', 0o400, 1, true],
  ]);
});

test('process: BuildKit’s host name and files, a path if there is none, no init', () => {
  const { pod, container, files } = podOf(
    stepOf({ env: ['A=b'], secretEnv: ['S=t'], extraHosts: [{ host: 'far', ip: '10.0.0.1' }] }),
  );
  expect(pod.hostname).toBe('buildkitsandbox');
  expect(container.init).toBe(false);
  expect(container.process.env).toEqual([expect.stringMatching(/^PATH=/), 'A=b', 'S=t']);
  expect(Buffer.from(files[1]?.contentBase64 ?? '', 'base64').toString()).toBe(
    '127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n10.0.0.1\tfar\n',
  );
  expect(podOf(stepOf({ insecure: true })).container).toMatchObject({ privileged: true, maskedPaths: [] });
});
