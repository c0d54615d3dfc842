import type { Health } from '../../../../src/docker/types';
import { containerSizes } from '../../../../src/engine/views/sizes';
import type { Container } from '../../../../src/engine/core/container-registry';
import { inspectContainer } from '../../../../src/engine/views/inspect';
import { ContainerList } from '../../../../src/semantics/views/list';
import type { ContainerRecord } from '../../../../src/semantics/containers/container-record';
import { fillHostConfig } from '../../../../src/semantics/create/defaults';
import type { Image } from '../../../../src/storage/contract/image';
import type { WritableDiskStore } from '../../../../src/storage/contract/stores';
import {
  busyboxId,
  created,
  exited,
  filters,
  idOf,
  image,
  imagesOf,
  layers,
  never,
  record,
  registryOf,
  runningSince,
} from './read-side-fixtures';

const busybox = image('1', { repoTags: ['busybox:latest'] });
const disks = {
  fileBytes: () => Promise.resolve(3_000_000),
  path: (id: string) => `/disks/${id}`,
} as unknown as WritableDiskStore;
const writtenBytes = (): Promise<undefined> => Promise.resolve(undefined);
const endpoint = {
  id: 'ep1',
  networkId: 'net1',
  networkName: 'bridge',
  containerId: idOf('a'),
  macAddress: '02:42:ac:11:00:02',
  ipv4Address: '172.17.0.2',
  ipv4PrefixLength: 16,
  ipv4Gateway: '172.17.0.1',
  ipv6Address: '',
  ipv6PrefixLength: 0,
  ipv6Gateway: '',
  mtu: 1500,
  dnsServers: [],
  aliases: [],
};

function listOf(
  records: ContainerRecord[],
  options: { images?: Image[]; health?: Record<string, Health['Status']> } = {},
): {
  names: (query?: Partial<Parameters<ContainerList<Container>['list']>[0]>) => Promise<string[]>;
  list: ContainerList<Container>;
} {
  const list = new ContainerList<Container>({
    registry: registryOf(...records),
    images: imagesOf(...(options.images ?? [busybox])),
    sizes: (container: Container) =>
      containerSizes(container, { images: imagesOf(busybox), disks, writtenBytes }),
    health: {
      health: (id) => {
        const Status = options.health?.[id];
        return Status === undefined ? undefined : { Status, FailingStreak: 0, Log: [] };
      },
    },
  });
  const names = async (query = {}) =>
    (await list.list({ all: true, limit: 0, size: false, filters: filters(), ...query })).map(({ Names }) =>
      (Names[0] ?? '').slice(-1),
    );
  return { list, names };
}

