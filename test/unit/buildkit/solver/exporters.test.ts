import { Writable } from 'node:stream';

import type { SentFile, SessionCaller, Sessions } from '../../../../src/buildkit/contract/session';
import type { Ref, Result } from '../../../../src/buildkit/contract/solver';
import { exporters } from '../../../../src/buildkit/solver/exporters/exporters';
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

async function exported(
  type: string,
  graph: ReturnType<typeof image>,
  caller: Partial<SessionCaller> = {},
  more: { attributes?: Record<string, string>; config?: object; refs?: Map<string, Ref> } = {},
): Promise<ReadonlyMap<string, string>> {
  const session = new FakeSession('s').caller;
  const sessions: Sessions = {
    find: () => ({ ...session, ...caller }),
    get: () => Promise.resolve({ ...session, ...caller }),
  };
  const { build, progress } = new FakeDaemon(host, sessionsOf()).open();
  const metadata = new Map(
    more.config === undefined ? [] : [['containerimage.config', Buffer.from(JSON.stringify(more.config))]],
  );
  const result: Result = { ref: await refOf(build, graph), refs: more.refs ?? new Map(), metadata };
  const scope = {
    id: 'b',
    sessionIds: ['s'],
    progress,
    entitlements: new Set<never>(),
    cacheImports: [],
    signal: never,
  };
  const attributes = new Map(Object.entries(more.attributes ?? {}));
  const request = { type, attributes, index: 0, result, scope, cacheExports: [] };
  try {
    const exporter = exporters(host, sessions).find(({ types }) => types.includes(type));
    return (await exporter?.export(request, never)) ?? new Map();
  } finally {
    await build.close();
  }
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
    expect(config.history).toEqual([
      { created_by: 'base' },
      { created_by: 'ENV', empty_layer: true },
      { created_by: 'RUN', empty_layer: true },
      { created_by: 'COPY' },
    ]);
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
    const attributes = { 'rewrite-timestamp': 'true' };
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
  const chunks: Buffer[] = [];
  const sendFile = (): Writable =>
    new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        chunks.push(chunk);
        done();
      },
    });
  await exported('tar', image('base'), { sendFile });
  const entries = await readEntries(
    (async function* () {
      yield await Promise.resolve(Buffer.concat(chunks));
    })(),
  );
  expect(entries.map(({ entry }) => entry.name)).toEqual(['d/', 'd/l', 'd/f', 'd/h']);
});
