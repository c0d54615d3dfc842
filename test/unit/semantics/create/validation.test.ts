import type { ContainerConfig, HostConfig } from '../../../../src/docker/types';
import { fillHostConfig } from '../../../../src/semantics/create/defaults';
import {
  newContainerId,
  parseContainerName,
  randomContainerName,
} from '../../../../src/semantics/containers/container-names';
import { storageSizeBytes, validateContainer } from '../../../../src/semantics/create/validation';
import { effectlessOptions } from '../../../../src/engine/create/effectless-options';
import { validateLogConfig } from '../../../../src/engine/logs/log-config';
import {
  nextRestartDelayMs,
  shouldRestart,
  startsWithDaemon,
} from '../../../../src/semantics/containers/restart-policy';
import { formatTimestamp, neverTimestamp, parseTimestamp } from '../../../../src/go/timestamp';

const validate = (hostConfig: HostConfig, config: ContainerConfig = {}): string[] =>
  validateContainer(config, hostConfig, { cpus: 2, hostNetworking: true, validateLog: validateLogConfig });
const mebibyte = 2 ** 20;

describe('what dockerd 20.10 refuses at create', () => {
  it.each([
    [{ Memory: 1 }, 'InvalidParameter', 'Minimum memory limit allowed is 6MB'],
    [
      { Memory: 64 * mebibyte, MemorySwap: 1 },
      'InvalidParameter',
      'Minimum memoryswap limit should be larger than memory limit, see usage',
    ],
    [
      { MemorySwap: mebibyte },
      'InvalidParameter',
      'You should always set the Memory limit when using Memoryswap limit, see usage',
    ],
    [
      { MemorySwappiness: 101 },
      'InvalidParameter',
      'Invalid value: 101, valid memory swappiness range is 0-100',
    ],
    [
      { OomScoreAdj: 2000 },
      'InvalidParameter',
      'Invalid value 2000, range for oom score adj is [-1000, 1000]',
    ],
    [
      { NanoCpus: 1e11 },
      'InvalidParameter',
      'Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available',
    ],
    [
      { NanoCpus: 1e9, CpuQuota: 1000 },
      'InvalidParameter',
      'Conflicting options: Nano CPUs and CPU Quota cannot both be set',
    ],
    [
      { CpuPeriod: 10 },
      'InvalidParameter',
      'CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)',
    ],
    [{ CpuQuota: 10 }, 'InvalidParameter', 'CPU cfs quota can not be less than 1ms (i.e. 1000)'],
    [
      { CpusetCpus: '0-99' },
      'InvalidParameter',
      'Requested CPUs are not available - requested 0-99, available: 0-1',
    ],
    [{ CpusetMems: 'x' }, 'InvalidParameter', 'Invalid value x for cpuset mems: invalid format: x'],
    [
      { CpuRealtimePeriod: 1000, CpuRealtimeRuntime: 2000 },
      'Internal',
      'Your kernel does not support cgroup cpu real-time period',
    ],
    [{ CapAdd: ['FOO'] }, 'InvalidParameter', 'invalid CapAdd: unknown capability: "CAP_FOO"'],
    [{ SecurityOpt: ['foo'] }, 'Internal', 'invalid --security-opt 1: "foo"'],
    [
      { RestartPolicy: { Name: 'always', MaximumRetryCount: 3 } },
      'InvalidParameter',
      "maximum retry count cannot be used with restart policy 'always'",
    ],
    [
      { RestartPolicy: { Name: 'always' }, AutoRemove: true },
      'InvalidParameter',
      "can't create 'AutoRemove' container with restart policy",
    ],
    [
      { NetworkMode: 'container:' },
      'InvalidParameter',
      'Invalid network mode: invalid container format container:<name|id>',
    ],
    [{ PortBindings: { '99999/tcp': [{}] } }, 'InvalidParameter', 'invalid port specification: "99999"'],
    [{ CgroupnsMode: 'foo' }, 'InvalidParameter', 'invalid cgroup namespace mode: foo'],
    [{ Isolation: 'hyperv' }, 'Internal', 'Invalid isolation: "hyperv" - linux only supports \'default\''],
    [{ Runtime: 'foo' }, 'InvalidParameter', 'Unknown runtime specified foo'],
    [{ ShmSize: -1 }, 'InvalidParameter', 'SHM size can not be less than 0'],
    [
      { IOMaximumIOps: 5 },
      'Internal',
      'Invalid QoS settings: linux does not support configuration of maximum IOPs',
    ],
    [{ Tmpfs: { x: '' } }, 'InvalidParameter', "invalid mount path: 'x' mount path must be absolute"],
    [{ Tmpfs: { '/': '' } }, 'InvalidParameter', "invalid specification: destination can't be '/'"],
    [{ Binds: ['/nosuch:/x:badmode'] }, 'Internal', 'invalid mode: badmode'],
    [
      { Mounts: [{ Type: 'tmpfs', Target: '' }] },
      'InvalidParameter',
      'invalid mount config for type "tmpfs": field Target must not be empty',
    ],
    [{ ExtraHosts: ['foo'] }, 'InvalidParameter', 'bad format for add-host: "foo"'],
    [{ ExtraHosts: ['foo:bar'] }, 'InvalidParameter', 'invalid IP address in add-host: "bar"'],
    [{ Links: ['a:b:c'] }, 'Internal', 'bad format for links: a:b:c'],
    [{ StorageOpt: { foo: '1' } }, 'Internal', 'Unknown option foo'],
    [
      { LogConfig: { Type: 'foo' } },
      'InvalidParameter',
      'error looking up logging plugin foo: plugin "foo" not found',
    ],
  ] as [HostConfig, string, string][])('%j', (hostConfig, code, message) => {
    expect(() => validate(hostConfig)).toThrow(expect.objectContaining({ code, message }) as Error);
  });

  it.each([
    [{ WorkingDir: 'rel' }, "the working directory 'rel' is invalid, it needs to be an absolute path"],
    [{ StopSignal: 'FOO' }, 'Invalid signal: FOO'],
    [{ Env: ['=x'] }, 'invalid environment variable: =x'],
    [{ Healthcheck: { Interval: 5 } }, 'Interval in Healthcheck cannot be less than 1ms'],
    [{ Healthcheck: { Retries: -5 } }, 'Retries in Healthcheck cannot be negative'],
  ] as [ContainerConfig, string][])('%j', (config, message) =>
    expect(() => validate({}, config)).toThrow(message),
  );
});

