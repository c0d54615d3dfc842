// Clients of versions from 1.12 on: what each gets that is not as in 1.41. Versions are those on either side of a change.

import { httpCases, mainCases, sdkCases, scriptCases, type HttpSteps } from '../harness/cases';
import { sendHttp } from '../../support/wire/http-client';

const image = { Image: 'busybox', Cmd: ['sleep', '1000'] };
const plain = { 'Content-Type': 'text/plain' };

/** The same requests of each version, the case's container removed in between. */
function ofEach(versions: readonly number[], steps: (prefix: string) => HttpSteps): HttpSteps {
  return versions.flatMap((minor) => [
    ...[steps(`/v1.${minor}`)].flat(),
    { request: 'DELETE /containers/$c?force=1&v=1', statusOnly: true },
  ]);
}

/** Of the container's port 80, on loopback. */
function published(port: number): object {
  return { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: String(port) }] };
}

const configured = {
  ...image,
  MacAddress: '02:42:ac:11:aa:bb',
  ExposedPorts: { '80/tcp': {} },
  HostConfig: {
    Binds: ['$c-volume:/named:ro'],
    Memory: 67108864,
    MemorySwap: 134217728,
    CpuShares: 512,
    CpusetCpus: '0',
  },
};

mainCases('old versions', [
  'errors are text before 1.24',
  'inspect of a container',
  'create and its HostConfig',
  'a HostConfig at start',
  'copy',
  'kill of what does not run',
  'wait',
  'info, version and ping',
]);
httpCases('old versions', {
  'errors are text before 1.24': [12, 22, 23, 24].flatMap((minor) => [
    `GET /v1.${minor}/containers/no-such/json`,
    `GET /v1.${minor}/no/such/path`,
    { request: `POST /v1.${minor}/containers/create`, body: '{' },
    { request: `POST /v1.${minor}/networks/create`, body: '{', headers: plain },
    `GET /v1.${minor}/containers/json?filters={"no-such":["x"]}`,
    `POST /v1.${minor}/containers/no-such/attach`,
    `GET /v1.${minor}/volumes/no-such`,
  ]),
  ranges: ['GET /v1.11/version', 'GET /v1.5/containers/json', 'GET /v0.9/version', 'GET /v1/version'],
  lists: [12, 20, 23].flatMap((minor) => [
    `GET /v1.${minor}/containers/json?all=1&filters={"name":["$c"]}`,
    `GET /v1.${minor}/images/json?filter=busybox`,
    `GET /v1.${minor}/volumes?filters={"name":["$c"]}`,
    `GET /v1.${minor}/networks?filters={"name":["none"],"driver":["null"]}`,
  ]),
  'an image': [12, 23].flatMap((minor) => [
    `GET /v1.${minor}/images/busybox/json`,
    `GET /v1.${minor}/images/busybox/history`,
    { request: `POST /v1.${minor}/images/busybox/tag?repo=$c&tag=one&force=1` },
    `DELETE /v1.${minor}/images/$c:one`,
  ]),
  'inspect of a container': ofEach([12, 19, 20, 21, 24], (v) => [
    { request: `POST ${v}/containers/create?name=$c`, body: configured },
    `GET ${v}/containers/$c/json?size=1`,
  ]),
  'volumes of inspect before 1.20': ofEach([12, 19], (v) => [
    {
      request: `POST ${v}/containers/create?name=$c`,
      body: {
        ...image,
        Volumes: { '/data': {} },
        HostConfig: { Binds: ['$c-volume:/named:ro', '/usr:/bound'] },
      },
    },
    `GET ${v}/containers/$c/json`,
  ]),
  'inspect of one that runs': ofEach([19, 20, 21], (v) => [
    {
      request: `POST ${v}/containers/create?name=$c`,
      body: { ...image, ExposedPorts: { '80/tcp': {} }, HostConfig: { PortBindings: published(18391) } },
    },
    `POST ${v}/containers/$c/start`,
    `GET ${v}/containers/$c/json`,
  ]),
  'create and its HostConfig': ofEach([12, 18, 19, 24, 25, 39, 40], (v) => [
    {
      request: `POST ${v}/containers/create?name=$c&platform=no/such`,
      body: {
        ...image,
        HostConfig: {
          AutoRemove: true,
          CpuShares: 1,
          KernelMemoryTCP: 0,
          Mounts: [{ Type: 'bind', Source: '/usr', Target: '/x', BindOptions: { NonRecursive: true } }],
        },
      },
    },
    'GET /v1.41/containers/$c/json',
  ]),
  'limits at the top, and Cpuset': ofEach([12, 17], (v) => [
    {
      request: `POST ${v}/containers/create?name=$c`,
      body: { ...image, Memory: 67108864, MemorySwap: -1, CpuShares: 300000, Cpuset: '0' },
    },
    `GET ${v}/containers/$c/json`,
  ]),
  'a HostConfig at start': [
    { request: 'POST /v1.12/containers/create?name=$c', body: { ...image, ExposedPorts: { '80/tcp': {} } } },
    {
      request: 'POST /v1.12/containers/$c/start',
      body: {
        Binds: ['/usr:/bound:ro'],
        PortBindings: published(18392),
        Dns: ['127.0.0.9'],
        CapAdd: ['NET_ADMIN'],
        RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 2 },
        Memory: 67108864,
      },
    },
    'GET /v1.41/containers/$c/json',
    { request: 'POST /v1.12/containers/$c/start', body: { Privileged: true } },
    'POST /v1.12/containers/$c/stop?t=0',
    'POST /v1.12/containers/$c/start',
    'GET /v1.19/containers/$c/json',
  ],
  'a HostConfig at start that is refused': [
    { request: 'POST /v1.22/containers/create?name=$c', body: image },
    { request: 'POST /v1.24/containers/$c/start', body: { Privileged: true } },
    { request: 'POST /v1.23/containers/$c/start', body: { Privileged: 3 } },
    {
      request: 'POST /v1.23/containers/$c/start',
      body: '{"Privileged":',
      headers: { 'Content-Type': 'application/json' },
    },
    { request: 'POST /v1.23/containers/$c/start', body: '{"Privileged":true}', headers: plain },
    { request: 'POST /v1.23/containers/$c/start', body: { Binds: ['a:b:c:d'] } },
    { request: 'POST /v1.23/containers/$c/start', body: { Links: ['no-such:x'] } },
    { request: 'POST /v1.23/containers/$c/start', body: { LogConfig: { Type: 'no-such' } } },
    { request: 'POST /v1.23/containers/no-such/start', body: { Privileged: true } },
  ],
  copy: [
    { request: 'POST /v1.20/containers/create?name=$c', body: image },
    { request: 'POST /v1.20/containers/$c/copy', body: {} },
    { request: 'POST /v1.20/containers/$c/copy', body: { Resource: '/no/such' } },
    { request: 'POST /v1.20/containers/no-such/copy', body: { Resource: '/etc' } },
    { request: 'POST /v1.20/containers/$c/copy', body: '{', headers: { 'Content-Type': 'application/json' } },
    { request: 'POST /v1.20/containers/$c/copy', body: '{}', headers: plain },
    { request: 'POST /v1.24/containers/$c/copy', body: { Resource: '/etc' } },
    { request: 'POST /v1.41/containers/no-such/copy' },
  ],
  'kill of what does not run': [
    { request: 'POST /v1.19/containers/create?name=$c', body: image },
    'POST /v1.19/containers/$c/kill',
    'POST /v1.20/containers/$c/kill',
    'POST /v1.19/containers/no-such/kill',
    'POST /v1.19/containers/$c/kill?signal=NONSENSE',
  ],
  wait: [
    {
      request: 'POST /v1.19/containers/create?name=$c',
      body: { Image: 'busybox', Cmd: ['sh', '-c', 'exit 3'] },
    },
    'POST /v1.12/containers/$c/start',
    'POST /v1.12/containers/$c/wait',
    'POST /v1.29/containers/$c/wait?condition=next-exit',
    'POST /v1.30/containers/$c/wait',
    'POST /v1.29/containers/no-such/wait',
  ],
  exec: [
    { request: 'POST /v1.21/containers/create?name=$c', body: image },
    'POST /v1.21/containers/$c/start',
    { request: 'POST /v1.21/containers/$c/exec', body: { Cmd: ['true'] } },
    { request: 'POST /v1.22/exec/$id/start', body: '{"Detach":true}', headers: plain },
    { request: 'POST /v1.21/exec/$id/start', body: '{"Detach":true}', headers: plain },
    { request: 'GET /v1.21/exec/no-such/json' },
  ],
  'info, version and ping': [
    'GET /v1.12/_ping',
    { request: 'GET /v1.12/version', statusOnly: true },
    { request: 'GET /v1.24/info', statusOnly: true },
    { request: 'POST /v1.12/auth', body: { username: 'u', password: 'p', serveraddress: '127.0.0.1:1' } },
  ],
  'volumes and networks': [
    { request: 'POST /v1.21/volumes/create', body: { Name: '$c-volume', DriverOpts: {} } },
    'GET /v1.21/volumes/$c-volume',
    { request: 'POST /v1.21/networks/create', body: { Name: '$c-network', CheckDuplicate: true } },
    { request: 'POST /v1.21/networks/create', body: { Name: '$c-network', CheckDuplicate: true } },
    'GET /v1.21/networks/$c-network',
    { request: 'POST /v1.21/networks/$c-network/connect', body: { Container: 'no-such' } },
    'DELETE /v1.21/networks/$c-network',
  ],
});

