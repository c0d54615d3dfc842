import type { ContainerSummary, ImageSummary } from '../../../../src/docker/types';
import { EngineImageBackend } from '../../../../src/engine/backends/images';
import { withTag } from '../../../../src/semantics/images/tag-target';
import { layerGraphDriver } from '../../../../src/engine/system/graph-driver';
import { inspectImage } from '../../../../src/semantics/images/inspect';
import { otherPlatformWarnings, requirePlatform } from '../../../../src/semantics/images/image-platform';
import { listImages } from '../../../../src/semantics/images/list';
import { diskUsage } from '../../../../src/semantics/system/disk-usage';
import type { EventPublisher } from '../../../../src/semantics/events/event-publisher';
import type { ImageStore } from '../../../../src/storage/contract/stores';
import { filters, image, imagesOf, layers, registryOf } from '../../engine/views/read-side-fixtures';

const created = (date: string, labels: Record<string, string> | null = null) => ({
  ...image('0').config,
  created: date,
  config: { Labels: labels },
});

const images = [
  image('1', {
    repoTags: ['busybox:latest'],
    repoDigests: ['busybox@sha256:d1'],
    config: created('2020-01-01T00:00:00Z'),
  }),
  image('2', {
    repoTags: ['127.0.0.1:5000/lib/app:1', 'app:1'],
    config: created('2021-01-01T00:00:00Z', { tier: 'a' }),
  }),
  image('3', { config: created('2022-01-01T00:00:00Z') }),
  image('4', {
    parentId: `sha256:${'3'.repeat(64)}`,
    repoTags: ['built:1'],
    config: created('2023-01-01T00:00:00Z'),
  }),
  image('5', { config: created('2024-01-01T00:00:00Z') }),
];

function letters(list: ImageSummary[]): string {
  return list.map(({ Id }) => Id.slice(7, 8)).join('');
}

function listed(wanted: Record<string, string[]> = {}, all = false): string {
  return letters(listImages(imagesOf(...images), { all, filters: filters(wanted) }));
}

test('an entry has the members of dockerd', () => {
  const [entry] = listImages(imagesOf(images[0]!), { all: false, filters: filters() });
  expect(entry).toEqual({
    Containers: -1,
    Created: 1577836800,
    Id: images[0]?.id,
    Labels: null,
    ParentId: '',
    RepoDigests: ['busybox@sha256:d1'],
    RepoTags: ['busybox:latest'],
    SharedSize: -1,
    Size: 1000,
    VirtualSize: 1000,
  });
});

test('without a name it is <none>', () => {
  const [entry] = listImages(imagesOf(images[4]!), { all: false, filters: filters() });
  expect(entry).toMatchObject({ RepoTags: ['<none>:<none>'], RepoDigests: ['<none>@<none>'] });
});

test.each<[Record<string, string[]>, string]>([
  [{}, '5421'],
  [{ dangling: ['true'] }, '5'],
  [{ dangling: ['false'] }, '421'],
  [{ label: ['tier=a'] }, '2'],
  [{ before: ['app:1'] }, '1'],
  [{ since: ['app:1'] }, '54'],
  [{ reference: ['*'] }, '421'],
  [{ reference: ['127.0.0.1:5000/*/*'] }, '2'],
  [{ reference: ['busy*:latest', 'built'] }, '41'],
])('%j lists %s', (wanted, expected) => expect(listed(wanted)).toBe(expected));

test('steps of a build are listed on demand', () => expect(listed({}, true)).toBe('54321'));

test('only the names that the reference filter matches are shown', () => {
  const [entry] = listImages(imagesOf(...images), { all: false, filters: filters({ reference: ['app'] }) });
  expect(entry?.RepoTags).toEqual(['app:1']);
});

test.each<[Record<string, string[]>, string]>([
  [{ foo: ['x'] }, "Invalid filter 'foo'"],
  [{ 'label!': ['x'] }, "Invalid filter 'label!'"],
  [{ dangling: ['x'] }, "Invalid filter 'dangling=[x]'"],
  [{ reference: ['['] }, 'syntax error in pattern'],
])('%j is refused', (wanted, message) => expect(() => listed(wanted)).toThrow(message));

