import { Readable, Writable } from 'node:stream';

import type { SentFile, SessionCaller, Sessions } from '../../../../src/buildkit/contract/session';
import type { Attestation, CacheSource, Ref, Result } from '../../../../src/buildkit/contract/solver';
import { digestOf } from '../../../../src/buildkit/llb/graph';
import { cacheExportersOf, exporters } from '../../../../src/buildkit/solver/exporters/exporters';
import { imageConfigOf } from '../../../../src/buildkit/solver/exporters/image-config';
import { emptyLayer } from '../../../../src/buildkit/solver/files/layer-trees';
import { readEntries } from '../../../../src/builder/archive-tree';
import { copy, FakeDaemon, FakeHost, FakeSession, image, never, refOf, run, sessionsOf } from './fake-host';

let host: FakeHost;
beforeEach(() => {
  host = new FakeHost();
  host.addImage('base', {
    d: null,
    'd/f': 'content',
    'd/l': { type: '2', link: 'f' },
    'd/h': { type: '1', link: 'd/f' },
  });
});
afterEach(() => host.remove());

interface Wish {
  attributes?: Record<string, string>;
  config?: object;
  metadata?: Record<string, object | string>;
  /** Of several platforms. */
  graphs?: Record<string, ReturnType<typeof image>>;
  attestations?: Map<string, Attestation[]>;
  cacheExports?: CacheSource[];
}

const warnings: string[] = [];

async function exported(
  type: string,
  graph: ReturnType<typeof image>,
  caller: Partial<SessionCaller> = {},
  more: Wish = {},
): Promise<ReadonlyMap<string, string>> {
  const session = new FakeSession('s').caller;
  const credentials = (): Promise<{ username: string; secret: string }> =>
    Promise.resolve({ username: '', secret: '' });
  const own = { ...session, credentials, ...caller };
  const sessions: Sessions = { find: () => own, get: () => Promise.resolve(own) };
  const { build, progress } = new FakeDaemon(host, sessionsOf()).open();
  const given = {
    ...(more.config === undefined ? {} : { 'containerimage.config': more.config }),
    ...more.metadata,
  };
  const metadata = new Map(
    Object.entries(given).map(([key, value]) => [
      key,
      Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
    ]),
  );
  const refs = new Map<string, Ref>();
  for (const [id, each] of Object.entries(more.graphs ?? {})) refs.set(id, await refOf(build, each));
  const result: Result = {
    ref: more.graphs === undefined ? await refOf(build, graph) : undefined,
    refs,
    metadata,
    ...(more.attestations === undefined ? {} : { attestations: more.attestations }),
  };
  const scope = {
    id: 'b',
    sessionIds: ['s'],
    progress,
    entitlements: new Set<never>(),
    cacheImports: [],
    signal: never,
  };
  const attributes = new Map(Object.entries(more.attributes ?? {}));
  const { cacheExports = [] } = more;
  const request = { type, attributes, index: 0, result, scope, cacheExports };
  try {
    const exporter = exporters(host, sessions).find(({ types }) => types.includes(type));
    const answer = new Map(await exporter?.export(request, never));
    for (const source of cacheExports) {
      const cache = cacheExportersOf(host, sessions).find((each) => each.type === source.type);
      for (const [key, value] of (await cache?.export({ source, result, scope }, never)) ?? [])
        answer.set(key, value);
    }
    return answer;
  } finally {
    warnings.push(...progress.warnings);
    await build.close();
  }
}

interface Manifest {
  mediaType: string;
  config: { mediaType: string; digest: string };
  layers: { mediaType: string; digest: string; annotations?: Record<string, string> }[];
  manifests: { digest: string; platform: object; annotations?: Record<string, string> }[];
  annotations?: Record<string, string>;
}
const parsed = (document: { body: Buffer } | undefined): Manifest =>
  JSON.parse(document?.body.toString() ?? '{}') as Manifest; // of our own making