sdkCases('old versions in part', {
  'security options of info': async ({ host }) => {
    const seen = await Promise.all(
      [24, 25].map(async (minor) => {
        const reply = await sendHttp(host, { method: 'GET', path: `/v1.${minor}/info` });
        const { SecurityOptions, ExecutionDriver } = JSON.parse(reply.body) as Record<string, unknown>;
        // the host of the one may have what the guest of the other has not
        const options = (SecurityOptions as string[]).filter((option) => option.includes('seccomp'));
        return { options: options.map((option) => option.replace(/profile=.*/, 'profile')), ExecutionDriver };
      }),
    );
    return seen;
  },
  'stats and a list of networks': async ({ host, name, docker }) => {
    const container = await docker.createContainer({ name, Image: 'busybox', Cmd: ['sleep', '1000'] });
    const stats = async (minor: number): Promise<object> => {
      const path = `/v1.${minor}/containers/${name}/stats?stream=0`;
      const sample = JSON.parse((await sendHttp(host, { method: 'GET', path })).body) as Record<
        string,
        object
      >;
      return {
        members: Object.keys(sample).sort(),
        network: Object.keys(sample['network'] ?? {}).sort(),
        name: sample['name'],
      };
    };
    const notRunning = await stats(20);
    await container.start();
    const networks = async (minor: number): Promise<unknown> => {
      const reply = await sendHttp(host, {
        method: 'GET',
        path: `/v1.${minor}/networks?filters={"name":["bridge"]}`,
      });
      const listed = JSON.parse(reply.body) as {
        Name: string;
        Containers: Record<string, { Name: string }>;
      }[];
      const bridge = listed.find(({ Name }) => Name === 'bridge');
      const here = Object.values(bridge?.Containers ?? {}).filter(({ Name }) => Name === name);
      return here.map((endpoint) => Object.keys(endpoint).sort());
    };
    return {
      notRunning,
      running: [await stats(20), await stats(21)],
      networks: [await networks(27), await networks(28)],
    };
  },
  'a HostConfig at start that mounts elsewhere': async ({ host, name, docker }) => {
    const post = async (path: string, body: object): Promise<number> =>
      (await sendHttp(host, { method: 'POST', path: `/v1.20${path}`, body })).status;
    const HostConfig = { Binds: [`${name}-one:/c`, `${name}-two:/d`], NetworkMode: 'bridge' };
    await post(`/containers/create?name=${name}`, { ...image, Volumes: { '/a': {}, '/b': {} }, HostConfig });
    const started = await post(`/containers/${name}/start`, {
      Binds: [`${name}-three:/a`, `${name}-four:/c:ro`],
      NetworkMode: 'none',
    });
    const { Mounts, HostConfig: now, NetworkSettings } = await docker.getContainer(name).inspect();
    const mounts = Mounts.map(({ Destination, Name, RW, Mode }) => [Destination, Name, RW, Mode].join(' '));
    const { Volumes } = await docker.listVolumes({ filters: { name: [name] } });
    return {
      started,
      mounts: mounts.sort(),
      binds: now.Binds,
      networks: Object.keys(NetworkSettings.Networks),
      volumes: Volumes.map((volume) => volume.Name).sort(),
    };
  },
  'a copy of files, links and directories': async ({ host, name, docker }) => {
    const cmd = [
      'sh',
      '-c',
      'mkdir -p /d/e; echo a >/d/a; echo b >/d/e/b; ln -s a /d/l; ln -s d /l; sleep 1000',
    ];
    const container = await docker.createContainer({ name, Image: 'busybox', Cmd: cmd });
    await container.start();
    for (let found = 404; found !== 200;) {
      found = (await sendHttp(host, { method: 'HEAD', path: `/v1.41/containers/${name}/archive?path=/l` }))
        .status;
    }
    const copied: Record<string, unknown> = {};
    for (const Resource of ['/d', '/d/a', '/d/l', '/l', '/l/', 'd/e/..', '/']) {
      const reply = await sendHttp(host, {
        method: 'POST',
        path: `/v1.20/containers/${name}/copy`,
        body: { Resource },
      });
      copied[Resource] =
        reply.status === 200
          ? memberNames(Buffer.from(reply.body, 'utf8'), Resource)
          : [reply.status, reply.body];
    }
    return copied;
  },
});

/** Names and types of a tar whose members are ASCII text; of the root's, those that are in no other directory. */
function memberNames(tar: Buffer, of: string): string[] {
  const names: string[] = [];
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0;) {
    const field = (from: number, length: number): string =>
      tar.toString('latin1', at + from, at + from + length).replace(/\0.*$/s, '');
    const name = field(0, 100);
    if (of !== '/' || /^[a-z]+\/?$/.test(name)) names.push(`${field(156, 1)} ${name} ${field(157, 100)}`);
    at += 512 + Math.ceil(parseInt(field(124, 12), 8) / 512) * 512;
  }
  return names.sort();
}

scriptCases('old versions by the docker command', {
  'run, logs, inspect, ps and rm': `
    export DOCKER_API_VERSION=1.22; docker run --name $c busybox echo hello; docker logs $c; docker ps -a --filter name=$c --format '{{.Names}} {{.Image}}'; docker inspect -f '{{.State.ExitCode}}' $c; docker rm $c | wc -l
    DOCKER_API_VERSION=1.12 docker inspect no-such-$c`,
});
