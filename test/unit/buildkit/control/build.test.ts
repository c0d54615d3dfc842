// A client that plays the calls of buildx, in their order and out of it, against a solver that runs nothing.

import { Control, type StatusResponse } from '../../../../src/buildkit/messages/control';
import { LLBBridge } from '../../../../src/buildkit/messages/gateway';
import { Health, Status } from '../../../../src/buildkit/messages/google';
import { ByteMessages } from '../../../../src/buildkit/session/byte-messages';
import { ClientSessions } from '../../../../src/buildkit/session/sessions';
import { GrpcClient } from '../../../../src/buildkit/wire/client';
import { GrpcError } from '../../../../src/buildkit/wire/status';
import { FakeClient, fakeFile } from '../../../support/buildkit/fake-client';
import { chainOf, fakeBuildKit, FakeSolver } from '../../../support/buildkit/fake-solver';
import { SocketPairs } from '../../../support/buildkit/socket-pair';

const pairs = new SocketPairs();
const sessions = new ClientSessions();
const solver = new FakeSolver(sessions);
const buildkit = fakeBuildKit(sessions, solver, {
  worker: { id: 'worker', labels: new Map([['a', 'b']]), version: 'v1', dockerfileVersion: '1.2' },
  granted: new Set(['network.host']),
});
const control = Control.methods;
const bridge = LLBBridge.methods;

let client: GrpcClient;
beforeAll(async () => {
  client = await connect();
});
afterAll(async () => {
  buildkit.close();
  await pairs.close();
});

async function connect(): Promise<GrpcClient> {
  const [ours, theirs] = await pairs.pair();
  buildkit.serve(ours);
  return new GrpcClient(theirs);
}

async function openSession(id: string, files: FakeClient): Promise<void> {
  const [ours, theirs] = await pairs.pair();
  files.serve(theirs);
  buildkit.openSession((name) => (name === 'x-docker-expose-session-uuid' ? [id] : []), ours);
}

function contextOf(...names: string[]): FakeClient {
  const files = new FakeClient();
  files.directories.set(
    'context',
    names.map((name) => fakeFile(name, name)),
  );
  return files;
}

const of = (id: string): { metadata: Record<string, string> } => ({
  metadata: { 'buildkit-controlapi-buildid': id },
});

/** Everything that Status says. */
async function statusOf(id: string): Promise<StatusResponse[]> {
  const stream = client.open(control.Status);
  await stream.send({ Ref: id });
  const all: StatusResponse[] = [];
  for (let next = await stream.receive(); next !== undefined; next = await stream.receive()) all.push(next);
  return all;
}

const vertexNames = (all: StatusResponse[]): string[] => [
  ...new Set(all.flatMap(({ vertexes }) => vertexes.map(({ name }) => name))),
];

/** The error that a call ended with, and the details it has. */
async function failureOf(call: Promise<unknown>): Promise<{ error: GrpcError; status: Status }> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof GrpcError)) throw error;
    return { error, status: Status.decode(error.details ?? Buffer.alloc(0)) };
  }
  throw new Error('the call did not fail');
}

/** The client's frontend: asks ours, and hands its answer back. */
async function playFrontend(id: string): Promise<void> {
  await client.unary(bridge.Ping, {}, of(id));
  const request = { Frontend: 'dockerfile.v0', allowResultReturn: true };
  const { result } = await client.unary(bridge.Solve, request, of(id));
  await client.unary(bridge.Return, { result }, of(id));
}

