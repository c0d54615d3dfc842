import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { contentHandlers } from '../../../../src/buildkit/history/content-service';
import {
  BuildHistory,
  type EndedBuild,
  type HistoryEvent,
  type HistoryRequest,
} from '../../../../src/buildkit/history/history';
import { historyEvent, type StatusResponseInit } from '../../../../src/buildkit/messages/control';
import type { ServerCall } from '../../../../src/buildkit/wire/server';
import { FakeHost, never } from '../solver/fake-host';

let host: FakeHost;
let directory: string;
beforeEach(() => {
  host = new FakeHost();
  directory = mkdtempSync(join(tmpdir(), 'caisson-history-'));
});
afterEach(() => {
  host.remove();
  rmSync(directory, { recursive: true });
  jest.useRealTimers();
});

const open = (): BuildHistory => new BuildHistory(host.documents, directory);
const begun = (ref: string): Parameters<BuildHistory['begin']>[0] => ({
  ref,
  frontend: 'dockerfile.v0',
  options: new Map([['target', 'x']]),
  exporters: [{ type: 'moby', attributes: new Map([['name', 'y']]) }],
  counts: () => ({ total: 2, completed: 1, cached: 1, warnings: 0 }),
  soFar: () => [{ vertexes: [{ digest: 'v', name: 'runs' }] }],
});

function ended(more: Partial<EndedBuild> = {}, text = 'output'): EndedBuild {
  async function* told(): AsyncGenerator<StatusResponseInit> {
    yield await Promise.resolve({ logs: [{ vertex: 'v', stream: 1, msg: Buffer.from(text) }] });
    yield { vertexes: [{ digest: 'v', name: 'step' }] };
  }
  const counts = { total: 3, completed: 2, cached: 1, warnings: 0 };
  return { answer: new Map([['image.name', 'y']]), error: undefined, counts, told: told(), ...more };
}

async function build(history: BuildHistory, ref: string, more: Partial<EndedBuild> = {}): Promise<void> {
  history.begin(begun(ref));
  await history.complete(ref, ended(more, ref));
}

const all: HistoryRequest = { activeOnly: false, ref: '', onlyPresent: true, matches: () => true, limit: 0 };

async function listed(history: BuildHistory, more: Partial<HistoryRequest> = {}): Promise<HistoryEvent[]> {
  const events: HistoryEvent[] = [];
  for await (const event of history.listen({ ...all, ...more }, never)) events.push(event);
  return events;
}

test('a build is kept over restarts, with what it told', async () => {
  await build(open(), 'one');
  const history = open();
  expect(await listed(history)).toMatchObject([
    {
      type: historyEvent.complete,
      record: {
        Ref: 'one',
        Frontend: 'dockerfile.v0',
        FrontendAttrs: [['target', 'x']],
        ExporterResponse: [['image.name', 'y']],
        numTotalSteps: 3,
        numCompletedSteps: 2,
        numCachedSteps: 1,
      },
    },
  ]);
  const messages: StatusResponseInit[] = [];
  for await (const message of (await history.told('one')) ?? []) messages.push(message);
  expect(messages).toMatchObject([
    { logs: [{ vertex: 'v', msg: Buffer.from('one') }] },
    { vertexes: [{ digest: 'v', name: 'step' }] },
  ]);
  expect(await history.told('other')).toBeUndefined();
});

test('one that failed has its error, and its details as a blob', async () => {
  const history = open();
  const error = { code: 2, message: 'broken', details: [{ type_url: 't', value: Buffer.from('v') }] };
  await build(history, 'bad', { error });
  await build(history, 'good');
  const failed = await listed(history, { matches: (field) => field('status') === 'error' });
  expect(failed).toMatchObject([{ record: { Ref: 'bad', error: { code: 2, message: 'broken' } } }]);
  const { Info: info, Read: read, List: list } = contentHandlers([history.blobs]);
  if (info === undefined || read === undefined || list === undefined) throw new Error('not served');
  const digest = failed[0]?.record.externalError?.digest ?? '';
  const call = { signal: never } as ServerCall;
  const found = await info({ digest }, call);
  const parts: Buffer[] = [];
  await read({ digest, offset: 2, size: 6 }, call, (part) => {
    parts.push(Buffer.from(part.data ?? []));
    return Promise.resolve();
  });
  const all: string[] = [];
  await list({ filters: [] }, call, ({ info: some }) => {
    all.push(...[...(some ?? [])].map(({ digest: each }) => each ?? ''));
    return Promise.resolve();
  });
  expect(all).toContain(digest);
  expect(found.info?.size).toBeGreaterThan(8);
  expect(Buffer.concat(parts)).toHaveLength(6);
  await expect(info({ digest: '../../etc/passwd' }, call)).rejects.toThrow('not found');
});

test('running builds, and what happens', async () => {
  const history = open();
  await build(history, 'before');
  history.begin(begun('running'));
  expect((await listed(history, { activeOnly: true })).map(({ record }) => record.Ref)).toEqual(['running']);
  expect(await listed(history, { limit: 1 })).toMatchObject([{ record: { Ref: 'running' } }]);
  expect(history.list()[0]).toMatchObject({ ref: 'running', counts: { total: 2, completed: 1 } });
  const soFar: StatusResponseInit[] = [];
  for await (const message of (await history.told('running')) ?? []) soFar.push(message);
  expect(soFar).toMatchObject([{ vertexes: [{ name: 'runs' }] }]);
  const abort = new AbortController();
  const events = history.listen({ ...all, ref: 'running', onlyPresent: false }, abort.signal);
  const next = async (): Promise<unknown[]> => {
    const { value } = await events.next();
    return value === undefined ? [] : [value.type, value.record.Ref];
  };
  expect(await next()).toEqual([historyEvent.started, 'running']);
  await history.complete('running', ended());
  expect(await next()).toEqual([historyEvent.complete, 'running']);
  await history.update('running', { pinned: false, isDelete: true });
  expect(await next()).toEqual([historyEvent.deleted, 'running']);
  const last = events.next();
  abort.abort();
  expect((await last).done).toBe(true);
});

test('removed ones leave nothing', async () => {
  const history = open();
  await build(history, 'one');
  expect(readdirSync(directory)).toHaveLength(1);
  await history.update('one', { pinned: false, isDelete: true });
  expect(readdirSync(directory)).toEqual([]);
  expect(await listed(open())).toEqual([]);
  // one that is gone, or runs, is no failure: clients remove all that is listed
  await history.update('one', { pinned: false, isDelete: true });
  await expect(history.update('one', { pinned: true, isDelete: false })).rejects.toThrow('not found');
});

test('old ones go when there are many, but pinned ones', async () => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'], now: 0 });
  const history = open();
  for (let i = 0; i < 60; i += 1) await build(history, `old-${i}`);
  await history.update('old-3', { pinned: true, isDelete: false });
  expect(await listed(history)).toHaveLength(60);
  jest.setSystemTime(49 * 3_600_000);
  await build(history, 'new');
  const refs = (await listed(history)).map(({ record }) => record.Ref);
  expect(refs).toHaveLength(50);
  expect(refs).toContain('old-3');
  expect(refs).toContain('new');
  expect(refs).not.toContain('old-0');
  expect(readdirSync(directory)).toHaveLength(50);
});
