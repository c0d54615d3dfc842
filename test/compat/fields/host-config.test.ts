// Every member of a container's HostConfig but its limits, in effect.

import { fieldCases } from '../harness/field-cases';

const host = (members: object): Record<string, unknown> => ({ HostConfig: members });

fieldCases('HostConfig', {
  Binds: { set: host({ Binds: ['/etc/debian_version:/bound:ro'] }), probe: 'cat /bound; touch /bound' },
  ContainerIDFile: { set: host({ ContainerIDFile: '/tmp/nothing' }) },
  LogConfig: {
    set: host({ LogConfig: { Type: 'json-file', Config: { 'max-size': '1m', 'max-file': '2' } } }),
  },
  RestartPolicy: { set: host({ RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 1 } }) },
  VolumeDriver: { set: host({ VolumeDriver: 'local' }) },
  CapAdd: { set: host({ CapAdd: ['SYS_TIME', 'cap_net_admin'] }), probe: 'grep ^Cap /proc/self/status' },
  CapDrop: { set: host({ CapDrop: ['MKNOD'] }), probe: 'mknod /n c 1 3' },
  Dns: { set: host({ Dns: ['1.2.3.4'] }), probe: 'grep nameserver /etc/resolv.conf' },
  DnsOptions: { set: host({ DnsOptions: ['ndots:4'] }), probe: 'grep options /etc/resolv.conf' },
  DnsSearch: { set: host({ DnsSearch: ['a.test', 'b.test'] }), probe: 'grep search /etc/resolv.conf' },
  ExtraHosts: {
    set: host({ ExtraHosts: ['one:1.2.3.4', 'six:::1'] }),
    probe: 'grep -E "one|six" /etc/hosts',
  },
  GroupAdd: { set: host({ GroupAdd: ['4711', 'user'] }), probe: 'id -G' },
  OomScoreAdj: { set: host({ OomScoreAdj: 321 }), probe: 'cat /proc/self/oom_score_adj' },
  ReadonlyRootfs: { set: host({ ReadonlyRootfs: true }), probe: 'touch /f; touch /dev/f && echo dev' },
  SecurityOpt: {
    set: host({ SecurityOpt: ['no-new-privileges', 'label=disable', 'apparmor=unconfined'] }),
    probe: 'grep -E "^(NoNewPrivs|Seccomp):" /proc/self/status',
  },
  StorageOpt: { set: host({ StorageOpt: {} }) },
  Tmpfs: { set: host({ Tmpfs: { '/work': 'size=3m,mode=1750' } }), probe: 'grep " /work " /proc/mounts' },
  ShmSize: {
    set: host({ ShmSize: 12_582_912 }),
    probe: 'df -k /dev/shm | tail -n 1 | tr -s " " | cut -d" " -f2',
  },
  Sysctls: {
    set: host({
      Sysctls: {
        'net.core.somaxconn': '77',
        'kernel.shmmax': '3000000',
        'fs.mqueue.msg_max': '33',
        'net/ipv4/ip_forward': '0',
      },
    }),
    probe:
      'cd /proc/sys; cat net/core/somaxconn kernel/shmmax fs/mqueue/msg_max net/ipv4/ip_forward net/ipv4/ip_unprivileged_port_start',
  },
  Runtime: { set: host({ Runtime: 'runc' }) },
  ConsoleSize: { set: host({ ConsoleSize: [31, 101] }) },
  Isolation: { set: host({ Isolation: 'default' }) },
  Init: {
    set: host({ Init: true }),
    probe: 'cat /proc/1/comm; readlink /proc/1/exe; cut -d" " -f1 /proc/1/stat',
  },
  IpcMode: { set: host({ IpcMode: 'shareable' }), probe: 'grep -c " /dev/shm " /proc/mounts' },
  UsernsMode: { set: host({ UsernsMode: 'host' }), probe: 'cat /proc/self/uid_map' },
  // alone: with /etc/group masked, GroupAdd finds no name
  MaskedPaths: {
    set: host({ MaskedPaths: ['/etc/group', '/usr'] }),
    probe: 'cat /etc/group; ls /usr',
    alone: true,
  },
  ReadonlyPaths: {
    set: host({ ReadonlyPaths: ['/tmp'] }),
    probe: 'touch /tmp/f; grep -c " /proc/sys " /proc/mounts',
  },
  Mounts: {
    set: host({
      Mounts: [{ Type: 'tmpfs', Target: '/mounted', TmpfsOptions: { SizeBytes: 2_097_152, Mode: 0o1700 } }],
    }),
    probe: 'stat -c %a /mounted; df -k /mounted | tail -n 1 | tr -s " " | cut -d" " -f2',
    inspect: ['HostConfig.Mounts', 'Mounts'],
  },
  PublishAllPorts: { set: host({ PublishAllPorts: true }) },
});

