// The `docker run` of a container: what a shell makes of the line is what the container was made of.

import type { ContainerInspect } from '../../../src/docker/types';
import { words } from '../../../web/src/logic/run-line';
import { runLineOf } from '../../../web/src/logic/run-line-of';

const usualPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** As inspect has it of `docker run -d --name c busybox`. */
function inspected(config: object = {}, host: object = {}, more: object = {}): ContainerInspect {
  const found = {
    Id: 'd2fc1839e6353eb89b43',
    Name: '/c',
    Mounts: [],
    Config: {
      ...{ Hostname: 'd2fc1839e635', User: '', Tty: false, OpenStdin: false, Env: [usualPath], Cmd: ['sh'] },
      ...{ Image: 'busybox', WorkingDir: '', Entrypoint: null, Labels: {} },
      ...config,
    },
    HostConfig: {
      ...{ Binds: null, LogConfig: { Type: 'json-file', Config: {} }, NetworkMode: 'default' },
      ...{ PortBindings: {}, RestartPolicy: { Name: 'no', MaximumRetryCount: 0 }, ShmSize: 67108864 },
      ...{ Memory: 0, MemorySwap: 0, NanoCpus: 0, PidsLimit: null, IpcMode: 'private', PidMode: '' },
      ...{ AutoRemove: false, Privileged: false, PublishAllPorts: false, ReadonlyRootfs: false, UTSMode: '' },
      ...host,
    },
    NetworkSettings: { Networks: {} },
    ...more,
  };
  return found as unknown as ContainerInspect; // what the line is made of
}

const image = {
  Env: ['A=1'],
  Cmd: ['sh'],
  Labels: { from: 'image' },
  User: 'www',
  WorkingDir: '/srv',
  ExposedPorts: { '8080/tcp': {} },
};

test.each<[string, string, ContainerInspect]>([
  ['nothing', 'docker run -d --name c busybox', inspected({ User: 'www', WorkingDir: '/srv', Env: ['A=1'] })],
  [
    'what the image has otherwise',
    "docker run -d --name c -e B=2 -l 'said=it'\\''s' -u 5 -w / busybox sh -c 'echo $A'",
    inspected({
      ...{ User: '5', WorkingDir: '/', Env: ['A=1', 'B=2', usualPath], Cmd: ['sh', '-c', 'echo $A'] },
      Labels: { from: 'image', said: "it's" },
    }),
  ],
  [
    'places',
    'docker run -dit --name c --rm --network back --network-alias db --ip 10.0.0.9 --hostname h -p 127.0.0.1:80:8080 -p 53/udp ' +
      '--dns 1.1.1.1 --add-host a:1.2.3.4 busybox',
    inspected(
      { Hostname: 'h', Tty: true, OpenStdin: true, User: 'www', WorkingDir: '/srv', Env: ['A=1'] },
      {
        ...{ NetworkMode: 'back', AutoRemove: true, Dns: ['1.1.1.1'], ExtraHosts: ['a:1.2.3.4'] },
        PortBindings: {
          '8080/tcp': [{ HostIp: '127.0.0.1', HostPort: '80' }],
          '53/udp': [{ HostIp: '', HostPort: '' }],
        },
      },
      {
        NetworkSettings: {
          Networks: {
            back: { Aliases: ['db', 'd2fc1839e635', 'h'], IPAMConfig: { IPv4Address: '10.0.0.9' } },
          },
        },
      },
    ),
  ],
  [
    'what else a network has',
    'docker run -d --name c --network container:d2fc --domainname example.org --mac-address 02:42:ac:11:00:02 --link data:db --expose 53/udp ' +
      '-p 80 --dns-option ndots:2 --stop-timeout 0 --cpuset-mems 0 --uts host busybox',
    inspected(
      {
        ...{ Hostname: 'of-another', Domainname: 'example.org', MacAddress: '02:42:ac:11:00:02' },
        ...{ User: 'www', WorkingDir: '/srv', Env: ['A=1'], StopTimeout: 0 },
        ExposedPorts: { '80/tcp': {}, '8080/tcp': {}, '53/udp': {} },
      },
      {
        ...{
          NetworkMode: 'container:d2fc',
          UTSMode: 'host',
          Links: ['/data:/c/db'],
          DnsOptions: ['ndots:2'],
        },
        ...{ PortBindings: { '80/tcp': [{ HostIp: '', HostPort: '' }] }, CpusetMems: '0' },
      },
    ),
  ],
  [
    'mounts with their options',
    'docker run -d --name c --mount type=tmpfs,target=/t,tmpfs-size=1024,tmpfs-mode=700 --mount type=volume,source=v,target=/v,volume-nocopy busybox',
    inspected(
      { User: 'www', WorkingDir: '/srv', Env: ['A=1'] },
      {
        Mounts: [
          { Type: 'tmpfs', Target: '/t', TmpfsOptions: { SizeBytes: 1024, Mode: 0o700 } },
          { Type: 'volume', Source: 'v', Target: '/v', VolumeOptions: { NoCopy: true } },
        ],
      },
    ),
  ],
  [
    'mounts',
    'docker run -d --name c -v data:/data:ro --mount type=bind,source=/etc,target=/e,readonly -v /anonymous --tmpfs /t:size=1m ' +
      '--shm-size 1024 busybox',
    inspected(
      { User: 'www', WorkingDir: '/srv', Env: ['A=1'] },
      {
        Binds: ['data:/data:ro'],
        Mounts: [{ Type: 'bind', Source: '/etc', Target: '/e', ReadOnly: true }],
        ...{ Tmpfs: { '/t': 'size=1m' }, ShmSize: 1024 },
      },
      {
        Mounts: [
          { Type: 'volume', Name: 'data', Destination: '/data' },
          { Type: 'bind', Destination: '/e' },
          { Type: 'volume', Name: 'f00', Destination: '/anonymous' },
        ],
      },
    ),
  ],
  [
    'limits and rights',
    'docker run -d --name c --memory 134217728 --cpus 0.5 --pids-limit 10 --ulimit nofile=5:6 --privileged ' +
      '--read-only --cap-add NET_ADMIN --ipc host --restart on-failure:3 --log-driver none busybox',
    inspected(
      { User: 'www', WorkingDir: '/srv', Env: ['A=1'] },
      {
        ...{ Memory: 134217728, MemorySwap: 268435456, NanoCpus: 5e8, PidsLimit: 10, Privileged: true },
        ...{ Ulimits: [{ Name: 'nofile', Soft: 5, Hard: 6 }], ReadonlyRootfs: true, CapAdd: ['NET_ADMIN'] },
        ...{ IpcMode: 'host', LogConfig: { Type: 'none', Config: {} }, SecurityOpt: ['label=disable'] },
        RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 3 },
      },
    ),
  ],
  [
    'its entrypoint and health',
    "docker run -d --name c --health-cmd 'true || exit 1' --health-interval 1000ms --health-retries 2 --entrypoint sh busybox -c 'a b'",
    inspected({
      ...{ User: 'www', WorkingDir: '/srv', Env: ['A=1'], Entrypoint: ['sh', '-c'], Cmd: ['a b'] },
      Healthcheck: { Test: ['CMD-SHELL', 'true || exit 1'], Interval: 1e9, Retries: 2 },
    }),
  ],
])('%s', (_, line, inspect) => {
  expect(runLineOf(inspect, image)).toBe(line);
  expect(words(line).slice(0, 2)).toEqual(['docker', 'run']);
});
