import { fillHostConfig, mergeImageConfig } from '../../../src/semantics/create/defaults';
import {
  allCapabilities,
  defaultCapabilities,
  effectiveCapabilities,
} from '../../../src/translate/capabilities';
import { cleanPath, containerToPod } from '../../../src/translate/container-to-pod';
import { containerDevices, parseDeviceRule } from '../../../src/translate/devices';
import { containerEnvironment, mergeEnvironment } from '../../../src/translate/environment';
import { containerMounts, tmpfsOptions } from '../../../src/translate/mounts';
import { hostsFile } from '../../../src/translate/network-files';
import { defaultRoutes, guestContainer, guestInterface } from '../../../src/translate/pod-to-guest';
import {
  diskIds,
  guestEmulator,
  guestRootfs,
  podToVm,
  withoutRepeats,
} from '../../../src/translate/pod-to-vm';
import {
  blockIoLimits,
  cgroupLimits,
  vmMemoryBytes,
  usableMemoryBytes,
  wantedResources,
} from '../../../src/translate/resources';
import { containerRlimits } from '../../../src/translate/rlimits';
import { parseSecurityOptions, seccompProfile } from '../../../src/translate/security-options';
import { isLinuxSignal, parseSignal } from '../../../src/translate/signals';
import { namespacedSysctls } from '../../../src/translate/sysctls';
import type { HostConfig } from '../../../src/docker/types';
import type { PodSpec } from '../../../src/translate/pod';

const runtime = 'failed to create shim task: OCI runtime create failed: runc create failed: ';

describe('capabilities', () => {
  it.each([
    ['nothing asked', {}, [...defaultCapabilities]],
    [
      'added, in any spelling',
      { add: ['net_admin', 'CAP_SYS_TIME'] },
      [...defaultCapabilities, 'CAP_NET_ADMIN', 'CAP_SYS_TIME'],
    ],
    ['dropped', { drop: ['chown'] }, defaultCapabilities.filter((name) => name !== 'CAP_CHOWN')],
    ['all dropped, one added', { add: ['NET_RAW'], drop: ['ALL'] }, ['CAP_NET_RAW']],
    [
      'all added, one dropped',
      { add: ['all'], drop: ['MKNOD'] },
      allCapabilities.filter((name) => name !== 'CAP_MKNOD'),
    ],
    ['privileged', { privileged: true, drop: ['ALL'] }, [...allCapabilities]],
  ] as [string, { privileged?: boolean; add?: string[]; drop?: string[] }, string[]][])(
    '%s',
    (_, options, expected) => {
      const result = effectiveCapabilities({ privileged: false, add: null, drop: null, ...options });
      expect(result).toEqual(expected);
    },
  );

  it('names what it does not know', () => {
    expect(() => effectiveCapabilities({ privileged: false, add: ['foo'], drop: [] })).toThrow(
      'invalid CapAdd: unknown capability: "CAP_FOO"',
    );
  });
});

describe('signals', () => {
  it.each([
    ['KILL', 9],
    ['SIGTERM', 15],
    ['sigint', 2],
    ['9', 9],
    ['99', 99],
    ['RTMIN', 34],
    ['RTMIN+15', 49],
    ['SIGRTMAX-14', 50],
    ['RTMAX', 64],
    ['IOT', 6],
    ['POLL', 29],
  ])('%s is %d', (text, number) => expect(parseSignal(text)).toBe(number));

  it.each(['FOO', '0', '', 'SIG', '1.5', '99999999999999999999'])('refuses %j', (text) =>
    expect(() => parseSignal(text)).toThrow(`Invalid signal: ${text}`),
  );

  it('takes numbers of any size and sign', () =>
    expect(['+1', '-1', '4000000000'].map(parseSignal)).toEqual([1, -1, 4_000_000_000]));

  it('knows Linux', () =>
    expect([0, 1, 64, 65, -1].map(isLinuxSignal)).toEqual([false, true, true, false, false]));
});