fieldCases('HostConfig, each in a container of its own', {
  NetworkMode: { set: host({ NetworkMode: 'none' }), probe: 'ls /sys/class/net', alone: true },
  PortBindings: {
    set: { ExposedPorts: { '81/tcp': {} }, HostConfig: { PortBindings: { '80/tcp': [{ HostPort: '' }] } } },
    alone: true,
    inspect: ['HostConfig.PortBindings', 'Config.ExposedPorts'],
  },
  'CapAdd: ALL': {
    set: host({ CapDrop: ['ALL'], CapAdd: ['CHOWN'] }),
    probe: 'grep ^Cap /proc/self/status',
    alone: true,
  },
  'CapDrop: all but one': {
    set: host({ CapDrop: ['all'] }),
    probe: 'grep ^Cap /proc/self/status',
    alone: true,
  },
  'CapAdd: unknown': { set: host({ CapAdd: ['CAP_NOSUCH'] }), alone: true, inspect: [] },
  'CapDrop: unknown': { set: host({ CapDrop: ['NOSUCH'] }), alone: true, inspect: [] },
  Links: { set: host({ Links: ['nosuch:alias'] }), alone: true, inspect: [] },
  'Links: empty': { set: host({ Links: [''] }), alone: true, inspect: [] },
  'Links: malformed': { set: host({ Links: ['a:b:c'] }), alone: true, inspect: [] },
  VolumesFrom: { set: host({ VolumesFrom: ['nosuch'] }), alone: true, inspect: [] },
  'VolumesFrom: a bad mode': { set: host({ VolumesFrom: ['nosuch:xx'] }), alone: true, inspect: [] },
  Annotations: { set: host({ Annotations: { a: 'b' } }), alone: true },
  Privileged: { set: host({ Privileged: false }), alone: true },
  AutoRemove: {
    set: host({ AutoRemove: true, RestartPolicy: { Name: 'always' } }),
    ...{ alone: true, inspect: [] },
  },
  'LogConfig: local': {
    set: host({ LogConfig: { Type: 'local', Config: { 'max-size': '1m' } } }),
    probe: 'echo line',
    alone: true,
    inspect: ['HostConfig.LogConfig', 'LogPath'],
  },
  'LogConfig: none': {
    set: host({ LogConfig: { Type: 'none', Config: {} } }),
    probe: 'echo line',
    alone: true,
    inspect: ['HostConfig.LogConfig'],
  },
  'LogConfig: syslog over UDP': {
    set: host({ LogConfig: { Type: 'syslog', Config: { 'syslog-address': 'udp://127.0.0.1:1', tag: 'x' } } }),
    probe: 'echo line',
    alone: true,
    inspect: ['HostConfig.LogConfig', 'LogPath'],
  },
  'LogConfig: syslog that nobody takes': {
    set: host({ LogConfig: { Type: 'syslog', Config: { 'syslog-address': 'tcp://127.0.0.1:1' } } }),
    alone: true,
    inspect: [],
  },
  'LogConfig: syslog with an unknown facility': {
    set: host({
      LogConfig: {
        Type: 'syslog',
        Config: { 'syslog-address': 'udp://127.0.0.1:1', 'syslog-facility': 'nosuch' },
      },
    }),
    alone: true,
    inspect: [],
  },
  'LogConfig: syslog with an unknown format': {
    set: host({
      LogConfig: {
        Type: 'syslog',
        Config: { 'syslog-address': 'udp://127.0.0.1:1', 'syslog-format': 'nosuch' },
      },
    }),
    alone: true,
    inspect: [],
  },
  'LogConfig: syslog at no address': {
    set: host({ LogConfig: { Type: 'syslog', Config: { 'syslog-address': 'nonsense' } } }),
    alone: true,
    inspect: [],
  },
  'LogConfig: syslog with an unknown option': {
    set: host({ LogConfig: { Type: 'syslog', Config: { nosuch: '1' } } }),
    alone: true,
    inspect: [],
  },
  'LogConfig: fluentd that nobody takes': {
    set: host({ LogConfig: { Type: 'fluentd', Config: { 'fluentd-address': '127.0.0.1:1' } } }),
    alone: true,
    inspect: [],
  },
  'LogConfig: fluentd that waits': {
    set: host({
      LogConfig: { Type: 'fluentd', Config: { 'fluentd-address': '127.0.0.1:1', 'fluentd-async': 'true' } },
    }),
    probe: 'echo line',
    alone: true,
    inspect: ['HostConfig.LogConfig'],
  },
  'LogConfig: fluentd with an unknown option': {
    set: host({ LogConfig: { Type: 'fluentd', Config: { nosuch: '1' } } }),
    alone: true,
    inspect: [],
  },
  'LogConfig: fluentd with a bad limit': {
    set: host({ LogConfig: { Type: 'fluentd', Config: { 'fluentd-buffer-limit': 'lots' } } }),
    alone: true,
    inspect: [],
  },
  'LogConfig: json-file with attributes': {
    set: host({
      LogConfig: {
        Type: 'json-file',
        Config: {
          labels: 'a',
          env: 'B',
          tag: '{{.Name}}',
          'max-size': '10k',
          'max-file': '2',
          compress: 'true',
        },
      },
    }),
    probe: 'echo line',
    alone: true,
    inspect: ['HostConfig.LogConfig'],
  },
  'LogConfig: json-file with a bad size': {
    set: host({ LogConfig: { Type: 'json-file', Config: { 'max-size': 'lots' } } }),
    alone: true,
    inspect: [],
  },
  'LogConfig: json-file with an unknown option': {
    set: host({ LogConfig: { Type: 'json-file', Config: { nosuch: '1' } } }),
    alone: true,
    inspect: [],
  },
  'LogConfig: a mode that is none': {
    set: host({ LogConfig: { Type: 'json-file', Config: { mode: 'nonsense' } } }),
    alone: true,
    inspect: [],
  },
  'LogConfig: non-blocking': {
    set: host({
      LogConfig: { Type: 'json-file', Config: { mode: 'non-blocking', 'max-buffer-size': '1m' } },
    }),
    probe: 'echo line',
    alone: true,
    inspect: ['HostConfig.LogConfig'],
  },
  Cgroup: { set: host({ Cgroup: 'container:x' }), alone: true, inspect: ['HostConfig.Cgroup'] },
  UTSMode: { set: host({ UTSMode: 'nonsense' }), alone: true, inspect: [] },
  'UTSMode: host with a hostname': {
    set: { Hostname: 'box', HostConfig: { UTSMode: 'host' } },
    alone: true,
    inspect: [],
  },
  PidMode: { set: host({ PidMode: 'nonsense' }), alone: true, inspect: [] },
  'PidMode: of a container that is not there': {
    set: host({ PidMode: 'container:nosuch' }),
    alone: true,
    inspect: [],
  },
  'IpcMode: none': {
    set: host({ IpcMode: 'none' }),
    probe: 'grep -c " /dev/shm " /proc/mounts',
    alone: true,
  },
  'IpcMode: nonsense': { set: host({ IpcMode: 'nonsense' }), alone: true, inspect: [] },
  'IpcMode: of a container that is not there': {
    set: host({ IpcMode: 'container:nosuch' }),
    alone: true,
    inspect: [],
  },
  'UsernsMode: nonsense': { set: host({ UsernsMode: 'nonsense' }), alone: true, inspect: [] },
  'CgroupnsMode: nonsense': { set: host({ CgroupnsMode: 'nonsense' }), alone: true, inspect: [] },
  'CgroupnsMode: private': {
    set: host({ CgroupnsMode: 'private' }),
    probe: 'tail -n 1 /proc/self/cgroup',
    alone: true,
  },
  'GroupAdd: a group that is not there': { set: host({ GroupAdd: ['nosuch'] }), alone: true, inspect: [] },
  'Isolation: nonsense': { set: host({ Isolation: 'nonsense' }), alone: true, inspect: [] },
  'Runtime: nonsense': { set: host({ Runtime: 'nonsense' }), alone: true, inspect: [] },
  'SecurityOpt: unknown': { set: host({ SecurityOpt: ['nonsense=1'] }), alone: true, inspect: [] },
  'SecurityOpt: no value': { set: host({ SecurityOpt: ['nonsense'] }), alone: true, inspect: [] },
  'SecurityOpt: a profile that is none': {
    set: host({ SecurityOpt: ['seccomp=nonsense'] }),
    alone: true,
    inspect: [],
  },
  'SecurityOpt: a profile of a list': {
    set: host({ SecurityOpt: ['seccomp=[]'] }),
    alone: true,
    inspect: [],
  },
  'SecurityOpt: a profile without an action': {
    set: host({ SecurityOpt: ['seccomp={}'] }),
    alone: true,
    inspect: [],
  },
  'SecurityOpt: a profile with an unknown action': {
    set: host({ SecurityOpt: ['seccomp={"defaultAction":"SCMP_ACT_NOSUCH"}'] }),
    alone: true,
    inspect: [],
  },
  'SecurityOpt: a profile that allows all but two': {
    set: host({
      SecurityOpt: [
        `seccomp=${JSON.stringify({
          defaultAction: 'SCMP_ACT_ALLOW',
          archMap: [{ architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] }],
          syscalls: [
            { names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 28 },
            { names: ['kill'], action: 'SCMP_ACT_ERRNO', args: [{ index: 1, value: 10, op: 'SCMP_CMP_EQ' }] },
            { names: ['chmod', 'fchmodat'], action: 'SCMP_ACT_ERRNO', includes: { caps: ['CAP_SYS_ADMIN'] } },
            { names: ['unlink', 'unlinkat'], action: 'SCMP_ACT_ERRNO', excludes: { caps: ['CAP_CHOWN'] } },
            { names: ['sync'], action: 'SCMP_ACT_KILL_PROCESS' },
            {
              names: ['rename', 'renameat', 'renameat2'],
              action: 'SCMP_ACT_ERRNO',
              includes: { minKernel: '3.0' },
            },
            { names: ['symlink', 'symlinkat'], action: 'SCMP_ACT_ERRNO', includes: { arches: ['arm64'] } },
          ],
        })}`,
      ],
    }),
    probe:
      'mkdir /x; sleep 9 & kill -10 $! 2>/dev/null; echo $?; kill -9 $!; echo $?; touch /f; chmod 777 /f; echo $?; mv /f /g; (ulimit -c 0; exec sync); echo $?; ln -s /f /s; echo $?; rm /f; echo $?; grep ^Seccomp: /proc/self/status',
    alone: true,
    inspect: [],
  },
  'SecurityOpt: unconfined': {
    set: host({ SecurityOpt: ['seccomp=unconfined', 'label=disable'] }),
    probe: 'grep ^Seccomp: /proc/self/status',
    alone: true,
  },
  'MaskedPaths: none': {
    set: host({ MaskedPaths: [], ReadonlyPaths: [] }),
    probe: 'grep -c -E " /proc/(sys|kcore|bus) " /proc/mounts',
    alone: true,
  },
  'StorageOpt: unknown': { set: host({ StorageOpt: { nosuch: '1' } }), alone: true, inspect: [] },
  'Sysctls: not in a namespace': {
    set: host({ Sysctls: { 'vm.max_map_count': '262144' } }),
    alone: true,
    inspect: [],
  },
  'Sysctls: the hostname': { set: host({ Sysctls: { 'kernel.hostname': 'x' } }), alone: true, inspect: [] },
  'Sysctls: unknown': { set: host({ Sysctls: { 'net.nosuch': '1' } }), alone: true, inspect: [] },
  'Sysctls: a bad value': {
    set: host({ Sysctls: { 'net.core.somaxconn': 'abc' } }),
    alone: true,
    inspect: [],
  },
  'Tmpfs: a bad option': { set: host({ Tmpfs: { '/x': 'nonsense' } }), alone: true, inspect: [] },
  'ShmSize: negative': { set: host({ ShmSize: -1 }), alone: true, inspect: [] },
  'OomScoreAdj: out of range': { set: host({ OomScoreAdj: -1001 }), alone: true, inspect: [] },
  'ExtraHosts: half an address': { set: host({ ExtraHosts: ['a:b:c'] }), alone: true, inspect: [] },
  'PortBindings: a range inside': {
    set: host({ PortBindings: { '1-2/tcp': [{ HostPort: '1-2' }] } }),
    alone: true,
    inspect: [],
  },
  'PortBindings: a range from high to low': {
    set: host({ PortBindings: { '80/tcp': [{ HostPort: '3-1' }] } }),
    alone: true,
    inspect: [],
  },
  'PidMode: of something that is no container': {
    set: host({ PidMode: 'a:nosuch' }),
    alone: true,
    inspect: [],
  },
  'Ulimits: a part': {
    set: host({ Ulimits: [{ Name: 'core' }], DeviceRequests: [] }),
    inspect: ['HostConfig.Ulimits', 'HostConfig.DeviceRequests'],
    alone: true,
  },
  'ExtraHosts: malformed': { set: host({ ExtraHosts: ['nonsense'] }), alone: true, inspect: [] },
  'ExtraHosts: the gateway': {
    set: host({ ExtraHosts: ['gate:host-gateway'] }),
    probe: 'grep -c gate /etc/hosts',
    alone: true,
  },
  'Dns: nonsense': { set: host({ Dns: ['nonsense'] }), probe: 'cat /etc/resolv.conf', alone: true },
  'ConsoleSize: of a terminal': {
    set: { Tty: true, HostConfig: { ConsoleSize: [31, 101] } },
    probe: 'stty size',
    alone: true,
    inspect: ['HostConfig.ConsoleSize'],
  },
  'RestartPolicy: unknown': { set: host({ RestartPolicy: { Name: 'nonsense' } }), alone: true, inspect: [] },
  'RestartPolicy: negative': {
    set: host({ RestartPolicy: { Name: 'on-failure', MaximumRetryCount: -1 } }),
    alone: true,
    inspect: [],
  },
  'Binds: malformed': { set: host({ Binds: ['a:b:c:d'] }), alone: true, inspect: [] },
  'Mounts: of an unknown type': {
    set: host({ Mounts: [{ Type: 'nonsense', Target: '/x' }] }),
    alone: true,
    inspect: [],
  },
  'DeviceRequests: no driver': {
    set: host({ DeviceRequests: [{ Count: -1, Capabilities: [['gpu']] }] }),
    alone: true,
    inspect: [],
  },
});
