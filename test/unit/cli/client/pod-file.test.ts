import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { filesArchive, parsePodFile } from '../../../../src/cli/client/pod-file';
import { checkRequest } from '../../../../src/api/v1/schemas';
import { readNumber, readText } from '../../../../src/storage/tar/tar-header';
import { makeScratchDir } from '../../../support/process/scratch-dir';

const whole = `
id: web
hostname: front
type: pod
resource: { vcpu: 2, memory: 64 }
containers:
  - name: server
    image: busybox:latest
    command: [httpd, -f]
    entrypoint: [/bin/env]
    workdir: /www
    envs: [{ env: COLOUR, value: green }, { env: COUNT, value: 3 }, { env: EMPTY }]
    ports: [{ containerPort: 80, hostPort: 8080 }]
    volumes:
      - { volume: shared, path: /shared }
      - { volume: config, path: /config, readOnly: true }
    files:
      - { path: /etc/server.conf, filename: settings, perm: '0640', user: '7', group: root }
      - { path: /www/, filename: page }
    user: { name: www, group: www, additionalGroups: [audio] }
    stopSignal: SIGINT
    ulimits: [{ name: nofile, soft: 10, hard: 20 }]
    sysctl: { kernel.msgmax: 8192 }
    labels: { tier: front }
    restartPolicy: onFailure
  - { image: 'registry:5000/busybox', tty: false, volumes: [{ path: /own, detail: { name: own } }] }
  - { image: busybox }
files:
  - { name: settings, encoding: raw, content: 'a = b' }
  - { name: page, encoding: base64, content: aGVsbG8= }
volumes:
  - { name: shared }
  - { name: config, source: /etc/app, format: vfs }
interfaces: [{ bridge: backend, ip: 10.9.0.7/24, mac: '02:00:00:00:00:07' }]
portmappings: [{ containerPort: 90-91, hostPort: '9090-9091', protocol: UDP }]
dns: [10.0.0.1]
dnsSearch: [example.org]
labels: { app: web, level: 1 }
log: { type: json-file, config: { max-size: 1m } }
tty: true
restartPolicy: always
services: []
`;

it("reads every field of HyperContainer's form", async () => {
  const { template, files } = await parsePodFile(whole);
  checkRequest('PodTemplate', template); // what the daemon will do with it
  const HostConfig = { LogConfig: { Type: 'json-file', Config: { 'max-size': '1m' } } };
  expect(template).toEqual({
    name: 'web',
    hostname: 'front',
    labels: { app: 'web', level: '1' },
    dns: { servers: ['10.0.0.1'], searches: ['example.org'], options: [] },
    resources: { cpus: 2, memoryBytes: 64 * 2 ** 20 },
    restartPolicy: { name: 'always' },
    networks: [{ name: 'backend', ipv4Address: '10.9.0.7', macAddress: '02:00:00:00:00:07' }],
    portMappings: [
      { containerPort: 90, hostPort: 9090, protocol: 'udp' },
      { containerPort: 91, hostPort: 9091, protocol: 'udp' },
      { containerPort: 80, hostPort: 8080 },
    ],
    containers: [
      {
        name: 'server',
        body: {
          Image: 'busybox:latest',
          Cmd: ['httpd', '-f'],
          Entrypoint: ['/bin/env'],
          WorkingDir: '/www',
          Env: ['COLOUR=green', 'COUNT=3', 'EMPTY='],
          User: 'www:www',
          StopSignal: 'SIGINT',
          Labels: { tier: 'front' },
          Tty: true,
          OpenStdin: true,
          HostConfig: {
            ...HostConfig,
            Mounts: [
              {
                Type: 'volume',
                Source: 'web-shared',
                Target: '/shared',
                ReadOnly: false,
                VolumeOptions: { Labels: { 'caisson.pod.volume': 'web' } },
              },
              { Type: 'bind', Source: '/etc/app', Target: '/config', ReadOnly: true },
            ],
            GroupAdd: ['audio'],
            Ulimits: [{ Name: 'nofile', Soft: 10, Hard: 20 }],
            Sysctls: { 'kernel.msgmax': '8192' },
            RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 0 },
          },
        },
      },
      {
        name: 'busybox',
        body: {
          Image: 'registry:5000/busybox',
          Tty: false,
          OpenStdin: false,
          HostConfig: {
            ...HostConfig,
            Mounts: [
              {
                Type: 'volume',
                Source: 'web-own',
                Target: '/own',
                ReadOnly: false,
                VolumeOptions: { Labels: { 'caisson.pod.volume': 'web' } },
              },
            ],
          },
        },
      },
      { name: 'busybox-2', body: { Image: 'busybox', Tty: true, OpenStdin: true, HostConfig } },
    ],
  });
  expect(files).toEqual([
    {
      container: 'server',
      path: '/etc/server.conf',
      mode: 0o640,
      uid: 7,
      gid: 0,
      content: Buffer.from('a = b'),
    },
    { container: 'server', path: '/www/page', mode: 0o755, uid: 0, gid: 0, content: Buffer.from('hello') },
  ]);
});

