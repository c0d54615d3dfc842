// `local` and `tar`: the result's files, sent to the client.

import { pipeline } from 'node:stream/promises';
import { readContents } from '../../../builder/file-contents';
import { displayName, walk, type FileNode, type FileTree, type TreeNode } from '../../../builder/file-tree';
import { BuildError } from '../../contract/errors';
import type { Exporter, ExportRequest } from '../../contract/exporter';
import type { BuildHost } from '../../contract/host';
import type { FileStat, SentFile, SessionCaller } from '../../contract/session';
import type { BuildScope } from '../../contract/solver';
import { epochIn, ExportAttributes } from '../delivery/attributes';
import { tellingExport } from '../delivery/export-progress';
import { withOutputFiles, type OutputFiles, type OutputWishes } from './output-files';

export type CallerOf = (scope: BuildScope, signal: AbortSignal) => Promise<readonly SessionCaller[]>;

export function fileExporters(host: BuildHost, callersOf: CallerOf): Exporter[] {
  const exporter = (
    type: 'tar' | 'local',
    send: (request: ExportRequest, files: OutputFiles, signal: AbortSignal) => Promise<void>,
  ): Exporter => ({
    types: [type],
    export: (request, signal) => {
      const wishes = wishesOf(request);
      const name = `exporting to client ${type === 'tar' ? 'tarball' : 'directory'}`;
      return tellingExport(request.scope.progress, name, async (part) => {
        await part(type === 'tar' ? 'sending tarball' : 'copying files', () =>
          withOutputFiles(host, request.result, wishes, signal, (files) => send(request, files, signal)),
        );
        return new Map();
      });
    },
  });
  return [
    exporter('tar', async (request, files, signal) => {
      const caller = await callerFor(request, callersOf, signal);
      await pipeline(files.tar(), caller.sendFile(request.index, new Map(), signal), { signal });
    }),
    exporter('local', async (request, files, signal) => {
      const caller = await callerFor(request, callersOf, signal);
      await caller.sendFiles(request.index, sentFiles(await files.tree(), host), signal);
    }),
  ];
}

function wishesOf(request: ExportRequest): OutputWishes {
  const given = new ExportAttributes(request.attributes);
  for (const ofClient of ['dest', 'context']) given.text(ofClient);
  const mode = given.text('mode') ?? 'copy';
  if (mode !== 'copy')
    throw new BuildError(
      'Unimplemented',
      `exporter option mode=${mode.slice(0, 64)}: files are copied; remove what is there before`,
    );
  const wishes = {
    split: given.flag('platform-split'),
    attestationPrefix: given.text('attestation-prefix') ?? '',
    epochSeconds: epochIn(given.text('source-date-epoch'), 'source-date-epoch'),
  };
  given.warnOfOthers(request);
  return wishes;
}

export async function callerFor(
  { scope }: ExportRequest,
  callersOf: CallerOf,
  signal: AbortSignal,
): Promise<SessionCaller> {
  const [caller] = await callersOf(scope, signal);
  if (caller === undefined)
    throw new BuildError('FailedPrecondition', 'could not access local files without session');
  return caller;
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