test('inspect has the members of dockerd, and of the configuration those that are set', () => {
  const found = inspectImage(
    image('1', {
      repoTags: ['busybox:latest'],
      lastTagTimeMs: Date.parse('2024-01-01T00:00:00.25Z'),
      config: {
        ...image('1').config,
        config: { Cmd: ['sh'], ExposedPorts: { '80/tcp': {} }, StopSignal: '', Healthcheck: null },
      },
    }),
    (diffIds) => layerGraphDriver(diffIds, layers),
  );
  expect(Object.keys(found).join(' ')).toBe(
    'Id RepoTags RepoDigests Parent Comment Created Container ContainerConfig DockerVersion Author Config ' +
      'Architecture Os Size VirtualSize GraphDriver RootFS Metadata',
  );
  expect(found.Metadata.LastTagTime).toBe('2024-01-01T00:00:00.25Z');
  expect(found.Config).toMatchObject({
    Cmd: ['sh'],
    Env: null,
    Labels: null,
    ExposedPorts: { '80/tcp': {} },
  });
  expect(found.Config).not.toHaveProperty('StopSignal');
  expect(found.Config).not.toHaveProperty('Healthcheck');
  expect(found.GraphDriver).toEqual({ Data: { LowerDir: '/layers/sha256:aa' }, Name: 'caisson-squashfs' });
});

test.each([
  ['busybox', '', 'busybox'],
  ['busybox', '1', 'busybox:1'],
  ['busybox', `sha256:${'a'.repeat(64)}`, `busybox@sha256:${'a'.repeat(64)}`],
  ['busybox:2', '', 'busybox:2'],
  ['', 'latest', ''],
])('%s with tag %s is %s', (name, tag, reference) => expect(withTag(name, tag)).toBe(reference));

test('disk usage counts each layer once, and what images share', () => {
  const usage = diskUsage({
    images: images.slice(0, 2),
    summaries: listImages(imagesOf(...images.slice(0, 2)), { all: false, filters: filters() }),
    layerBytes: (diffId) => layers.sizeBytes(diffId),
    containers: [{ ImageID: images[0]?.id } as ContainerSummary],
    volumes: [],
    buildCache: [],
  });
  expect(usage.LayersSize).toBe(500);
  expect(usage.Images?.map(({ Containers, SharedSize }) => [Containers, SharedSize])).toEqual([
    [0, 500],
    [1, 500],
  ]);
});

describe('the backend', () => {
  test('asks the store for every tag of a repository named alone, and tells of what the store does', async () => {
    const published: unknown[] = [];
    const pulls: unknown[] = [];
    let emit: Parameters<ImageStore['onEvent']>[0] = () => undefined;
    const store = {
      ...imagesOf(...images),
      onEvent: (listener: typeof emit) => (emit = listener),
      pull: (reference: string, { allTags }: { allTags?: boolean }) => {
        pulls.push([reference, allTags]);
        return Promise.resolve();
      },
    } as unknown as ImageStore;
    const events: EventPublisher = { publish: (...event) => published.push(event) };
    const backend = new EngineImageBackend({
      images: store,
      layers,
      registry: registryOf(),
      events,
    });
    const { signal } = new AbortController();
    await backend.pull({ fromImage: '127.0.0.1:5000/a', tag: '' }, () => undefined, signal);
    await backend.pull({ fromImage: 'a:1', tag: '' }, () => undefined, signal);
    await backend.pull({ fromImage: 'a', tag: '2' }, () => undefined, signal);
    expect(pulls).toEqual([
      ['127.0.0.1:5000/a', true],
      ['a:1', false],
      ['a:2', false],
    ]);
    emit({ action: 'tag', id: images[1]!.id, attributes: { name: 'x:1' } });
    expect(published).toEqual([['image', 'tag', images[1]?.id, { tier: 'a', name: 'x:1' }]]);
    await expect(backend.inspect('nosuch')).rejects.toThrow('No such image: nosuch');
  });
});

test('an image of another platform than the one that is asked for is not there, in dockerd’s words', () => {
  const arm = image('6', { config: { ...image('6').config, architecture: 'arm64', variant: 'v8' } });
  const linux = (architecture: string) => ({ os: 'linux', architecture });
  expect(() => requirePlatform(images[0]!, 'busybox', linux('arm64'))).toThrow(
    'image with reference busybox was found but does not match the specified platform: wanted linux/arm64, actual: linux/amd64',
  );
  expect(() => requirePlatform(images[0]!, 'busybox', linux('amd64'))).not.toThrow();
  expect(otherPlatformWarnings(arm, undefined)).toEqual([
    expect.stringMatching(/^The requested image's platform \(linux\/arm64\/v8\) does not match/),
  ]);
  expect(otherPlatformWarnings(arm, linux('arm64'))).toEqual([]);
  expect(otherPlatformWarnings(images[0]!, undefined)).toEqual([]);
});