const twoPlatforms = {
  graphs: { 'linux/amd64': image('base'), 'linux/arm64': image('base') },
  metadata: {
    'refs.platforms': {
      Platforms: ['amd64', 'arm64'].map((architecture) => ({
        ID: `linux/${architecture}`,
        Platform: { architecture, os: 'linux' },
      })),
    },
    'containerimage.config/linux/amd64': { architecture: 'amd64', os: 'linux' },
    'containerimage.config/linux/arm64': { architecture: 'arm64', os: 'linux' },
  },
};

/** A client that takes an archive: its members' contents by their names. */
function archiveTaker(): {
  sendFile: SessionCaller['sendFile'];
  files: () => Promise<Record<string, string>>;
} {
  const chunks: Buffer[] = [];
  const sendFile = (): Writable =>
    new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        chunks.push(chunk);
        done();
      },
    });
  const files = async (): Promise<Record<string, string>> => {
    const whole = Buffer.concat(chunks);
    const entries = await readEntries(
      (async function* () {
        yield await Promise.resolve(whole);
      })(),
    );
    return Object.fromEntries(
      entries.map(({ entry, offset }) => [entry.name, whole.toString('latin1', offset, offset + entry.size)]),
    );
  };
  return { sendFile, files };
}

describe('image', () => {
  const history = [
    { created_by: 'base' },
    { created_by: 'ENV', empty_layer: true },
    { created_by: 'RUN' },
    { created_by: 'COPY' },
  ];
  const platform = { OS: 'linux', Architecture: 'amd64', Variant: '' };
  const made = (layers: string[]): { rootfs: { diff_ids: string[] }; history: object[] } =>
    JSON.parse(
      imageConfigOf(Buffer.from(JSON.stringify({ history })), layers, platform, new Date(0)).toString(),
    ) as ReturnType<typeof made>; // as asked for

  test('a step without changes has no layer', () => {
    const config = made(['sha256:base', emptyLayer, 'sha256:copy']);
    expect(config.rootfs.diff_ids).toEqual(['sha256:base', 'sha256:copy']);
    const created = '1970-01-01T00:00:00.000Z';
    expect(config.history).toEqual([
      { created, created_by: 'base' },
      { created, created_by: 'ENV', empty_layer: true },
      { created, created_by: 'RUN', empty_layer: true },
      { created, created_by: 'COPY' },
    ]);
  });

  test('a layer has the time of the step that made it: the same steps are the same image', () => {
    const layerTimes = new Map([['sha256:run', new Date(1000)]]);
    const text = Buffer.from(JSON.stringify({ history: history.slice(1, 3) }));
    const config = JSON.parse(
      imageConfigOf(text, ['sha256:run'], platform, new Date(9000), { layerTimes }).toString(),
    ) as { created: string; history: { created: string }[] };
    const created = '1970-01-01T00:00:01.000Z';
    expect(config).toMatchObject({ created, history: [{ created }, { created }] });
  });

  test('layers that history does not know get entries', () => {
    expect(made(['a', 'b', 'c', 'd']).history.at(-1)).toMatchObject({
      comment: 'buildkit.exporter.image.v0',
    });
    expect(made(['a']).history.slice(2)).toMatchObject([{ empty_layer: true }, { empty_layer: true }]);
  });

  test.each(['no json', '[]', '{"history":[1]}'])('a configuration that is none: %s', (text) => {
    expect(() => imageConfigOf(Buffer.from(text), [], platform, new Date(0))).toThrow(/image config/);
  });

  test('is created with its names', async () => {
    const create = jest.spyOn(host.images, 'create');
    host.command = () => Promise.resolve({});
    const config = { config: { Cmd: ['x'] }, history: [{ created_by: 'base' }, { created_by: 'RUN' }] };
    const answer = await exported(
      'moby',
      run(image('base'), 'a'),
      {},
      { attributes: { name: 'a:1,b' }, config },
    );
    expect(create.mock.calls[0]?.[1]).toEqual(['a:1', 'b']);
    expect(JSON.parse(create.mock.calls[0]?.[0].toString() ?? '')).toMatchObject({
      architecture: 'amd64',
      config: { Cmd: ['x'] },
      rootfs: { diff_ids: host.localImages.get('base') },
      history: [{ created_by: 'base' }, { created_by: 'RUN', empty_layer: true }],
    });
    expect(answer.get('image.name')).toBe('a:1,b');
    expect(answer.get('containerimage.config.digest')).toMatch(/^sha256:/);
  });

  test('what is not supported is refused', async () => {
    const attributes = { 'prefer-nondist-layers': 'true' };
    await expect(exported('moby', image('base'), {}, { attributes })).rejects.toThrow('not supported');
  });
});