describe('an entry', () => {
  test('has the members of dockerd, in its order', async () => {
    const { list } = listOf([
      record('a', {
        state: runningSince(new Date(Date.now() - 125_000).toISOString()),
        hostConfig: fillHostConfig({ PortBindings: { '80/tcp': [{ HostPort: '8081' }] } }),
        config: { ...record('a').config, ExposedPorts: { '80/tcp': {}, '90/udp': {} }, Labels: { x: 'y' } },
        path: 'sh',
        args: ['-c', "echo 'x y'"],
        networks: { bridge: { networkId: 'net1', requested: {}, endpoint } },
        publishedPorts: [
          { protocol: 'tcp', containerPort: 80, hostIp: '0.0.0.0', hostPort: 8081 },
          { protocol: 'tcp', containerPort: 80, hostIp: '::', hostPort: 8081 },
        ],
      }),
    ]);
    const [entry] = await list.list({ all: false, limit: 0, size: false, filters: filters() });
    expect(entry).toEqual({
      Id: idOf('a'),
      Names: ['/c-a'],
      Image: 'busybox',
      ImageID: busyboxId,
      Command: "sh -c 'echo 'x y''",
      Created: Date.parse('2024-01-01T00:00:07Z') / 1000,
      Ports: [
        { IP: '0.0.0.0', PrivatePort: 80, PublicPort: 8081, Type: 'tcp' },
        { IP: '::', PrivatePort: 80, PublicPort: 8081, Type: 'tcp' },
        { PrivatePort: 90, Type: 'udp' },
      ],
      Labels: { x: 'y' },
      State: 'running',
      Status: 'Up 2 minutes',
      HostConfig: { NetworkMode: 'default' },
      NetworkSettings: {
        Networks: {
          bridge: {
            IPAMConfig: null,
            Links: null,
            Aliases: null,
            NetworkID: 'net1',
            EndpointID: 'ep1',
            Gateway: '172.17.0.1',
            IPAddress: '172.17.0.2',
            IPPrefixLen: 16,
            IPv6Gateway: '',
            GlobalIPv6Address: '',
            GlobalIPv6PrefixLen: 0,
            MacAddress: '02:42:ac:11:00:02',
            DriverOpts: null,
          },
        },
      },
      Mounts: [],
    });
    expect(Object.keys(entry ?? {})).toEqual(
      'Id Names Image ImageID Command Created Ports Labels State Status HostConfig NetworkSettings Mounts'.split(
        ' ',
      ),
    );
  });

  test('names the image by its id once the reference is another image', async () => {
    const { list } = listOf([record('a')], { images: [image('2', { repoTags: ['busybox:latest'] })] });
    const [entry] = await list.list({ all: true, limit: 0, size: false, filters: filters() });
    expect(entry?.Image).toBe(busyboxId);
  });

  test('has sizes when asked', async () => {
    const { list } = listOf([record('a')]);
    const [entry] = await list.list({ all: true, limit: 0, size: true, filters: filters() });
    expect(entry).toMatchObject({ SizeRw: 3_000_000, SizeRootFs: 3_001_000 });
  });

  const ago = (ms: number) => new Date(Date.now() - ms).toISOString();
  test.each<[string, ContainerRecord['state'], Health['Status'] | undefined]>([
    ['Up Less than a second', runningSince(ago(500)), undefined],
    ['Up 5 minutes (healthy)', runningSince(ago(5 * 60_000)), 'healthy'],
    ['Up About an hour (health: starting)', runningSince(ago(3_600_000)), 'starting'],
    [
      'Up 3 days (Paused)',
      { ...runningSince(ago(3 * 86_400_000)), kind: 'paused' } as ContainerRecord['state'],
      'healthy',
    ],
    ['Exited (3) 2 weeks ago', exited(3, ago(14.5 * 86_400_000)), undefined],
    [
      'Restarting (1) 2 seconds ago',
      { ...exited(1, ago(2_100)), kind: 'restarting' } as ContainerRecord['state'],
      undefined,
    ],
    [
      'Removal In Progress',
      { ...exited(1, ago(2_100)), kind: 'removing' } as ContainerRecord['state'],
      undefined,
    ],
    ['Dead', { ...exited(1, ago(2_100)), kind: 'dead' } as ContainerRecord['state'], undefined],
    ['Created', created, undefined],
  ])('says %s', async (text, state, health) => {
    const { list } = listOf(
      [record('a', { state })],
      health === undefined ? {} : { health: { [idOf('a')]: health } },
    );
    const [entry] = await list.list({ all: true, limit: 0, size: false, filters: filters() });
    expect(entry?.Status).toBe(text);
  });
});