describe('environment', () => {
  it('begins with the engine’s variables, replaced in place by the container’s', () => {
    const env = containerEnvironment({
      hostname: 'web',
      terminal: true,
      env: ['A=1', 'TERM=foo', 'B=', 'HOSTNAME=q'],
    });
    expect(env).toEqual([
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'HOSTNAME=q',
      'TERM=foo',
      'A=1',
      'B=',
    ]);
  });

  it('removes what is named without a value', () => {
    expect(mergeEnvironment(['A=1', 'B=2'], ['A', 'C'])).toEqual(['B=2']);
    expect(mergeEnvironment(['A=1'], ['A', 'A=3', 'A=4'])).toEqual(['A=4']);
  });
});

describe('limits', () => {
  it.each([
    [{}, {}],
    [
      { Memory: 64 * 2 ** 20, MemorySwap: 128 * 2 ** 20 },
      { 'memory.max': '67108864', 'memory.swap.max': '67108864' },
    ],
    [
      { Memory: 1e7, MemorySwap: -1 },
      { 'memory.max': '10000000', 'memory.swap.max': 'max' },
    ],
    [{ MemoryReservation: 1e7 }, { 'memory.low': '10000000' }],
    [{ NanoCpus: 5e8 }, { 'cpu.max': '50000 100000' }],
    [{ CpuQuota: 20_000, CpuPeriod: 50_000 }, { 'cpu.max': '20000 50000' }],
    [{ CpuPeriod: 50_000 }, { 'cpu.max': 'max 50000' }],
    [{ CpuQuota: -1 }, {}],
    [{ CpuShares: 2 }, { 'cpu.weight': '1' }],
    [{ CpuShares: 1024 }, { 'cpu.weight': '39' }],
    [{ CpuShares: 300_000 }, { 'cpu.weight': '10000' }],
    [
      { CpusetCpus: '0-1', CpusetMems: '0' },
      { 'cpuset.cpus': '0-1', 'cpuset.mems': '0' },
    ],
    [{ PidsLimit: 10 }, { 'pids.max': '10' }],
    [{ PidsLimit: -1 }, { 'pids.max': 'max' }],
  ] as [HostConfig, Record<string, string>][])('%j', (limits, cgroup) =>
    expect(cgroupLimits(limits)).toEqual(cgroup),
  );

  it('gives each disk the lowest rate of the devices that are named', () => {
    expect(blockIoLimits({})).toBeUndefined();
    expect(
      blockIoLimits({
        BlkioDeviceReadBps: [
          { Path: '/dev/vda', Rate: 2048 },
          { Path: '/dev/vdb', Rate: 1024 },
        ],
        BlkioDeviceWriteIOps: [{ Path: '/dev/vda', Rate: 7 }],
        BlkioWeightDevice: [{ Path: '/dev/vda', Weight: 1000 }],
      }),
    ).toEqual({ 'io.max': 'rbps=1024 wiops=7', 'io.weight': '10000' });
    expect(cgroupLimits({ BlkioWeight: 10 })).toEqual({ 'io.weight': 'default 1' });
  });

  it.each([2 ** 27, 2 ** 30, 2 ** 32, 2 ** 36])('leaves %d bytes of a VM to the container', (bytes) => {
    expect(usableMemoryBytes(vmMemoryBytes(bytes))).toBeGreaterThanOrEqual(bytes);
    expect(usableMemoryBytes(vmMemoryBytes(bytes))).toBeLessThan(bytes + 2 ** 20);
  });

  it('asks for a VM in which they can be reached', () => {
    expect(wantedResources({})).toEqual({});
    expect(wantedResources({ Memory: 2 ** 30, NanoCpus: 1.5e9 })).toEqual({
      memoryBytes: vmMemoryBytes(2 ** 30),
      cpus: 2,
    });
    expect(wantedResources({ CpuQuota: 300_000 })).toEqual({ cpus: 3 });
    expect(wantedResources({ CpusetCpus: '0,4-6' })).toEqual({ cpus: 7 });
  });
});