describe('a build whose client plays the frontend', () => {
  test('from the first question to the image', async () => {
    expect(await client.unary(control.ListWorkers, {})).toMatchObject({
      record: [{ ID: 'worker', Labels: new Map([['a', 'b']]), platforms: [{ OS: 'linux' }] }],
    });
    // asks only what can be done
    const probe = client.unary(control.Solve, { Ref: 'probe', Internal: true });
    const { LLBCaps, FrontendAPICaps } = await client.unary(bridge.Ping, {}, of('probe'));
    expect(LLBCaps.map(({ ID }) => ID)).toContain('source.local');
    expect(FrontendAPICaps.map(({ ID }) => ID)).toContain('readfile');
    await client.unary(bridge.Return, { result: {} }, of('probe'));
    expect((await probe).ExporterResponse).toEqual(new Map());

    // status, bridge and session before the build or after it
    const status = statusOf('build');
    const frontend = playFrontend('build');
    const solve = client.unary(control.Solve, {
      Ref: 'build',
      Session: 'build-session',
      Exporters: [{ Type: 'moby', Attrs: [['name', 'a:b']] }],
    });
    await frontend;
    await openSession('build-session', contextOf('one', 'two'));
    expect((await solve).ExporterResponse).toEqual(
      new Map([
        ['containerimage.digest', 'sha256:1234'],
        ['image.name', 'a:b'],
      ]),
    );
    const all = await status;
    expect(vertexNames(all)).toEqual(['local://context', 'exporting to image']);
    const counters = all.flatMap(({ statuses }) => statuses);
    expect(counters.at(-1)).toMatchObject({ ID: 'transferring context:', current: 6 });
    // whoever comes too late has it all
    expect(vertexNames(await statusOf('build'))).toEqual(vertexNames(all));
    expect(solver.running.size).toBe(0);
  });

  test('a build that may not be keeps none of its calls waiting', async () => {
    const waiting = failureOf(client.unary(bridge.Ping, {}, of('refused')));
    const exports = [{ Type: 'no-such-cache', Attrs: [] }];
    const refused = await failureOf(
      client.unary(control.Solve, { Ref: 'refused', Cache: { Exports: exports } }),
    );
    expect((await waiting).error.message).toBe(refused.error.message);
    const late = await failureOf(client.unary(bridge.Ping, {}, of('refused')));
    expect(late.error.message).toBe(refused.error.message);
  });

  test('no step runs before the result is given back, or its files are read', async () => {
    const solve = client.unary(control.Solve, { Ref: 'lazy', Session: 'lazy-session' });
    const request = { Frontend: 'dockerfile.v0', allowResultReturn: true };
    const { result } = await client.unary(bridge.Solve, request, of('lazy'));
    expect(result?.metadata.get('containerimage.config')?.toString()).toBe('{"a":1}');
    const ref = result?.result?.kind === 'ref' ? result.result.value : undefined;
    expect(ref?.def?.def).toEqual(chainOf('local://context').def);
    const files = contextOf('x');
    await openSession('lazy-session', files);
    expect(files.calls).toHaveLength(0);
    const read = { Ref: ref?.id ?? '', FilePath: '/file' };
    expect((await client.unary(bridge.ReadFile, read, of('lazy'))).Data).toHaveLength(0);
    expect(files.calls).toHaveLength(1);
    const { stat } = await client.unary(bridge.StatFile, { Ref: read.Ref, Path: 'file' }, of('lazy'));
    expect(stat).toMatchObject({ path: 'file', mode: 0o640, uid: 1, gid: 2, modTime: 3_000_000_000n });
    const { entries } = await client.unary(bridge.ReadDir, { Ref: read.Ref, DirPath: '/' }, of('lazy'));
    expect(entries.map(({ path }) => path)).toEqual(['file']);
    const missing = client.unary(bridge.ReadFile, { ...read, FilePath: 'nope' }, of('lazy'));
    await expect(missing).rejects.toMatchObject({ code: 2, message: 'open nope: no such file or directory' });
    const other = client.unary(bridge.ReadFile, { ...read, Ref: 'probe-1' }, of('lazy'));
    await expect(other).rejects.toMatchObject({ code: 2 });
    await client.unary(bridge.Return, { result }, of('lazy'));
    await solve;
    expect(files.calls).toHaveLength(1);
  });

  test('a step that fails names its line, and Solve fails as the step did', async () => {
    const status = statusOf('failing');
    const solve = failureOf(client.unary(control.Solve, { Ref: 'failing' }));
    const request = { Definition: chainOf('fail://boom'), allowResultReturn: true };
    const { result } = await client.unary(bridge.Solve, request, of('failing'));
    await client.unary(bridge.Return, { result }, of('failing'));
    const { error, status: told } = await solve;
    expect(error).toMatchObject({ code: 2, message: 'boom' });
    expect(told.details.map(({ type_url: url }) => url)).toEqual([
      'github.com/moby/buildkit/errdefs.Vertex+json',
      'github.com/moby/buildkit/errdefs.Source+json',
    ]);
    expect(JSON.parse(String(told.details[1]?.value))).toEqual({
      info: { filename: 'Dockerfile', data: Buffer.from('FROM x\n').toString('base64') },
      ranges: [{ start: { line: 1, character: 0 }, end: { line: 1, character: 0 } }],
    });
    expect((await status).flatMap(({ vertexes }) => vertexes).at(-1)?.error).toBe('boom');
  });

  test('a graph that is run at once fails in the bridge, and the client tells it on', async () => {
    const solve = failureOf(client.unary(control.Solve, { Ref: 'eager' }));
    const request = { Definition: chainOf('fail://boom'), Evaluate: true };
    const { error, status } = await failureOf(client.unary(bridge.Solve, request, of('eager')));
    expect(error.message).toBe('boom');
    await client.unary(bridge.Return, { error: status }, of('eager'));
    expect((await solve).status).toEqual(status);
  });

  test('what the client says went wrong is what Solve says, with its details', async () => {
    const solve = failureOf(client.unary(control.Solve, { Ref: 'refused' }));
    const details = [{ type_url: 'x+json', value: Buffer.from('{}') }];
    await client.unary(bridge.Return, { error: { code: 3, message: 'bad syntax', details } }, of('refused'));
    const { error, status } = await solve;
    expect(error).toMatchObject({ code: 3, message: 'bad syntax' });
    expect(status.details).toEqual(details);
  });

  test('an unknown frontend', async () => {
    const solve = client.unary(control.Solve, { Ref: 'unknown' });
    const asked = client.unary(bridge.Solve, { Frontend: 'other.v0' }, of('unknown'));
    await expect(asked).rejects.toMatchObject({ code: 2, message: 'invalid frontend: other.v0' });
    await client.unary(bridge.Return, {}, of('unknown'));
    await solve;
  });
});

