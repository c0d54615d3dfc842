// Directories of clients: names and attributes in memory, contents one after the other in a file of ours. Nothing of it is
// unpacked on the host, so a hostile name or link stays what it is: data. Contents that were there the last time are not asked for.

import { BuildError } from '../../contract/errors';
import { sourceAttributes } from '../../contract/llb';
import type { FilesRequest, SessionCaller, Sessions } from '../../contract/session';
import type { ResolvedSource, Snapshot, Source, SourceRequest } from '../../contract/source';
import type { LayerTrees } from '../files/layer-trees';
import { KeptListings } from './listings';
import { Reception, type ReceptionTools } from './reception';
import { TreeSnapshot } from './tree-snapshot';

const scheme = 'local';
const maxAttributeItems = 10_000;

export interface LocalTools extends ReceptionTools {
  readonly sessions: Sessions;
  readonly trees: LayerTrees;
}

export function localSource(tools: LocalTools): Source {
  const listings = new KeptListings();
  const resolve = (request: SourceRequest): Promise<ResolvedSource> => {
    const wanted = filesRequest(request);
    return Promise.resolve({
      cacheKey: undefined,
      metadata: { source: request.op },
      fetch: (signal) => fetchFiles(request, wanted, tools, listings, signal),
    });
  };
  const capabilities = [
    'source.local',
    'source.local.sessionid',
    'source.local.unique',
    'source.local.includepatterns',
    'source.local.followpaths',
    'source.local.excludepatterns',
    'source.local.sharedkeyhint',
    'source.local.differ',
  ];
  return { schemes: [scheme], capabilities, resolve };
}

function filesRequest({ op }: SourceRequest): FilesRequest {
  const name = op.identifier.slice(scheme.length + '://'.length);
  if (name === '') throw new BuildError('InvalidArgument', 'local source without a name');
  return {
    name,
    include: listOf(op.attrs.get(sourceAttributes.includePatterns)),
    exclude: listOf(op.attrs.get(sourceAttributes.excludePatterns)),
    follow: listOf(op.attrs.get(sourceAttributes.followPaths)),
  };
}

function listOf(text: string | undefined): string[] {
  if (text === undefined || text === '') return [];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new BuildError('InvalidArgument', 'an attribute of a local source is no list', { cause: error });
  }
  const isList =
    Array.isArray(value) &&
    value.length <= maxAttributeItems &&
    value.every((item) => typeof item === 'string');
  if (value === null) return [];
  if (!isList) throw new BuildError('InvalidArgument', 'an attribute of a local source is no list of texts');
  return value as string[]; // every one was looked at
}

async function fetchFiles(
  { op, vertex, scope }: SourceRequest,
  wanted: FilesRequest,
  tools: LocalTools,
  listings: KeptListings,
  signal: AbortSignal,
): Promise<Snapshot> {
  const caller = await callerOf(op.attrs.get(sourceAttributes.localSession), scope.sessionIds, tools, signal);
  const hint = op.attrs.get(sourceAttributes.sharedKeyHint) ?? '';
  // without a key of its own, a session's files are compared with nobody else's
  const owner = caller.sharedKey === '' ? caller.id : caller.sharedKey;
  const key = JSON.stringify([owner, hint, wanted]);
  const before = listings.take(key);
  const id = `transferring ${wanted.name}:`;
  const startedMs = Date.now();
  let received = 0;
  const count = (bytes: number, more: { completedMs?: number } = {}): void => {
    received += bytes;
    scope.progress.counter({ vertex, id, current: received, total: 0, startedMs, ...more });
  };
  const reception = new Reception(tools, before, (bytes) => count(bytes));
  try {
    await caller.receiveFiles(wanted, reception, signal);
    const listing = await reception.finish();
    count(0, { completedMs: Date.now() });
    listings.keep(key, listing);
    return new TreeSnapshot(listing.tree, tools.trees, () => listing.release());
  } catch (error) {
    await reception.giveUp();
    throw error;
  } finally {
    before?.release();
  }
}

async function callerOf(
  named: string | undefined,
  others: readonly string[],
  { sessions }: LocalTools,
  signal: AbortSignal,
): Promise<SessionCaller> {
  const ids = named === undefined || named === '' ? others : [named];
  const there = ids.flatMap((id) => sessions.find(id) ?? []);
  const serving = there.find((caller) => caller.supports('/moby.filesync.v1.FileSync/DiffCopy'));
  if (serving !== undefined) return serving;
  const [first] = ids;
  if (first === undefined)
    throw new BuildError('FailedPrecondition', 'could not access local files without session');
  return sessions.get(first, signal);
}