describe('rlimits', () => {
  it('replace the defaults of their name', () => {
    const limits = containerRlimits([
      { Name: 'nofile', Soft: 10, Hard: 20 },
      { Name: 'memlock', Soft: -1, Hard: -1 },
    ]);
    expect(limits).toContainEqual({ type: 'RLIMIT_NOFILE', soft: 10, hard: 20 });
    expect(limits).toContainEqual({ type: 'RLIMIT_MEMLOCK', soft: -1, hard: -1 });
    expect(limits).toHaveLength(4);
  });

  it('are refused as the runtime does', () => {
    expect(() => containerRlimits([{ Name: 'foo', Soft: 1, Hard: 1 }])).toThrow(
      `${runtime}wrong rlimit value: RLIMIT_FOO: unknown`,
    );
    expect(() => containerRlimits([{ Name: 'nofile', Soft: 3, Hard: 2 }])).toThrow(
      /error setting rlimit type 7: invalid argument: unknown$/,
    );
  });
});

describe('sysctls', () => {
  const own = { hostNetwork: false, hostIpc: false, hostUts: false };
  it('go to the namespace they belong to', () => {
    expect(
      namespacedSysctls({ 'net.core.somaxconn': '5', 'kernel.shmmax': '9', 'fs.mqueue.msg_max': '1' }, own),
    ).toEqual({
      pod: {
        'net.ipv4.ip_unprivileged_port_start': '0',
        'net.ipv4.ping_group_range': '0 2147483647',
        'net.core.somaxconn': '5',
      },
      container: { 'kernel.shmmax': '9', 'fs.mqueue.msg_max': '1' },
    });
  });

  it.each([
    [{ 'kernel.modprobe': '1' }, own, 'sysctl "kernel.modprobe" is not in a separate kernel namespace'],
    [
      { 'net.foo': '1' },
      { ...own, hostNetwork: true },
      'sysctl "net.foo" not allowed in host network namespace',
    ],
  ])('refuse %j', (sysctls, namespaces, reason) =>
    expect(() => namespacedSysctls(sysctls, namespaces)).toThrow(`${runtime}${reason}: unknown`),
  );
});

describe('mounts', () => {
  it.each([
    ['', ['noexec', 'nosuid', 'nodev']],
    ['size=10m,exec', ['exec', 'nosuid', 'nodev', 'size=10m']],
    ['rw,ro,mode=700,mode=755', ['noexec', 'nosuid', 'nodev', 'ro', 'mode=755']],
    ['rprivate', ['noexec', 'nosuid', 'nodev']],
  ])('tmpfs options %j', (text, options) => expect(tmpfsOptions(text)).toEqual(options));

  it('refuse unknown tmpfs options', () => {
    expect(() => tmpfsOptions('foo=1')).toThrow('invalid tmpfs option ["foo" "1"]');
    expect(() => tmpfsOptions('foo')).toThrow('invalid tmpfs option ["foo"]');
  });

  const targets = (options: Parameters<typeof containerMounts>[0]): string[] =>
    containerMounts(options).map(({ target }) => target);
  it('come parents first; a tmpfs takes the place of a default', () => {
    const tmpfs = [
      { target: '/dev/shm', options: ['size=1m'] },
      { target: '/run', options: [] },
    ];
    expect(targets({ privileged: false, shmBytes: 1, tmpfs })).toEqual([
      '/proc',
      '/dev',
      '/sys',
      '/run',
      '/dev/pts',
      '/dev/mqueue',
      '/dev/shm',
      '/sys/fs/cgroup',
    ]);
    expect(targets({ privileged: false, shmBytes: undefined, tmpfs: [] })).not.toContain('/dev/shm');
  });

  it('are writable for a privileged container', () => {
    const sysfs = (privileged: boolean): string[] | undefined =>
      containerMounts({ privileged, shmBytes: 1, tmpfs: [] }).find(({ type }) => type === 'sysfs')?.options;
    expect(sysfs(false)).toContain('ro');
    expect(sysfs(true)).not.toContain('ro');
  });

  it.each([
    ['/a//b/', '/a/b'],
    ['/a/./b/../c', '/a/c'],
    ['/../..', '/'],
  ])('path %s is %s', (path, clean) => expect(cleanPath(path)).toBe(clean));
});