test('a directory is sent as it is', async () => {
  const sent: Record<string, string> = {};
  const sendFiles = async (_index: number, files: AsyncIterable<SentFile>): Promise<void> => {
    for await (const { stat, content } of files) {
      let text = `${stat.type} ${stat.linkName}`;
      for await (const chunk of content?.() ?? []) text += Buffer.from(chunk).toString();
      sent[stat.path] = text;
    }
  };
  await exported('local', copy(undefined, image('base'), '/d', '/out'), { sendFiles });
  expect(sent).toEqual({
    out: 'directory ',
    'out/f': 'file content',
    'out/h': 'file out/f',
    'out/l': 'symlink f',
  });
});

test('a tar is sent', async () => {
  const { sendFile, files } = archiveTaker();
  await exported('tar', image('base'), { sendFile });
  expect(Object.keys(await files())).toEqual(['d/', 'd/l', 'd/f', 'd/h']);
});

describe('an image in the form of registries', () => {
  test('a pushed one has a manifest with layers by gzip, and is kept under its digest too', async () => {
    const attributes = { name: 'reg.example/a:1', push: 'true' };
    const answer = await exported('image', image('base'), {}, { attributes });
    const pushed = host.pushed.get('reg.example/a:1');
    const manifest = parsed(pushed?.top);
    expect(manifest.mediaType).toBe('application/vnd.docker.distribution.manifest.v2+json');
    expect(manifest.layers).toMatchObject([
      { mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip' },
    ]);
    const digest = digestOf(pushed?.top.body ?? Buffer.alloc(0));
    expect([...host.stored.keys()]).toEqual(['reg.example/a:1', `reg.example/a@${digest}`]);
    const descriptor = JSON.parse(
      Buffer.from(answer.get('containerimage.descriptor') ?? '', 'base64').toString(),
    ) as object;
    expect(descriptor).toMatchObject({
      digest,
      mediaType: manifest.mediaType,
      platform: { architecture: 'amd64' },
    });
    expect(answer.get('containerimage.digest')).toBe(digest);
    expect(answer.get('containerimage.config.digest')).toBe(manifest.config.digest);
  });

  test('by digest it has no name', async () => {
    const attributes = { name: 'reg.example/a', push: 'true', 'push-by-digest': 'true' };
    const answer = await exported('image', image('base'), {}, { attributes });
    expect([...host.pushed.keys()]).toEqual([`reg.example/a@${answer.get('containerimage.digest')}`]);
    expect(host.stored.size).toBe(0);
  });

  test('several platforms make an index, with annotations of each kind', async () => {
    const attributes = {
      name: 'multi',
      'oci-mediatypes': 'true',
      'annotation.all': '1',
      'annotation[linux/arm64].arm': '2',
      'annotation-index.index': '3',
      'annotation-manifest-descriptor[linux/amd64].descriptor': '4',
    };
    const answer = await exported('moby', image('base'), {}, { ...twoPlatforms, attributes });
    const contents = host.stored.get('multi');
    const index = parsed(contents?.top);
    expect(index.mediaType).toBe('application/vnd.oci.image.index.v1+json');
    expect(index.annotations).toEqual({ index: '3' });
    expect(index.manifests).toMatchObject([
      { platform: { architecture: 'amd64', os: 'linux' }, annotations: { descriptor: '4' } },
      { platform: { architecture: 'arm64', os: 'linux' } },
    ]);
    expect(contents?.manifests.map((each) => parsed(each).annotations)).toEqual([
      { all: '1' },
      { all: '1', arm: '2' },
    ]);
    expect(answer.get('containerimage.digest')).toBe(digestOf(contents?.top.body ?? Buffer.alloc(0)));
    expect(answer.has('containerimage.config.digest')).toBe(false);
  });

  const stated = (inlineOnly: boolean): Map<string, Attestation[]> =>
    new Map([
      [
        'linux/amd64',
        [
          {
            predicateType: 'https://example.com/predicate',
            subjects: [],
            inlineOnly,
            path: 'stated.json',
            content: () => Promise.resolve(Buffer.from('{"a":1}')),
          },
        ],
      ],
    ]);

  test('what is stated of it lies beside it in an index', async () => {
    const attributes = { name: 'reg.example/a:1' };
    await exported('moby', image('base'), {}, { attributes, attestations: stated(false) });
    const contents = host.stored.get('reg.example/a:1');
    const [own, other] = parsed(contents?.top).manifests;
    expect(other).toMatchObject({
      platform: { architecture: 'unknown', os: 'unknown' },
      annotations: {
        'vnd.docker.reference.digest': own?.digest,
        'vnd.docker.reference.type': 'attestation-manifest',
      },
    });
    const [layer] = parsed(contents?.manifests[1]).layers;
    expect(layer).toMatchObject({
      mediaType: 'application/vnd.in-toto+json',
      annotations: { 'in-toto.io/predicate-type': 'https://example.com/predicate' },
    });
    const statement = contents?.blobs.find((blob) => digestOf(blob) === layer?.digest);
    expect(JSON.parse(statement?.toString() ?? '')).toEqual({
      _type: 'https://in-toto.io/Statement/v0.1',
      predicateType: 'https://example.com/predicate',
      subject: [
        {
          name: 'pkg:docker/reg.example/a@1?platform=linux%2Famd64',
          digest: { sha256: own?.digest.slice('sha256:'.length) },
        },
      ],
      predicate: { a: 1 },
    });
  });

  test('an attestation is told the layers of the image as the manifest has them', async () => {
    host.command = () => Promise.resolve({ changes: { '/': { x: 'x' } } });
    const seen: unknown[] = [];
    const stated = {
      ...{ predicateType: 't', subjects: [], inlineOnly: false, path: 'p' },
      content: (_signal: AbortSignal, layers?: ReadonlyMap<string, unknown>) => {
        seen.push(...(layers?.keys() ?? []));
        return Promise.resolve(Buffer.from('{}'));
      },
    };
    await exported(
      'image',
      run(image('base'), 'a'),
      {},
      { attributes: { name: 'r/a', push: 'true' }, attestations: new Map([['linux/amd64', [stated]]]) },
    );
    expect(seen).toHaveLength(2);
    expect(seen[0]).toBe(host.localImages.get('base')?.[0]);
  });

  test('what nobody asked for makes no index of a local image, but of a pushed one', async () => {
    const create = jest.spyOn(host.images, 'create');
    const attributes = { name: 'reg.example/a:1' };
    await exported('moby', image('base'), {}, { attributes, attestations: stated(true) });
    expect(create).toHaveBeenCalled();
    const pushed = { ...attributes, push: 'true' };
    await exported('moby', image('base'), {}, { attributes: pushed, attestations: stated(true) });
    expect(parsed(host.pushed.get('reg.example/a:1')?.top).manifests).toHaveLength(2);
  });

  test('it is written as a file beside files', async () => {
    const { sendFile, files } = archiveTaker();
    await exported('tar', image('base'), { sendFile }, { attestations: stated(false) });
    const statement = JSON.parse((await files())['stated.json'] ?? '') as { subject: unknown };
    const sha256 = digestOf(Buffer.from('content')).slice('sha256:'.length);
    expect(statement.subject).toEqual([
      { name: 'd/f', digest: { sha256 } },
      { name: 'd/h', digest: { sha256 } },
    ]);
  });

  test.each([
    [{ compression: 'estargz' }, 'estargz is not supported'],
    [{ compression: 'lzma' }, 'unsupported compression type lzma'],
    [{ 'compression-level': '9' }, 'compression-level'],
    [{ push: 'maybe' }, 'non-bool value specified for push'],
    [{ name: 'UPPER' }, 'failed to parse UPPER'],
    [{ push: 'true' }, 'a name is needed'],
    [{ 'registry.insecure': 'true' }, 'insecure-registries'],
    [{ 'annotation-index.a': '1' }, 'index annotations not supported for single platform export'],
    [{ 'annotation[linux/s390x].a': '1' }, 'no platform linux/s390x found in source'],
    [{ 'annotation-index.a': '1', 'oci-mediatypes': 'false' }, 'cannot export annotations'],
  ])('refused: %j', async (attributes: Record<string, string>, message) => {
    await expect(exported('image', image('base'), {}, { attributes })).rejects.toThrow(message);
  });

  test('an unknown option is said to have no effect', async () => {
    warnings.length = 0;
    await exported('image', image('base'), {}, { attributes: { 'never-heard-of': '1' } });
    expect(warnings).toEqual([expect.stringContaining('"never-heard-of" is not known')]);
  });

  test('nothing of it is later than SOURCE_DATE_EPOCH, but what the base image has', async () => {
    const create = jest.spyOn(host.images, 'create');
    const base = { history: [{ created: '2020-01-01T00:00:00Z', created_by: 'base' }] };
    const config = {
      created: '2024-01-01T00:00:00Z',
      history: [...base.history, { created: '2024-01-01T00:00:00Z', created_by: 'ENV', empty_layer: true }],
    };
    await exported(
      'moby',
      image('base'),
      {},
      {
        config,
        metadata: { 'containerimage.base.config': base },
        attributes: { 'source-date-epoch': '1000' },
      },
    );
    expect(JSON.parse(create.mock.lastCall?.[0].toString() ?? '')).toMatchObject({
      created: '1970-01-01T00:16:40Z',
      history: [{ created: '2020-01-01T00:00:00Z' }, { created: '1970-01-01T00:16:40Z' }],
    });
  });
});

describe('rewrite-timestamp', () => {
  /** Of the image that is created: its layers' files with their times. */
  async function madeTimes(attributes: Record<string, string>): Promise<Record<string, number>[]> {
    host.command = () =>
      Promise.resolve({ changes: { '/': { late: { content: 'x', mtime: 2000 }, early: { mtime: 500 } } } });
    const times: Record<string, number>[] = [];
    jest.spyOn(host.images, 'create').mockImplementation(async (bytes) => {
      const { rootfs } = JSON.parse(bytes.toString()) as { rootfs: { diff_ids: string[] } };
      for (const diffId of rootfs.diff_ids) {
        const entries = await readEntries(host.layers.openTar(diffId));
        times.push(Object.fromEntries(entries.map(({ entry }) => [entry.name, entry.mtime])));
      }
      return { id: '' };
    });
    const base = { rootfs: { type: 'layers', diff_ids: host.localImages.get('base') } };
    const metadata = { 'containerimage.base.config': base };
    await exported('moby', run(image('base'), 'make'), {}, { attributes, metadata });
    return times;
  }

  test('no file that the build has added is later; those of the base image stay', async () => {
    const wanted = { 'rewrite-timestamp': 'true', 'source-date-epoch': '800' };
    expect(await madeTimes(wanted)).toEqual([
      expect.objectContaining({ 'd/f': 1000 }),
      { late: 800, early: 500 },
    ]);
    expect(host.held).toEqual([]);
  });

  test('without SOURCE_DATE_EPOCH it is said to have no effect', async () => {
    warnings.length = 0;
    expect((await madeTimes({ 'rewrite-timestamp': 'true' }))[1]).toEqual({ late: 2000, early: 500 });
    expect(warnings).toEqual([expect.stringContaining('rewrite-timestamp has no effect')]);
  });
});

describe('archives', () => {
  test('docker: what docker load reads, and an OCI layout', async () => {
    const { sendFile, files } = archiveTaker();
    await exported('docker', image('base'), { sendFile }, { attributes: { name: 'a:1,b' } });
    const all = await files();
    const [item] = JSON.parse(all['manifest.json'] ?? '') as {
      Config: string;
      RepoTags: string[];
      Layers: string[];
    }[];
    expect(item?.RepoTags).toEqual(['a:1', 'b:latest']);
    expect(JSON.parse(all[item?.Config ?? ''] ?? '')).toMatchObject({ os: 'linux', architecture: 'amd64' });
    expect(all).toHaveProperty([item?.Layers[0] ?? '']);
    const { manifests } = JSON.parse(all['index.json'] ?? '') as Manifest;
    expect(manifests.map(({ annotations }) => annotations)).toMatchObject([
      { 'io.containerd.image.name': 'docker.io/library/a:1', 'org.opencontainers.image.ref.name': '1' },
      {
        'io.containerd.image.name': 'docker.io/library/b:latest',
        'org.opencontainers.image.ref.name': 'latest',
      },
    ]);
  });

  test('oci: with all platforms; docker refuses several', async () => {
    const { sendFile, files } = archiveTaker();
    await exported('oci', image('base'), { sendFile }, twoPlatforms);
    const all = await files();
    expect(all['manifest.json']).toBeUndefined();
    const [top] = (JSON.parse(all['index.json'] ?? '') as Manifest).manifests;
    const index = JSON.parse(all[`blobs/${top?.digest.replace(':', '/')}`] ?? '') as Manifest;
    expect(index.manifests).toHaveLength(2);
    await expect(exported('docker', image('base'), { sendFile }, twoPlatforms)).rejects.toThrow(
      'docker exporter does not currently support exporting manifest lists',
    );
  });

  test('oci with tar=false: blob by blob, what is named first', async () => {
    const written: string[] = [];
    const writeContent: SessionCaller['writeContent'] = (store, { digest }) => {
      written.push(`${store} ${digest}`);
      return Promise.resolve();
    };
    const answer = await exported('oci', image('base'), { writeContent }, { attributes: { tar: 'false' } });
    expect(written).toHaveLength(3);
    expect(written.at(-1)).toBe(`export ${answer.get('containerimage.digest')}`);
  });
});

test('files of several platforms lie in directories of their own, unless they may not', async () => {
  const sent: string[] = [];
  const sendFiles = async (_index: number, files: AsyncIterable<SentFile>): Promise<void> => {
    for await (const { stat } of files) sent.push(stat.path);
  };
  await exported('local', image('base'), { sendFiles }, twoPlatforms);
  expect(sent.filter((path) => !path.slice('linux_'.length).includes('d/'))).toEqual([
    'linux_amd64',
    'linux_amd64/d',
    'linux_arm64',
    'linux_arm64/d',
  ]);
  const attributes = { 'platform-split': 'false' };
  await expect(
    exported('local', image('base'), { sendFiles }, { ...twoPlatforms, attributes }),
  ).rejects.toThrow('cannot overwrite d/f from linux/amd64 with linux/arm64 when split option is disabled');
});

describe('caches', () => {
  const built = run(run(image('base'), 'a'), 'b');
  const commands: string[] = [];
  beforeEach(() => {
    commands.length = 0;
    host.command = ({ args }) => {
      commands.push(args.at(-1) ?? '');
      return Promise.resolve({ changes: { '/': { [`made-by-${args.at(-1) ?? ''}`]: 'x' } } });
    };
  });

  /** On another machine, which has the base image alone. */
  async function rebuilt(sources: CacheSource[], caller: Partial<SessionCaller> = {}): Promise<string[]> {
    const other = new FakeHost();
    try {
      other.addImage('base', {
        d: null,
        'd/f': 'content',
        'd/l': { type: '2', link: 'f' },
        'd/h': { type: '1', link: 'd/f' },
      });
      for (const [name, contents] of host.pushed) other.pushed.set(name, contents);
      Object.assign(other, { contents: { ...other.contents, fetchBlob: host.contents.fetchBlob } });
      other.command = host.command;
      commands.length = 0;
      const credentials = (): Promise<{ username: string; secret: string }> =>
        Promise.resolve({ username: '', secret: '' });
      const session = { ...new FakeSession('s').caller, credentials, ...caller };
      const sessions: Sessions = { find: () => session, get: () => Promise.resolve(session) };
      const made = await new FakeDaemon(other, sessions).layersOf(built, {
        cacheImports: sources,
        sessionIds: ['s'],
      });
      expect(made).toHaveLength(3);
      return [...commands];
    } finally {
      other.remove();
    }
  }
  const source = (type: string, attributes: Record<string, string>): CacheSource => ({
    type,
    attributes: new Map(Object.entries(attributes)),
  });

  test.each(['true', 'false'])('a registry (image-manifest=%s)', async (asManifest) => {
    const to = source('registry', { ref: 'reg.example/cache:1', 'image-manifest': asManifest });
    const answer = await exported('moby', built, {}, { cacheExports: [to] });
    expect(commands).toEqual(['a', 'b']);
    expect(answer.get('cache.manifest')).toContain('sha256:');
    expect(await rebuilt([source('registry', { ref: 'reg.example/cache:1' })])).toEqual([]);
  });

  test('the image itself', async () => {
    const attributes = { name: 'reg.example/image:1', push: 'true' };
    await exported('image', built, {}, { attributes, cacheExports: [source('inline', {})] });
    expect(await rebuilt([source('registry', { ref: 'reg.example/image:1' })])).toEqual([]);
  });

  test("a client's directory", async () => {
    const kept = new Map<string, Buffer>();
    const writeContent: SessionCaller['writeContent'] = async (store, { digest }, content) => {
      const chunks: Buffer[] = [];
      for await (const chunk of content as AsyncIterable<Buffer>) chunks.push(chunk);
      kept.set(`${store} ${digest}`, Buffer.concat(chunks));
    };
    const readContent: SessionCaller['readContent'] = (store, digest) =>
      Readable.from([kept.get(`${store} ${digest}`) ?? Buffer.alloc(0)], { objectMode: false });
    const to = source('local', { dest: '/cache', mode: 'max' });
    const answer = await exported('moby', built, { writeContent }, { cacheExports: [to] });
    const { digest } = JSON.parse(answer.get('cache.manifest') ?? '') as { digest: string };
    const from = source('local', { src: '/cache', digest });
    expect(await rebuilt([from], { readContent })).toEqual([]);
  });

  test('one that is not there is no reason to fail; one of no kind is', async () => {
    expect(await rebuilt([source('registry', { ref: 'reg.example/none' })])).toEqual(['a', 'b']);
    await expect(rebuilt([source('gha', {})])).rejects.toThrow('cache importer gha is not supported');
    await expect(rebuilt([source('floppy', {})])).rejects.toThrow('unknown cache importer: "floppy"');
  });

  test('an export that fails may be ignored', async () => {
    const broken = () => Promise.reject(new Error('no room'));
    const to = (more: Record<string, string>): Wish => ({
      cacheExports: [source('local', { dest: '/cache', ...more })],
    });
    await expect(exported('moby', built, { writeContent: broken }, to({}))).rejects.toThrow('no room');
    warnings.length = 0;
    await exported('moby', built, { writeContent: broken }, to({ 'ignore-error': 'true' }));
    expect(warnings).toEqual([expect.stringContaining('no room')]);
  });
});