describe('the choice', () => {
  // Created in this order: newest first is e d c b a.
  const times = (second: number) => `2024-01-01T00:00:0${second}Z`;
  const records = [
    record('a', {
      createdAt: times(1),
      state: runningSince(times(1)),
      config: { ...record('a').config, ExposedPorts: { '53/udp': {} } },
      publishedPorts: [{ protocol: 'tcp', containerPort: 80, hostIp: '0.0.0.0', hostPort: 8081 }],
    }),
    record('b', {
      createdAt: times(2),
      state: exited(0, times(3)),
      config: { ...record('b').config, Labels: { tier: 'db', x: '' } },
    }),
    record('c', {
      createdAt: times(3),
      state: exited(7, times(4)),
      mounts: [
        {
          Type: 'volume',
          Name: 'data',
          Source: '/v',
          Destination: '/var/data',
          Mode: '',
          RW: true,
          Propagation: '',
        },
      ],
    }),
    record('d', {
      createdAt: times(4),
      imageId: `sha256:${'2'.repeat(64)}`,
      config: { ...record('d').config, Image: 'child', ExposedPorts: { '53/udp': {} } },
      networks: { front: { networkId: 'f'.repeat(64), requested: {} } },
    }),
    record('e', {
      createdAt: times(5),
      state: { ...exited(1, times(6)), kind: 'restarting' } as ContainerRecord['state'],
    }),
  ];
  const child = image('2', { parentId: busyboxId, repoTags: ['child:latest'] });
  const { names } = listOf(records, { images: [busybox, child], health: { [idOf('a')]: 'healthy' } });

  test('without options those that run', async () => {
    expect(await names({ all: false })).toEqual(['e', 'a']);
    expect(await names({ all: true })).toEqual(['e', 'd', 'c', 'b', 'a']);
    expect(await names({ all: false, limit: 2 })).toEqual(['e', 'd']);
  });

  test.each<[Record<string, string[]>, string[]]>([
    [{ id: ['bb'] }, ['b']],
    [{ id: [''] }, []],
    [{ name: ['c-[ab]'] }, ['b', 'a']],
    [{ name: ['^/c-a$'] }, ['a']],
    [{ name: ['^c-a$'] }, ['a']],
    [{ name: ['('] }, []],
    [{ name: ['(?i)C-[AB]\\z'] }, ['b', 'a']],
    [{ label: ['tier'] }, ['b']],
    [{ label: ['tier=db', 'x='] }, ['b']],
    [{ label: ['tier=web'] }, []],
    [{ status: ['exited', 'created'] }, ['d', 'c', 'b']],
    [{ status: ['running'] }, ['a']],
    [{ exited: ['7', '1'] }, ['c']],
    [{ exited: ['0'] }, ['b']],
    [{ ancestor: ['busybox'] }, ['e', 'd', 'c', 'b', 'a']],
    [{ ancestor: ['child'] }, ['d']],
    [{ ancestor: ['nosuch'] }, []],
    [{ before: ['c-c'] }, ['b', 'a']],
    [{ since: ['c-c'] }, ['e', 'd']],
    [{ since: ['c-a'], before: ['c-d'] }, ['c', 'b']],
    [{ volume: ['data'] }, ['c']],
    [{ volume: ['/var/data'] }, ['c']],
    [{ network: ['front'] }, ['d']],
    [{ network: ['fff'] }, ['d']],
    [{ publish: ['8081'] }, ['a']],
    [{ publish: ['8080-8082/tcp'] }, ['a']],
    [{ publish: ['8081/udp'] }, []],
    [{ publish: ['80'] }, []],
    [{ expose: ['53/udp'] }, ['a']],
    [{ expose: ['80'] }, ['a']],
    [{ publish: ['1'], expose: ['80'] }, ['a']],
    [{ publish: [], expose: [] }, ['e', 'd', 'c', 'b', 'a']],
    [{ ancestor: [] }, []],
    [{ network: [] }, []],
    [{ volume: [] }, []],
    [{ 'is-task': [] }, []],
    [{ exited: [], health: [], id: [], status: [] }, ['e', 'd', 'c', 'b', 'a']],
    [{ health: ['healthy'] }, ['a']],
    [{ health: ['none'] }, ['e', 'd', 'c', 'b']],
    [{ 'is-task': ['false'], name: ['a'] }, ['a']],
    [{ 'is-task': ['true'] }, []],
    [{ isolation: ['x'], name: ['a'] }, ['a']],
  ])('%j', async (wanted, expected) => {
    expect(await names({ filters: filters(wanted) })).toEqual(expected);
  });

  test.each<[Record<string, string[]>, string]>([
    [{ foo: ['x'] }, "Invalid filter 'foo'"],
    [{ 'label!': ['x'] }, "Invalid filter 'label!'"],
    [{ status: ['bogus'] }, "Invalid filter 'status=bogus'"],
    [{ exited: ['x'] }, 'strconv.Atoi: parsing "x": invalid syntax'],
    [{ health: ['bogus'] }, 'Unrecognised filter value for health: bogus'],
    [{ 'is-task': ['x'] }, "Invalid filter 'is-task=[x]'"],
    [{ before: ['nosuch'] }, 'no such container nosuch'],
    [
      { publish: ['x'] },
      'error while looking up for publish x: strconv.ParseUint: parsing "x": invalid syntax',
    ],
    [{ publish: ['80:81'] }, "filter for 'publish' should not contain ':': 80:81"],
    [{ expose: ['/tcp'] }, 'error while looking up for expose /tcp: Empty string specified for ports.'],
    [{ expose: ['9-7'] }, 'error while looking up for expose 9-7: Invalid range specified for the Port: 9-7'],
    [
      { expose: ['99999999'] },
      'error while looking up for expose 99999999: strconv.ParseUint: parsing "99999999": value out of range',
    ],
  ])('%j is refused', async (wanted, message) => {
    await expect(names({ filters: filters(wanted) })).rejects.toThrow(message);
  });

  test('is cheap for 200 containers', async () => {
    const many = Array.from({ length: 200 }, (_, i) =>
      record('a', { id: i.toString(16).padStart(64, '0'), name: `n${i}` }),
    );
    const { list } = listOf(many);
    const query = { all: true, limit: 0, size: false, filters: filters() };
    await list.list(query);
    const start = performance.now();
    for (let i = 0; i < 10; i += 1) await list.list(query);
    // Generous: one takes about a millisecond.
    expect((performance.now() - start) / 10).toBeLessThan(50);
  });
});