describe('devices', () => {
  it('are the VM’s, by name', () => {
    const { devices, rules } = containerDevices({
      privileged: false,
      devices: [{ PathOnHost: '/dev/fuse', PathInContainer: '/dev/x', CgroupPermissions: 'rw' }],
      rules: ['b 7:* rwm'],
    });
    expect(devices.find(({ path }) => path === '/dev/x')).toMatchObject({ type: 'c', major: 10, minor: 229 });
    expect(rules.slice(-2)).toEqual([
      { allow: true, type: 'c', major: 10, minor: 229, access: 'rw' },
      { allow: true, type: 'b', major: 7, minor: -1, access: 'rwm' },
    ]);
    expect(rules[0]).toMatchObject({ allow: false, type: 'a' });
  });

  it('are refused in Docker’s words', () => {
    expect(() =>
      containerDevices({ privileged: false, devices: [{ PathOnHost: '/dev/nosuch' }], rules: [] }),
    ).toThrow(
      'error gathering device information while adding custom device "/dev/nosuch": no such file or directory',
    );
    expect(() => parseDeviceRule('foo')).toThrow("invalid device cgroup rule format: 'foo'");
  });
});

describe('security options', () => {
  it('are read', () => {
    expect(
      parseSecurityOptions(['no-new-privileges', 'seccomp=unconfined', 'label=disable', 'apparmor:x']),
    ).toEqual({
      noNewPrivileges: true,
      seccomp: 'unconfined',
    });
    expect(parseSecurityOptions(['no-new-privileges=false'])).toEqual({
      noNewPrivileges: false,
      seccomp: 'default',
    });
  });

  it.each([
    ['foo', 'invalid --security-opt 1: "foo"'],
    ['foo=bar', 'invalid --security-opt 2: "foo=bar"'],
    ['no-new-privileges:maybe', 'invalid --security-opt 2: "no-new-privileges:maybe"'],
  ])('%s is refused', (option, message) => expect(() => parseSecurityOptions([option])).toThrow(message));

  it.each([
    ['/x/y', "Decoding seccomp profile failed: invalid character '/' looking for beginning of value"],
    [
      '{bad',
      "Decoding seccomp profile failed: invalid character 'b' looking for beginning of object key string",
    ],
    ['{"defaultAction":"FOO"}', `${runtime}string FOO is not a valid action for seccomp: unknown`],
  ])('profile %s is refused', (profileText, message) =>
    expect(() => seccompProfile({ profileText })).toThrow(message),
  );
});

describe('files', () => {
  const options = { extraHosts: [], hostGateway: '10.0.2.2', addresses: ['172.17.0.2'] };
  it.each([
    ['web', 'ex.org', 'web.ex.org web'],
    ['web.foo.bar', '', 'web.foo.bar web'],
    ['web', '', 'web'],
  ])('/etc/hosts of %s in %j', (hostname, domainname, names) => {
    const lines = hostsFile({ ...options, hostname, domainname }).split('\n');
    expect(lines.slice(0, 2)).toEqual(['127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback']);
    expect(lines.slice(-2)).toEqual([`172.17.0.2\t${names}`, '']);
  });

  it('/etc/hosts has the extra hosts before the container', () => {
    const text = hostsFile({
      ...options,
      hostname: 'h',
      domainname: '',
      extraHosts: ['a:1.2.3.4', 'b:host-gateway', 'c:::1'],
    });
    expect(text).toContain('1.2.3.4\ta\n10.0.2.2\tb\n::1\tc\n172.17.0.2\th\n');
  });
});