it('lets a plain container pass without a word', () => {
  expect(validate(fillHostConfig({}))).toEqual([]);
  expect(
    validate({ ExtraHosts: ['a:1.2.3.4', 'b:::1', 'c:host-gateway'], Tmpfs: { '/x': 'size=1m' } }),
  ).toEqual([]);
});

it.each([{ OomKillDisable: true }, { CpuCount: 1 }, { PidMode: 'host' }])(
  'warns of what has no effect: %j',
  (hostConfig) => expect(validate(hostConfig)).toHaveLength(1),
);

it.each([{ CgroupParent: '/foo' }, { UsernsMode: 'foo' }])(
  'warns of what has no effect in a VM: %j',
  (hostConfig) => expect(effectlessOptions(hostConfig)).toHaveLength(1),
);

it.each([
  [{ Memory: 100 }, { MemorySwap: 200 }],
  [{ Memory: 100, MemorySwap: -1 }, { MemorySwap: -1 }],
  [{ PidsLimit: -1 }, { PidsLimit: null }],
  [{ MemorySwappiness: -1 }, { MemorySwappiness: null }],
  [{ Privileged: true }, { SecurityOpt: ['label=disable'], MaskedPaths: null, ReadonlyPaths: null }],
  [{ IpcMode: 'host', SecurityOpt: ['label=x'] }, { SecurityOpt: ['label=x'] }],
  [
    { PortBindings: { '80/tcp': [{ HostPort: '8080' }] } },
    { PortBindings: { '80/tcp': [{ HostIp: '', HostPort: '8080' }] } },
  ],
  [
    {},
    {
      NetworkMode: 'default',
      IpcMode: 'private',
      ShmSize: 64 * mebibyte,
      LogConfig: { Type: 'json-file', Config: {} },
    },
  ],
] as [HostConfig, object][])('fills %j', (given, filled) =>
  expect(fillHostConfig(given)).toMatchObject(filled),
);