describe('a build whose client has no frontend', () => {
  test('a graph', async () => {
    await openSession('graph-session', contextOf('a'));
    const answer = await client.unary(control.Solve, {
      Ref: 'graph',
      Session: 'graph-session',
      Definition: chainOf('local://context', 'other://x'),
      ExporterDeprecated: 'moby',
      ExporterAttrsDeprecated: [['name', 'old']],
    });
    expect(answer.ExporterResponse.get('image.name')).toBe('old');
    const names = ['local://context', 'other://x', 'exporting to image'];
    expect(vertexNames(await statusOf('graph'))).toEqual(names);
  });

  test('our frontend', async () => {
    const FrontendAttrs = [['chain', 'some://thing']] as const;
    await client.unary(control.Solve, { Ref: 'ours', Frontend: 'dockerfile.v0', FrontendAttrs });
    expect(vertexNames(await statusOf('ours'))).toEqual(['some://thing']);
  });

  test('a cache in an image needs an image', async () => {
    const Cache = { Exports: [{ Type: 'inline' }] };
    await client.unary(control.Solve, { Ref: 'inline', Definition: chainOf('some://thing'), Cache });
    const warnings = (await statusOf('inline')).flatMap((status) => status.warnings);
    expect(warnings.map(({ short }) => short.toString())).toEqual([
      'cache export type "inline" has no effect: the build makes no image',
    ]);
  });

  test.each([
    ['no ref', { Ref: '' }, 3, 'invalid build ref'],
    ['a graph that is none', { Ref: 'x', Definition: { def: [Buffer.from('x')] } }, 3, 'failed to parse llb'],
    [
      'an unknown output',
      { Ref: 'x', Definition: { def: [] }, Exporters: [{ Type: 'floppy' }] },
      2,
      'floppy',
    ],
    ['what may not be', { Ref: 'x', Entitlements: ['security.insecure'] }, 7, 'not allowed'],
    ['what nobody knows', { Ref: 'x', Entitlements: ['sudo'] }, 3, 'unknown entitlement'],
    [
      'a cache of others',
      { Ref: 'x', Cache: { Exports: [{ Type: 's3' }] } },
      12,
      'exporter s3 is not supported',
    ],
    ['an oath', { Ref: 'x', FrontendAttrs: [['attest:oath', '']] as const }, 3, 'unknown attestation'],
    ['a policy of the client’s own', { Ref: 'x', SourcePolicySession: 's' }, 12, 'not supported'],
  ])('refuses %s', async (_what, request, code, text) => {
    const { error } = await failureOf(client.unary(control.Solve, request));
    expect(error.code).toBe(code);
    expect(error.message).toContain(text);
    expect(solver.running.size).toBe(0);
  });
});

describe('an end before its time', () => {
  const Definition = chainOf('hang://');

  /** Until its step runs; what is left of its status. */
  async function begun(id: string): Promise<() => Promise<void>> {
    const stream = client.open(control.Status);
    await stream.send({ Ref: id });
    expect((await stream.receive())?.vertexes[0]?.name).toBe('hang://');
    return async () => {
      while ((await stream.receive()) !== undefined);
    };
  }

  test('the client gives up', async () => {
    const abort = new AbortController();
    const solve = client.unary(control.Solve, { Ref: 'cancelled', Definition }, { signal: abort.signal });
    const ended = await begun('cancelled');
    abort.abort(new Error('^C'));
    await expect(solve).rejects.toThrow('^C');
    await ended();
    expect(solver.running.size).toBe(0);
  });

  test('the client is gone', async () => {
    const other = await connect();
    const solve = failureOf(other.unary(control.Solve, { Ref: 'gone', Definition }));
    const ended = await begun('gone');
    other.destroy();
    expect((await solve).error.code).toBe(14);
    await ended();
    expect(solver.running.size).toBe(0);
  });

  test('somebody cancels it', async () => {
    const solve = failureOf(client.unary(control.Solve, { Ref: 'stopped', Definition }));
    const ended = await begun('stopped');
    const again = client.unary(control.Solve, { Ref: 'stopped', Definition });
    await expect(again).rejects.toMatchObject({ message: 'job ID exists: stopped' });
    buildkit.cancel('stopped');
    expect((await solve).error).toMatchObject({ code: 1, message: 'context canceled' });
    await ended();
  });
});

