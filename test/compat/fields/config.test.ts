// Every member of a container's Config, in effect.

import { fieldCases } from '../harness/field-cases';

const mac = '02:42:ac:11:77:01';

fieldCases('Config', {
  Hostname: { set: { Hostname: 'box' }, probe: 'hostname; cat /etc/hostname; grep -c box /etc/hosts' },
  Domainname: { set: { Domainname: 'example.org' }, probe: 'cat /proc/sys/kernel/domainname' },
  User: { set: { User: '12:34' }, probe: 'id' },
  AttachStdin: { set: { AttachStdin: true } },
  AttachStdout: { set: { AttachStdout: true } },
  AttachStderr: { set: { AttachStderr: true } },
  ExposedPorts: { set: { ExposedPorts: { '81/tcp': {}, '53/udp': {} } } },
  Env: {
    set: { Env: ['A=1', 'B=two words', 'C=', 'A=2'] },
    probe: 'echo "$A $B $C"; env | grep -E "^(HOME|PATH|HOSTNAME)="',
  },
  Healthcheck: { set: { Healthcheck: { Test: ['NONE'] } } },
  ArgsEscaped: { set: { ArgsEscaped: true } },
  WorkingDir: { set: { WorkingDir: '/made/at/start' }, probe: 'pwd; stat -c "%a %u %g" /made/at/start' },
  OnBuild: { set: { OnBuild: ['RUN true'] } },
  Labels: { set: { Labels: { one: '1', 'org.example/two': '' } } },
  StopSignal: { set: { StopSignal: 'SIGUSR1' } },
  StopTimeout: { set: { StopTimeout: 3 } },
  Shell: { set: { Shell: ['/bin/ash', '-c'] } },
  OpenStdin: { set: { OpenStdin: true } },
  StdinOnce: { set: { StdinOnce: true } },
});

fieldCases('Config, each in a container of its own', {
  Image: {
    set: { Image: 'configured' },
    alone: true,
    inspect: ['Config.Env', 'Config.User', 'Config.ExposedPorts'],
  },
  Tty: { set: { Tty: true }, probe: 'tty; stty -a | head -n 1', alone: true },
  Cmd: { set: { Cmd: ['sh', '-c', 'echo "@@ Cmd"; echo "$0 $1"', 'zero', 'one'] }, alone: true },
  Entrypoint: {
    set: { Entrypoint: ['sh', '-c', 'echo "@@ Entrypoint"; echo "$0 $*"', 'zero'], Cmd: ['one', 'two'] },
    alone: true,
    inspect: ['Config.Entrypoint', 'Config.Cmd', 'Path', 'Args'],
  },
  NetworkDisabled: { set: { NetworkDisabled: true }, probe: 'ls /sys/class/net; ip route', alone: true },
  MacAddress: { set: { MacAddress: mac }, probe: 'cat /sys/class/net/eth0/address', alone: true },
  Volumes: {
    set: { Volumes: { '/data': {} } },
    probe: 'touch /data/f && ls /data && grep -c " /data " /proc/mounts',
    alone: true,
  },
  'Hostname: too long': { set: { Hostname: 'x'.repeat(65) }, alone: true, inspect: [] },
  'Domainname: too long': { set: { Domainname: 'x'.repeat(65) }, alone: true, inspect: [] },
  'User: of the image': { set: { User: 'user' }, probe: 'id', alone: true },
  'User: a name that is not there': { set: { User: 'nosuch' }, alone: true, inspect: ['State.ExitCode'] },
  'User: a group that is not there': { set: { User: '0:nosuch' }, alone: true, inspect: ['State.ExitCode'] },
  'User: a number without an entry': { set: { User: '4711' }, probe: 'id; echo $HOME', alone: true },
  'User: beyond 32 bits': { set: { User: '4294967296' }, alone: true, inspect: ['State.ExitCode'] },
  'WorkingDir: relative': { set: { WorkingDir: 'here' }, alone: true, inspect: [] },
  'StopTimeout: negative': { set: { StopTimeout: -1 }, alone: true },
  'StopSignal: a number': { set: { StopSignal: '9' }, alone: true },
  'StopSignal: nonsense': { set: { StopSignal: 'NOSUCH' }, alone: true, inspect: [] },
  'StopSignal: out of range': { set: { StopSignal: '65' }, alone: true, inspect: [] },
  'Env: without a value': { set: { Env: ['NOVALUE'] }, probe: 'env | grep NOVALUE', alone: true },
  'Env: empty': { set: { Env: [], Shell: [], Healthcheck: { Test: [] } }, alone: true },
  'Cmd: not there': { set: { Cmd: ['/nosuch'] }, alone: true, inspect: ['State.ExitCode', 'State.Error'] },
  'Cmd: a directory': { set: { Cmd: ['/etc'] }, alone: true, inspect: ['State.ExitCode'] },
  'Healthcheck: an interval below a millisecond': {
    set: { Healthcheck: { Test: ['CMD', 'true'], Interval: 5 } },
    alone: true,
    inspect: [],
  },
  'Healthcheck: an unknown kind': { set: { Healthcheck: { Test: ['NOSUCH', 'true'] } }, alone: true },
  'MacAddress: nonsense': { set: { MacAddress: 'nonsense' }, alone: true, inspect: [] },
  'Volumes: relative': { set: { Volumes: { data: {} } }, alone: true, inspect: [] },
  'ExposedPorts: a range': { set: { ExposedPorts: { '8000-8002/tcp': {} } }, alone: true },
  'ExposedPorts: an unknown protocol': { set: { ExposedPorts: { '80/xyz': {} } }, alone: true },
  'Cpuset: at the top': { set: { Cpuset: '0' }, inspect: ['HostConfig.CpusetCpus'], alone: true },
  'members of HostConfig at the top': {
    set: { Memory: 67108864, Runtime: 'runc', Binds: ['/tmp:/x'], ReadonlyRootfs: true },
    inspect: ['HostConfig.Memory', 'HostConfig.Runtime', 'HostConfig.Binds', 'HostConfig.ReadonlyRootfs'],
    alone: true,
  },
  'members of HostConfig at the top and below': {
    set: { Memory: 67108864, Binds: ['/tmp:/x'], HostConfig: { CpuShares: 5 } },
    inspect: ['HostConfig.Memory', 'HostConfig.CpuShares', 'HostConfig.Binds'],
    alone: true,
  },
});