it.each([
  ['10G', 10 * 2 ** 30],
  ['512m', 512 * mebibyte],
  ['1024', 1024],
])('storage size %s', (size, bytes) => expect(storageSizeBytes({ size })).toBe(bytes));

describe('names', () => {
  it('follow Docker’s grammar', () => {
    expect(parseContainerName('/web.1_x-2')).toBe('web.1_x-2');
    for (const name of ['a', 'a b', '-ab', '', '/']) {
      expect(() => parseContainerName(name)).toThrow(
        `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
      );
    }
  });

  it('are made up until one is free', () => {
    expect(randomContainerName(() => true)).toMatch(/^[a-z]+_[a-z]+$/);
    expect(randomContainerName(() => false)).toMatch(/^[a-z]+_[a-z]+_[0-9a-f]{8}$/);
  });

  it('of hosts are never all digits', () => expect(newContainerId()).toMatch(/^(?!\d{12})[0-9a-f]{64}$/));
});

describe('restart policy', () => {
  const exit = { exitCode: 1, manuallyStopped: false, restartCount: 0 };
  it.each([
    [undefined, exit, false],
    [{ Name: 'no' }, exit, false],
    [{ Name: 'always' }, { ...exit, exitCode: 0 }, true],
    [{ Name: 'always' }, { ...exit, manuallyStopped: true }, false],
    [{ Name: 'unless-stopped' }, exit, true],
    [{ Name: 'on-failure' }, exit, true],
    [{ Name: 'on-failure' }, { ...exit, exitCode: 0 }, false],
    [{ Name: 'on-failure', MaximumRetryCount: 2 }, { ...exit, restartCount: 1 }, true],
    [{ Name: 'on-failure', MaximumRetryCount: 2 }, { ...exit, restartCount: 2 }, false],
  ] as const)('%j after %j: %s', (policy, how, expected) =>
    expect(shouldRestart(policy, how)).toBe(expected),
  );

  it('waits longer each time, up to a minute, and anew after a steady run', () => {
    let delay = 0;
    const delays = Array.from({ length: 12 }, () => (delay = nextRestartDelayMs(delay, 0)));
    expect(delays.slice(0, 4)).toEqual([100, 200, 400, 800]);
    expect(delays.at(-1)).toBe(60_000);
    expect(nextRestartDelayMs(60_000, 10_000)).toBe(100);
  });

  // What dockerd 20.10 does when it comes up after its host was lost: every policy, every end.
  const ends = {
    lost: { ...exit, exitCode: 255 },
    'docker stop': { ...exit, exitCode: 137, manuallyStopped: true },
    'docker stop, exit 0': { ...exit, exitCode: 0, manuallyStopped: true },
    'exit 0': { ...exit, exitCode: 0 },
    'second exit 1': { ...exit, restartCount: 2 },
  };
  it.each([
    [undefined, []],
    [{ Name: 'no' }, []],
    [{ Name: 'always' }, Object.keys(ends)],
    [{ Name: 'unless-stopped' }, ['lost', 'exit 0', 'second exit 1']],
    [{ Name: 'on-failure' }, ['lost', 'docker stop', 'second exit 1']],
    [{ Name: 'on-failure', MaximumRetryCount: 2 }, ['lost', 'docker stop']],
  ] as const)('at the daemon’s start: %j answers %j', (policy, expected) => {
    const answered = Object.entries(ends).filter(([, end]) => startsWithDaemon(policy, end));
    expect(answered.map(([name]) => name)).toEqual(expected);
  });
});

describe('timestamps', () => {
  it.each([
    [0n, '1970-01-01T00:00:00Z'],
    [1_700_000_000_120_000_000n, '2023-11-14T22:13:20.12Z'],
    [1_700_000_000_000_000_001n, '2023-11-14T22:13:20.000000001Z'],
  ])('%s is %s', (nanoseconds, text) => {
    expect(formatTimestamp(nanoseconds)).toBe(text);
    expect(parseTimestamp(text)).toBe(nanoseconds);
  });

  it('that never came is 0', () => expect(parseTimestamp(neverTimestamp)).toBe(0n));
});