it('is also JSON, and a name on the command line wins', async () => {
  const text = JSON.stringify({
    id: 'a',
    containers: [{ image: 'busybox', volumes: [{ volume: 'v', path: '/v' }] }],
    volumes: [{ name: 'v' }],
  });
  const { template } = await parsePodFile(text, 'other');
  expect(template.name).toBe('other');
  expect(template.containers[0]?.body.HostConfig?.Mounts?.[0]?.Source).toBe('other-v');
  expect((await parsePodFile('{ containers: [{ image: busybox }] }')).template.name).toMatch(/^pod-\w{8}$/);
});

it("tells it from the daemon's own form, and from Kubernetes'", async () => {
  const ours = { name: 'p', containers: [{ name: 'c', body: { Image: 'busybox' } }] };
  expect(await parsePodFile(JSON.stringify(ours))).toEqual({ template: ours, files: [] });
  await expect(parsePodFile(JSON.stringify({ ...ours, id: 'p' }))).rejects.toThrow(
    'id: there is no such field',
  );
  await expect(parsePodFile('{ apiVersion: v1, kind: Pod }')).rejects.toThrow('caisson play');
  await expect(parsePodFile('[]')).rejects.toThrow('this is no Pod');
});

it.each([
  ['{ containers: [] }', 'containers: a Pod needs at least one container'],
  ['{ containers: [{ image: x }], sevices: [] }', 'sevices: is not known'],
  ['{ containers: [{ image: x }], services: [{ serviceip: 1.2.3.4 }] }', 'services: there are none'],
  ['{ containers: [{ image: x, wrkdir: / }] }', 'containers[0].wrkdir: is not known'],
  ['{ containers: [{ image: x, envs: [{ env: 1 }] }] }', 'containers[0].envs[0].env: '],
  [
    '{ containers: [{ image: x, ports: [{ containerPort: 0 }] }] }',
    'containers[0].ports[0].containerPort: must be',
  ],
  [
    '{ containers: [{ image: x }], portmappings: [{ containerPort: 1-2, hostPort: 3 }] }',
    'portmappings[0].hostPort: ',
  ],
  ['{ containers: [{ image: x, volumes: [{ volume: v, path: /v }] }] }', 'the Pod has no volume "v"'],
  ['{ containers: [{ image: x, volumes: [{ path: /v }] }] }', 'containers[0].volumes[0].volume: is missing'],
  [
    '{ containers: [{ image: x }], volumes: [{ name: v, source: /x, format: qcow2 }] }',
    'volumes[0].format: only "vfs"',
  ],
  ['{ containers: [{ image: x, files: [{ path: /f, filename: f }] }] }', 'the Pod has no file "f"'],
  [
    '{ containers: [{ image: x, files: [{ path: /f, filename: f, user: www }] }] }',
    'files[0].user: must be "root"',
  ],
  [
    '{ containers: [{ image: x, files: [{ path: /f, filename: f, perm: "9" }] }] }',
    'files[0].perm: must be octal',
  ],
  [
    '{ containers: [{ image: x, files: [{ path: /f, filename: f }] }], files: [{ name: f, encoding: base64, content: "-" }] }',
    'files[0].content: is not base64',
  ],
  [
    '{ containers: [{ image: x, files: [{ path: /f, filename: f }] }], files: [{ name: f, uri: "ftp://x" }] }',
    'files[0].uri: only file, http',
  ],
  ['{ id: a, name: b, containers: [{ image: x }] }', 'id: is another name'],
  ['{ interfaces: [{ mtu: 9000 }], containers: [{ image: x }] }', 'interfaces[0].mtu: is not known'],
])('%s is refused with its path', async (text, message) => {
  await expect(parsePodFile(text)).rejects.toThrow(message);
});

it('fetches files that are elsewhere, and packs them with their owners and modes', async () => {
  const dir = makeScratchDir('pod-file');
  const path = join(dir, 'page.html');
  writeFileSync(path, 'from a file');
  const { files } = await parsePodFile(
    JSON.stringify({
      containers: [
        { image: 'x', files: [{ path: '/www/é', filename: 'f', perm: '0604', user: 3, group: 4 }] },
      ],
      files: [{ name: 'f', uri: pathToFileURL(path).href }],
    }),
  );
  rmSync(dir, { recursive: true });
  const archive = filesArchive(files);
  const header = archive.subarray(-2048, -1536); // the one before its block of data, and the end of the archive
  expect([100, 108, 116].map((offset) => readNumber(header, offset, 8))).toEqual([0o604, 3, 4]);
  expect(readText(archive, archive.length - 1536, 512)).toBe('from a file');
});