describe('image configuration', () => {
  const image = {
    Cmd: ['image-cmd'],
    Entrypoint: ['image-entry'],
    Env: ['PATH=/i', 'I=1'],
    Labels: { a: '1', b: '2' },
    User: 'u',
  };
  const merge = (given: Parameters<typeof mergeImageConfig>[0]) => mergeImageConfig(given, image, 'h');
  it.each([
    [{}, ['image-entry'], ['image-cmd']],
    [{ Cmd: ['mine'] }, ['image-entry'], ['mine']],
    [{ Entrypoint: ['mine'] }, ['mine'], null],
    [{ Entrypoint: [''], Cmd: ['mine'] }, null, ['mine']],
    [{ Entrypoint: [], Cmd: ['mine'] }, [], ['mine']],
  ])('%j', (given, entrypoint, cmd) =>
    expect(merge(given)).toMatchObject({ Entrypoint: entrypoint, Cmd: cmd }),
  );

  it('is merged member by member', () => {
    expect(merge({ Env: ['I=2', 'X=3'], Labels: { b: '3' }, User: '' })).toMatchObject({
      Env: ['I=2', 'X=3', 'PATH=/i'],
      Labels: { a: '1', b: '3' },
      User: 'u',
    });
  });

  it('must leave something to run', () => {
    expect(() => mergeImageConfig({}, {}, 'h')).toThrow('No command specified');
  });
});

