import type { ExecStep, StepMount } from '../../../../src/buildkit/contract/executor';
import type { ClusterSettings } from '../../../../src/config';
import {
  filledMounts,
  refuseUnsupported,
  stepPod,
  stepProcess,
  stepRecord,
} from '../../../../src/cluster/builds/step-pod';

const settings = {
  ...{ namespace: 'here', supervisorImage: 'supervisor:1', nodeSelector: {}, tolerations: [], bindPaths: [] },
  ...{ runtimeClass: 'kata', serviceAccount: undefined },
} as unknown as ClusterSettings;
const config = {
  containerDefaults: {
    dns: [],
    dnsSearch: [],
    dnsOptions: [],
    ulimits: [],
    logDriver: 'json-file',
    logOptions: {},
  },
} as unknown as Parameters<typeof stepRecord>[3];

function agent(dest: string): ExecStep['mounts'][number] {
  return { kind: 'ssh', dest, uid: 7, gid: 8, mode: 0o600, connect: () => undefined as never };
}

function step(changes: Partial<ExecStep> = {}): ExecStep {
  return {
    ...{ buildId: 'b', after: '', alone: false, architecture: '', mounts: [], args: ['true'], env: ['A=1'] },
    ...{ secretEnv: ['TOKEN=hidden'], workingDir: '/work', user: '1000', hostname: '', network: 'sandbox' },
    ...{
      insecure: false,
      terminal: false,
      extraHosts: [],
      ulimits: [],
      cgroupParent: '',
      removeMountStubs: false,
    },
    root: {
      kind: 'layers',
      dest: '/',
      diffIds: ['sha256:a'],
      selector: '',
      readonly: false,
      keepsChanges: true,
    },
    limits: {
      ...{ memoryBytes: 0, memorySwapBytes: 0, cpuShares: 0, cpuPeriod: 0, cpuQuota: 0 },
      ...{ cpusetCpus: '', cpusetMems: '' },
    },
    ...changes,
  };
}

function podOf(given: ExecStep): ReturnType<typeof stepPod> {
  const record = stepRecord('f'.repeat(64), given, { reference: 'registry.example/made@sha256:1' }, config);
  return stepPod(record, given, settings, []);
}

const secret: StepMount = {
  ...{ kind: 'secret', dest: '/run/secrets/word', content: Buffer.from('not for everybody') },
  ...{ uid: 0, gid: 0, mode: 0o400 },
};

it('is of no container, and has none of what is secret', () => {
  const given = step({ mounts: [secret] });
  const pod = podOf(given);
  expect(pod.metadata?.labels).toMatchObject({
    'caisson.io/build-step': 'true',
    'caisson.io/container': 'true',
  });
  expect(pod.metadata?.labels).not.toHaveProperty(['caisson.io/id']);
  expect(pod.spec).toMatchObject({ runtimeClassName: 'kata', automountServiceAccountToken: false });
  const text = JSON.stringify(pod);
  expect(text).not.toMatch(/not for everybody|bm90IGZvciBldmVyeWJvZHk|hidden/);
  expect(pod.spec?.volumes).toContainEqual({ name: 'mount-0', emptyDir: { medium: 'Memory' } });
  const record = stepRecord('f'.repeat(64), given, { reference: 'r' }, config);
  expect(stepProcess(record, given)).toMatchObject({
    ...{ args: ['true'], cwd: '/work', user: '1000' },
    env: expect.arrayContaining(['A=1', 'TOKEN=hidden']) as string[],
  });
});

it('has process 1 make sockets for agents, beside its other mounts', () => {
  const { spec } = podOf(
    step({
      mounts: [agent('one'), { kind: 'tmpfs', dest: '/t', sizeBytes: 0 }, agent('/run/two')],
      workingDir: '/w',
    }),
  );
  expect(spec?.containers[0]?.command?.slice(3)).toEqual(['600:7:8:/w/one', '600:7:8:/run/two']);
  expect(spec?.containers[0]?.volumeMounts?.map(({ mountPath }) => mountPath)).toContain('/t');
  expect(spec?.containers[0]?.volumeMounts?.map(({ mountPath }) => mountPath)).not.toContain('/w/one');
});

it('leaves the network of its Pod where it asks for none', () => {
  const [container] = podOf(step({ network: 'none' })).spec?.containers ?? [];
  expect(container?.command).toEqual(['/.caisson/init', 'alone', '/.caisson/run']);
  expect(podOf(step()).spec?.containers[0]?.command).toEqual(['/.caisson/init', 'run', '/.caisson/run']);
});

it('is given the files of its mounts before it begins, and mounts what is below others after them', () => {
  const layers = { kind: 'layers', diffIds: ['sha256:b'], keepsChanges: 'ifFailed', readonly: true } as const;
  const given = step({
    mounts: [
      { ...layers, dest: 'below/it', selector: '/tree' },
      { kind: 'tmpfs', dest: '/work', sizeBytes: 4096 },
      { kind: 'cache', dest: '/cache', diskPath: '/d', fill: undefined, selector: '', readonly: false },
    ],
  });
  expect(filledMounts(given).map(({ target, directory }) => [target, directory])).toEqual([
    ['/work/below/it', '/mounts/mount-0'],
    ['/cache', '/mounts/mount-2'],
  ]);
  const { spec } = podOf(given);
  expect(spec?.initContainers?.map(({ name }) => name)).toEqual(['supervisor', 'files']);
  expect(spec?.containers[0]?.volumeMounts?.slice(2)).toEqual([
    { name: 'mount-2', mountPath: '/cache', subPath: 'content' },
    { name: 'mount-1', mountPath: '/work' },
    { name: 'mount-0', mountPath: '/work/below/it', subPath: 'content', readOnly: true },
  ]);
  expect(spec?.volumes).toContainEqual({
    name: 'mount-1',
    emptyDir: { medium: 'Memory', sizeLimit: '4096' },
  });
  expect(podOf(step()).spec?.initContainers?.map(({ name }) => name)).toEqual(['supervisor']);
});

it.each([
  [step({ network: 'none', insecure: true }), '--network=none with --security=insecure is not supported'],
  [step({ network: 'host' }), '--network=host is not supported on a cluster'],
  [step({ mounts: Array.from({ length: 9 }, () => agent('/s')) }), 'more than 8 mounts of type ssh'],
])('what no Pod can have is refused by name', (given, words) => {
  expect(() => refuseUnsupported(given)).toThrow(words);
});
