// `local` and `tar`: the result's files, sent to the client.

import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { applyArchive, readEntries } from '../../../builder/archive-tree';
import { readContents } from '../../../builder/file-contents';
import { displayName, FileTree, walk, type FileNode, type TreeNode } from '../../../builder/file-tree';
import { layerStream } from '../../../builder/layer-stream';
import { TreeChanges } from '../../../builder/tree-changes';
import { BuildError } from '../../contract/errors';
import type { Exporter, ExportRequest } from '../../contract/exporter';
import type { BuildHost } from '../../contract/host';
import type { FileStat, SentFile, SessionCaller } from '../../contract/session';
import type { BuildScope } from '../../contract/solver';
import { changesOf } from '../files/whole-tree';
import { tellingExport } from './export-progress';
import { onlyRefOf } from './image';

export type CallerOf = (scope: BuildScope, signal: AbortSignal) => Promise<readonly SessionCaller[]>;

export function fileExporters(host: BuildHost, callersOf: CallerOf): Exporter[] {
  return [
    {
      types: ['tar'],
      export: (request, signal) =>
        telling(request, 'sending tarball', async () => {
          const caller = await callerFor(request, callersOf, signal);
          const stream = await tarOf(request, host, signal);
          await pipeline(stream, caller.sendFile(request.index, new Map(), signal), { signal });
        }),
    },
    {
      types: ['local'],
      export: (request, signal) =>
        telling(request, 'copying files', async () => {
          const caller = await callerFor(request, callersOf, signal);
          await sendDirectory(request, host, caller, signal);
        }),
    },
  ];
}

function telling(
  { scope, cacheExports }: ExportRequest,
  name: string,
  work: () => Promise<void>,
): Promise<ReadonlyMap<string, string>> {
  if (cacheExports.length > 0) throw new BuildError('Unimplemented', 'cache export is not supported');
  return tellingExport(scope.progress, 'exporting to client', async (part) => {
    await part(name, work);
    return new Map();
  });
}

async function callerFor(
  { scope }: ExportRequest,
  callersOf: CallerOf,
  signal: AbortSignal,
): Promise<SessionCaller> {
  const [caller] = await callersOf(scope, signal);
  if (caller === undefined)
    throw new BuildError('FailedPrecondition', 'could not access local files without session');
  return caller;
}

async function tarOf({ result }: ExportRequest, host: BuildHost, signal: AbortSignal): Promise<Readable> {
  const tree = (await onlyRefOf(result)?.tree(signal)) ?? new FileTree();
  return Readable.from(layerStream(changesOf(tree), host.layers), { objectMode: false });
}

/**
 * By way of a plain tar of ours: the client asks for files in an order of its own, and layers, which are compressed, can only
 * be read from their beginnings.
 */
async function sendDirectory(
  request: ExportRequest,
  host: BuildHost,
  caller: SessionCaller,
  signal: AbortSignal,
): Promise<void> {
  const path = join(host.temporaryDir, `export-${randomBytes(8).toString('hex')}`);
  try {
    await pipeline(await tarOf(request, host, signal), createWriteStream(path, { mode: 0o600 }), { signal });
    const entries = await readEntries(createReadStream(path) as AsyncIterable<Buffer>); // a stream of bytes
    const tree = new FileTree();
    applyArchive(new TreeChanges(tree), '', entries, { kind: 'file', path });
    await caller.sendFiles(request.index, sentFiles(tree, host), signal);
  } finally {
    await rm(path, { force: true });
  }
}

// eslint-disable-next-line @typescript-eslint/require-await -- an AsyncIterable is asked for
async function* sentFiles(tree: FileTree, host: BuildHost): AsyncGenerator<SentFile> {
  const names = new Map<TreeNode, string>();
  for (const { path, node } of walk(tree.root)) {
    const first = node.kind === 'file' && node.type === '0' ? names.get(node) : undefined;
    names.set(node, path);
    const stat = statOf(path, node, first);
    const isContent = node.kind === 'file' && node.type === '0' && first === undefined;
    yield isContent ? { stat, content: () => contentOf(node, host) } : { stat };
  }
}

async function* contentOf(node: FileNode, host: BuildHost): AsyncGenerator<Uint8Array> {
  for await (const { chunk } of readContents(host.layers, [node])) yield chunk;
}

const types: Readonly<Record<string, FileStat['type']>> = {
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '6': 'fifo',
};

function statOf(path: string, node: TreeNode, hardLinkTo: string | undefined): FileStat {
  const { mode, uid, gid, mtime, xattrs } = node.attributes;
  const isFile = node.kind === 'file';
  const type = isFile ? (types[node.type] ?? 'file') : 'directory';
  return {
    path: displayName(path),
    type,
    mode,
    uid,
    gid,
    sizeBytes: type === 'file' && isFile ? node.size : 0,
    modifiedNs: BigInt(mtime) * 1_000_000_000n,
    linkName: displayName(hardLinkTo ?? (isFile ? node.link : '')),
    deviceMajor: isFile ? node.deviceMajor : 0,
    deviceMinor: isFile ? node.deviceMinor : 0,
    xattrs: new Map([...xattrs].map(([key, value]) => [key.replace(/^SCHILY\.xattr\./, ''), value])),
  };
}