describe('inspect', () => {
  const sources = {
    registry: { byId: () => undefined },
    images: imagesOf(busybox),
    layers,
    disks,
    writtenBytes,
    health: { health: () => undefined },
  };

  async function inspect(changes: Partial<ContainerRecord>) {
    const container = registryOf(record('a', changes)).get('c-a');
    return inspectContainer(container, sources, { size: false });
  }

  test('has the members of dockerd 20.10', async () => {
    const found = await inspect({});
    expect(Object.keys(found)).toEqual(
      (
        'Id Created Path Args State Image ResolvConfPath HostnamePath HostsPath LogPath Name RestartCount Driver ' +
        'Platform MountLabel ProcessLabel AppArmorProfile ExecIDs HostConfig GraphDriver Mounts Config NetworkSettings'
      ).split(' '),
    );
    expect(Object.keys(found.NetworkSettings).sort()).toEqual(
      (
        'Bridge EndpointID Gateway GlobalIPv6Address GlobalIPv6PrefixLen HairpinMode IPAddress IPPrefixLen IPv6Gateway ' +
        'LinkLocalIPv6Address LinkLocalIPv6PrefixLen MacAddress Networks Ports SandboxID SandboxKey SecondaryIPAddresses SecondaryIPv6Addresses'
      ).split(' '),
    );
    expect(found.State).toEqual({
      Status: 'created',
      Running: false,
      Paused: false,
      Restarting: false,
      OOMKilled: false,
      Dead: false,
      Pid: 0,
      ExitCode: 0,
      Error: '',
      StartedAt: never,
      FinishedAt: never,
    });
    expect(found.NetworkSettings).toMatchObject({ SandboxID: '', Ports: {}, IPAddress: '' });
  });

  test('a restarting one counts as running', async () => {
    const found = await inspect({
      state: { ...exited(4, never), kind: 'restarting' } as ContainerRecord['state'],
    });
    expect(found.State).toMatchObject({
      Running: true,
      Restarting: true,
      Status: 'restarting',
      ExitCode: 4,
      Pid: 0,
    });
  });

  test('networks: the default one twice, elsewhere the short id is an alias', async () => {
    const found = await inspect({
      state: runningSince('2024-01-01T00:00:00Z'),
      networks: {
        bridge: { networkId: 'net1', requested: {}, endpoint },
        front: { networkId: 'net2', requested: { Aliases: ['web'] } },
      },
    });
    expect(found.NetworkSettings).toMatchObject({ IPAddress: '172.17.0.2', EndpointID: 'ep1', Ports: {} });
    expect(found.NetworkSettings.SandboxID).toMatch(/^[0-9a-f]{64}$/);
    expect(found.NetworkSettings.Networks['bridge']?.Aliases).toBeNull();
    expect(found.NetworkSettings.Networks['front']).toMatchObject({
      Aliases: ['web', 'aaaaaaaaaaaa'],
      EndpointID: '',
    });
  });
});

test('the size of an ended container is what is there when its disk has been written back', async () => {
  const container = registryOf(record('a', {})).get('c-a');
  let isWritten = false;
  let writeBack = (): void => undefined;
  void container.operations.run(
    () =>
      new Promise<void>((resolve) => {
        writeBack = () => {
          isWritten = true;
          resolve();
        };
      }),
  );
  const sizes = containerSizes(container, {
    images: imagesOf(busybox),
    disks: { fileBytes: () => Promise.resolve(isWritten ? 7 : 0) },
    writtenBytes,
  });
  await new Promise((resolve) => setImmediate(resolve));
  writeBack();
  expect(await sizes).toMatchObject({ SizeRw: 7 });
});
