import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

import type { BuildKit, BuildRequest, CachePruning } from '../../../../src/buildkit/buildkit';
import type { CacheRecord } from '../../../../src/buildkit/contract/cache-records';
import type { SessionCaller } from '../../../../src/buildkit/contract/session';
import { DockerBuilds } from '../../../../src/semantics/builds/docker-builds';

const never = new AbortController().signal;
const room = (): Promise<void> => Promise.resolve();
const record: CacheRecord = {
  ...{ id: 'r', parents: ['p', 'q'], type: 'regular', description: 'step', sizeBytes: 12, createdAtMs: 0 },
  ...{ lastUsedAtMs: undefined, usageCount: 3, inUse: false, mutable: false, shared: true },
};

/** Remembers what it was asked, and reads the context. */
class FakeBuildKit {
  readonly requests: BuildRequest[] = [];
  readonly prunings: CachePruning[] = [];
  readonly sessions = new Map<string, SessionCaller>();
  readonly contexts: string[] = [];
  readonly records = { list: () => Promise.resolve([record]) };

  async build(request: BuildRequest, tell: (status: Buffer) => Promise<void>): Promise<Map<string, string>> {
    this.requests.push(request);
    for (const id of request.otherSessionIds ?? []) {
      const session = this.sessions.get(id);
      expect(request.options.get('context')).toBe(`http://buildkit-session/${id}`);
      if (session !== undefined) this.contexts.push(await text(session.pullUpload(id, never)));
    }
    await tell(Buffer.from('status'));
    return new Map([['containerimage.config.digest', 'sha256:1']]);
  }
  serveOwn(session: SessionCaller): () => void {
    this.sessions.set(session.id, session);
    return () => void this.sessions.delete(session.id);
  }
  // eslint-disable-next-line @typescript-eslint/require-await -- an AsyncIterable is asked for
  async *prune(options: CachePruning): AsyncGenerator<CacheRecord, void, undefined> {
    this.prunings.push(options);
    yield record;
  }
}

const buildKit = new FakeBuildKit();
const builds = new DockerBuilds(buildKit as unknown as BuildKit);

async function build(query: string, body = ''): Promise<unknown[]> {
  const lines: unknown[] = [];
  const options = { query: new URLSearchParams(query), room };
  await builds.build(
    options,
    Readable.from([body], { objectMode: false }),
    (line) => lines.push(line),
    never,
  );
  return lines;
}

test('a build of the client’s session: its query as options of the frontend, progress as aux, the id last', async () => {
  const args = encodeURIComponent(JSON.stringify({ A: 'b', C: null }));
  const lines = await build(
    `version=2&buildid=id&session=s&remote=client-session&t=a:b&t=c&target=x&nocache=1&pull=1&buildargs=${args}` +
      '&dockerfile=D&networkmode=host&extrahosts=h:1.2.3.4&labels=%7B%22l%22%3A%22m%22%7D&cachefrom=%5B%22i%22%5D&platform=linux/amd64',
  );
  expect(lines).toEqual([
    { id: 'moby.buildkit.trace', aux: Buffer.from('status').toString('base64') },
    { id: 'moby.image.id', aux: { ID: 'sha256:1' } },
  ]);
  const { options, ...request } = buildKit.requests[0]!;
  expect(Object.fromEntries(options)).toEqual({
    ...{ filename: 'D', target: 'x', 'no-cache': '', 'image-resolve-mode': 'pull', platform: 'linux/amd64' },
    ...{ 'force-network-mode': 'host', 'add-hosts': 'h=1.2.3.4', 'build-arg:A': 'b', 'label:l': 'm' },
  });
  expect(request).toMatchObject({
    ...{ id: 'id', sessionId: 's', otherSessionIds: [], entitlements: new Set(['network.host']) },
    exporters: [
      { type: 'moby', attributes: new Map([['name', 'docker.io/library/a:b,docker.io/library/c:latest']]) },
    ],
    cacheImports: [{ type: 'registry', attributes: new Map([['ref', 'i']]) }],
  });
});

test('a context in the body is served as an upload, as is one that another request brings', async () => {
  await build('version=2', 'tar in the body');
  const upload = build('version=2&buildid=upload-request:u', 'tar beside it');
  await build('version=2&buildid=u&remote=upload-request');
  expect(await upload).toEqual([]);
  expect(buildKit.contexts).toEqual(['tar in the body', 'tar beside it']);
  expect(buildKit.sessions.size).toBe(0);
});

test('what only one builder can do is refused in dockerd’s words', async () => {
  await expect(build('version=2&networkmode=own')).rejects.toThrow(
    'network mode "own" not supported by buildkit',
  );
  const outputs = encodeURIComponent(JSON.stringify([{ Type: 'tar' }, { Type: 'local' }]));
  await expect(build(`version=2&outputs=${outputs}`)).rejects.toThrow('multiple outputs not supported');
});

test('the cache as Docker shows and prunes it', async () => {
  expect(await builds.cacheUsage(never)).toEqual([
    {
      ...{ ID: 'r', Parent: 'p', Type: 'regular', Description: 'step', InUse: false, Shared: true, Size: 12 },
      ...{ CreatedAt: '1970-01-01T00:00:00.000Z', LastUsedAt: null, UsageCount: 3 },
    },
  ]);
  const filters = new Map([
    ['id', ['ab']],
    ['until', ['2h']],
    ['type', ['regular']],
    ['private', []],
  ]);
  expect(await builds.prune({ all: true, filters, keepBytes: 5 }, never)).toEqual({
    CachesDeleted: ['r'],
    SpaceReclaimed: 12,
  });
  expect(buildKit.prunings).toEqual([
    { filter: ['id~="ab",type=="regular",private'], all: true, keepDurationMs: 7_200_000, keepBytes: 5 },
  ]);
});