describe('container to Pod, VM and guest', () => {
  const describe_ = (given: HostConfig): PodSpec =>
    containerToPod({
      id: 'c1',
      podId: 'p1',
      args: ['sh', '-c', 'x'],
      config: { Hostname: 'h', Domainname: 'd', Env: ['A=1'], User: 'u', Tty: true },
      hostConfig: fillHostConfig(given),
    });

  it('makes a Pod with one container', () => {
    const pod = describe_({ Memory: 1e8, Init: true, ReadonlyRootfs: true });
    expect(pod).toMatchObject({ id: 'c1', hostname: 'h', domainname: 'd', memoryBytes: vmMemoryBytes(1e8) });
    expect(pod.containers).toHaveLength(1);
    expect(pod.containers[0]).toMatchObject({
      id: 'c1',
      init: true,
      readonlyRootfs: true,
      ipcNamespace: 'container',
      process: { args: ['sh', '-c', 'x'], cwd: '/', user: 'u', terminal: true, seccomp: 'default' },
    });
    expect(pod.containers[0]?.process.env.slice(-2)).toEqual(['TERM=xterm', 'A=1']);
  });

  it('takes the masks off a privileged one', () => {
    const [container] = describe_({ Privileged: true }).containers;
    expect(container).toMatchObject({
      maskedPaths: [],
      readonlyPaths: [],
      process: { seccomp: 'unconfined' },
    });
  });

  it.each([
    [{ IpcMode: 'foo' }, 'Invalid IPC mode: foo'],
    [
      { DeviceRequests: [{ Capabilities: [['gpu']] }] },
      'could not select device driver "" with capabilities: [[gpu]]',
    ],
    [{ CpuShares: 1 }, 'the minimum allowed cpu-shares is 2: unknown'],
  ])('refuses %j at start', (given, message) => expect(() => describe_(given)).toThrow(message));

  const disks = { containerId: 'c1', layerPaths: ['/l/low', '/l/high'], writablePath: '/w' };
  it('plugs each file once and gives the guest the top layer first', () => {
    const pod = describe_({});
    const plan = podToVm(pod, [disks, { containerId: 'c2', layerPaths: ['/l/low'], writablePath: '/w2' }]);
    expect(plan.disks.map(({ hostPath, readOnly }) => [hostPath, readOnly])).toEqual([
      ['/w', false],
      ['/l/low', true],
      ['/l/high', true],
      ['/w2', false],
    ]);
    const luns = new Map(plan.disks.map(({ id }, index) => [id, 10 + index]));
    expect(guestRootfs(luns, disks)).toEqual({
      layers: [{ lun: 12 }, { lun: 11 }],
      writable: { lun: 10 },
    });
  });

  test('what runs programs of another processor is a disk for all containers that want it, and told of as what it runs', () => {
    const emulator = {
      hostPath: '/e/qemu-a-static',
      name: 'qemu-a',
      machine: 183,
      bits: 64,
      bigEndian: false,
    } as const;
    const foreign = { ...disks, emulator };
    const plan = podToVm(describe_({}), [foreign, { ...foreign, containerId: 'c2', writablePath: '/w2' }]);
    const plugged = plan.disks.filter(({ hostPath }) => hostPath === emulator.hostPath);
    expect(plugged).toMatchObject([{ format: 'raw', readOnly: true }]);
    expect(diskIds(foreign)).toContain(plugged[0]?.id);
    const luns = new Map(plan.disks.map(({ id }, index) => [id, index]));
    const told = { name: 'qemu-a', machine: 183, bits: 64, bigEndian: false };
    expect(guestEmulator(luns, foreign)).toEqual({ emulator: { ...told, disk: { lun: 3 } } });
    expect(guestEmulator(luns, disks)).toEqual({});
  });

  test('a bundle is one disk, and the layers are its partitions', () => {
    const disks = {
      containerId: 'c1',
      layerPaths: ['/l/low', '/l/top'],
      bundlePath: '/l/both.vmdk',
      writablePath: '/w1',
    };
    const plan = podToVm(describe_({}), [disks]);
    expect(plan.disks.map(({ hostPath, format }) => [hostPath, format])).toEqual([
      ['/w1', 'raw'],
      ['/l/both.vmdk', 'vmdk'],
    ]);
    expect(guestRootfs(new Map(plan.disks.map(({ id }, index) => [id, 3 + index])), disks)).toEqual({
      layers: [
        { lun: 4, partition: 2 },
        { lun: 4, partition: 1 },
      ],
      writable: { lun: 3 },
    });
  });

  test('of a layer that an image has twice, the upper one stays', () => {
    expect(withoutRepeats(['a', 'b', 'a', 'c'])).toEqual(['b', 'a', 'c']);
  });

  it('leaves out channels that are not wanted', () => {
    const [container] = describe_({}).containers;
    const rootfs = { layers: [], writable: { lun: 0 } };
    const spec = guestContainer(container!, { rootfs, files: [], channels: { stdout: 7 } });
    expect(spec.process.stdout).toBe(7);
    expect('stdin' in spec.process).toBe(false);
  });

  const endpoint = {
    nic: 1,
    name: 'eth0',
    mac: '02:42:ac:11:00:02',
    ipv4Address: '172.17.0.2',
    ipv4PrefixLength: 16,
    ipv4Gateway: '172.17.0.1',
    ipv6Address: '',
    ipv6PrefixLength: 0,
    ipv6Gateway: '',
    linkLocalIps: [],
    mtu: 1500,
  };
  it('configures interfaces and default routes', () => {
    expect(guestInterface(endpoint)).toEqual({
      nic: 1,
      name: 'eth0',
      mac: '02:42:ac:11:00:02',
      addresses: ['172.17.0.2/16'],
      mtu: 1500,
    });
    expect(defaultRoutes([{ ...endpoint, ipv4Gateway: '', name: 'eth1' }, endpoint])).toEqual([
      { destination: '0.0.0.0/0', gateway: '172.17.0.1', interface: 'eth0' },
    ]);
  });
});