test('a session inside of the connection', async () => {
  const stream = client.open(control.Session, {
    metadata: { 'x-docker-expose-session-uuid': 'inside', 'x-docker-expose-session-name': 'buildctl' },
  });
  contextOf('inner').serve(new ByteMessages(stream));
  await client.unary(control.Solve, {
    Ref: 'tunnel',
    Session: 'inside',
    Definition: chainOf('local://context'),
  });
  const counters = (await statusOf('tunnel')).flatMap(({ statuses }) => statuses);
  expect(counters.at(-1)?.current).toBe(5);
  stream.cancel();
});

test('what a step writes comes in few messages, cut where it is too much', async () => {
  await client.unary(control.Solve, { Ref: 'wordy', Definition: chainOf('log://3000') });
  const logs = (await statusOf('wordy')).flatMap(({ logs: parts }) => parts);
  expect(logs.length).toBeLessThan(10);
  const text = Buffer.concat(logs.map(({ msg }) => msg)).toString();
  const notice = '\n[output clipped, log limit 2MiB reached]\n';
  expect(text.length).toBe(2 * 1024 * 1024 + notice.length);
  expect(text.endsWith(notice)).toBe(true);
});

describe('the cache', () => {
  const record = {
    id: 'one',
    parents: ['zero'],
    type: 'regular',
    description: 'a, "b"',
    sizeBytes: 4096,
    createdAtMs: 1_700_000_000_500,
    lastUsedAtMs: undefined,
    usageCount: 3,
    inUse: false,
    mutable: false,
    shared: true,
  } as const;
  const other = { ...record, id: 'two', type: 'exec.cachemount', shared: false, mutable: true } as const;

  test.each<[string[], number]>([
    [[], 2],
    [['type==regular'], 1],
    [['type!=regular'], 1],
    [['type==regular', 'id==two'], 2],
    [['type==regular,id==two'], 0],
    [['shared'], 1],
    [['private,mutable'], 1],
    [['id~=^t'], 1],
    [['description=="a, \\"b\\""'], 2],
    [['nothing'], 0],
  ])('%j', async (filter, count) => {
    solver.cache.splice(0, Infinity, record, other);
    const { record: found } = await client.unary(control.DiskUsage, { filter });
    expect(found).toHaveLength(count);
    const pruned = client.open(control.Prune);
    await pruned.send({ filter });
    const ids: string[] = [];
    for (let next = await pruned.receive(); next !== undefined; next = await pruned.receive())
      ids.push(next.ID);
    expect(ids).toEqual(found.map(({ ID }) => ID));
  });

  test('is shown as it is', async () => {
    solver.cache.splice(0, Infinity, record);
    const { record: shown } = await client.unary(control.DiskUsage, {});
    expect(shown).toEqual([
      expect.objectContaining({
        ID: 'one',
        Size: 4096,
        CreatedAt: { seconds: 1_700_000_000, nanos: 500_000_000 },
        LastUsedAt: undefined,
        RecordType: 'regular',
        Parents: ['zero'],
        Shared: true,
      }),
    ]);
  });

  test.each(['type=regular', '==x', 'id~=(a+', 'a b', 'x'.repeat(5000)])('refuses %s', async (filter) => {
    const asked = client.unary(control.DiskUsage, { filter: [filter] });
    await expect(asked).rejects.toThrow('failed to parse diskusage filters');
  });

  test('refuses an operator that buildx makes of `description~=x`, in the words of containerd', async () => {
    const asked = client.unary(control.DiskUsage, { filter: ['description~==x'] });
    await expect(asked).rejects.toThrow(
      'failed to parse diskusage filters [description~==x]: filters: parse error: [description >|~|< ==x]: unsupported operator "~==": invalid argument',
    );
  });
});

test('it is well, and has no history', async () => {
  expect(await client.unary(Health.methods.Check, {})).toEqual({ status: 1 });
  expect((await client.unary(control.Info, {})).buildkitVersion?.version).toBe('v1');
  const history = client.open(control.ListenBuildHistory);
  await history.send({ EarlyExit: true });
  expect(await history.receive()).toBeUndefined();
  await client.unary(control.UpdateBuildHistory, { Ref: 'build', Finalize: true });
  const removed = client.unary(control.UpdateBuildHistory, { Ref: 'build', Delete: true });
  await expect(removed).rejects.toMatchObject({ code: 2 });
});
