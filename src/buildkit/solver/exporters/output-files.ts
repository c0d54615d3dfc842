// A result's files as they are given to clients: those of each platform, in a directory of its own where there are several, and what is
// stated of them.

import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { applyArchive, readEntries } from '../../../builder/archive-tree';
import { readContents } from '../../../builder/file-contents';
import {
  displayName,
  FileTree,
  joinPath,
  newDirectory,
  toName,
  walk,
  type FileNode,
  type TreeNode,
} from '../../../builder/file-tree';
import { layerStream } from '../../../builder/layer-stream';
import { TreeChanges } from '../../../builder/tree-changes';
import { fileStatementOf } from '../../attestations/statement';
import { BuildError } from '../../contract/errors';
import type { BuildHost } from '../../contract/host';
import type { Attestation, Result } from '../../contract/solver';
import { changesOf } from '../files/whole-tree';
import { epochOf } from './assembly';
import { platformsOf, type PlatformResult } from '../../attestations/result-platforms';

export interface OutputWishes {
  /** A directory for each platform; undefined: where there are several. */
  readonly split: boolean | undefined;
  readonly attestationPrefix: string;
  /** Of all files; null: as they are, whatever the frontend says. */
  readonly epochSeconds: number | null | undefined;
}

export interface OutputFiles {
  tar(): Readable;
  /** With contents that can be read in any order. */
  tree(): Promise<FileTree>;
}

/** What `use` is given is good until it is settled. */
export async function withOutputFiles(
  host: BuildHost,
  result: Result,
  wishes: OutputWishes,
  signal: AbortSignal,
  use: (files: OutputFiles) => Promise<void>,
): Promise<void> {
  const directory = join(host.temporaryDir, `export-${randomBytes(8).toString('hex')}`);
  await mkdir(directory, { mode: 0o700 });
  try {
    const changes = await combined(host, result, wishes, directory, signal);
    const tar = (): Readable => Readable.from(layerStream(changes, host.layers), { objectMode: false });
    await use({ tar, tree: () => readable(tar(), join(directory, 'tar'), signal) });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function combined(
  host: BuildHost,
  result: Result,
  wishes: OutputWishes,
  directory: string,
  signal: AbortSignal,
): Promise<TreeChanges> {
  const isMap = result.refs.size > 0;
  const split = wishes.split ?? isMap;
  const changes = new TreeChanges(new FileTree());
  const owners = new Map<string, string>();
  for (const each of platformsOf(result)) {
    const own = (await each.ref?.tree(signal)) ?? new FileTree();
    const { epochSeconds = epochOf(result, each.id) } = wishes;
    const copies = changesOf(own).tree;
    for (const file of await statements(
      host,
      each,
      { wishes, directory, addPlatform: isMap && !split },
      signal,
    )) {
      if (copies.root.children.has(file.name))
        throw new BuildError('InvalidArgument', `duplicate attestation path name ${displayName(file.name)}`);
      copies.root.children.set(file.name, file.node);
    }
    const below = split ? toName(each.id.replaceAll('/', '_')) : '';
    if (below !== '') changes.setDirectory(below, newDirectory(dated(epochSeconds)).attributes);
    for (const { path, node } of walk(copies.root)) {
      const at = joinPath(below, path);
      if (typeof epochSeconds === 'number') node.attributes = { ...node.attributes, mtime: epochSeconds };
      if (node.kind === 'directory') {
        changes.setDirectory(at, node.attributes);
        continue;
      }
      const before = owners.get(at);
      if (before !== undefined)
        throw new BuildError(
          'InvalidArgument',
          `cannot overwrite ${displayName(at)} from ${before} with ${each.id} when split option is disabled`,
        );
      owners.set(at, each.id);
      changes.setFile(at, node);
    }
  }
  return changes;
}

function dated(epochSeconds: number | null | undefined): { mtime?: number } {
  return typeof epochSeconds === 'number' ? { mtime: epochSeconds } : {};
}

/** Of one platform's result, as files in its root. */
async function statements(
  host: BuildHost,
  { id, attestations, ref }: PlatformResult,
  { wishes, directory, addPlatform }: { wishes: OutputWishes; directory: string; addPlatform: boolean },
  signal: AbortSignal,
): Promise<{ name: string; node: FileNode }[]> {
  const wanted = attestations.filter(({ inlineOnly }) => !inlineOnly);
  if (wanted.length === 0) return [];
  const subjects = await digestsOf(host, (await ref?.tree(signal)) ?? new FileTree(), signal);
  const files: { name: string; node: FileNode }[] = [];
  for (const attestation of wanted) {
    const content = await fileStatementOf(attestation, subjects, signal);
    const path = join(directory, `statement-${randomBytes(8).toString('hex')}`);
    await writeFile(path, content, { mode: 0o600 });
    const name = fileNameOf(attestation, wishes.attestationPrefix, addPlatform ? id : undefined);
    if (files.some((other) => other.name === name))
      throw new BuildError('InvalidArgument', `duplicate attestation path name ${displayName(name)}`);
    files.push({ name, node: nodeOf(path, content.length) });
  }
  return files;
}

function fileNameOf({ path }: Attestation, prefix: string, platform: string | undefined): string {
  const name = `${prefix}${path.slice(path.lastIndexOf('/') + 1)}`;
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0'))
    throw new BuildError(
      'InvalidArgument',
      `invalid attestation path name ${JSON.stringify(name.slice(0, 100))}`,
    );
  if (platform === undefined) return toName(name);
  const dot = name.lastIndexOf('.');
  const [base, extension] = dot <= 0 ? [name, ''] : [name.slice(0, dot), name.slice(dot)];
  return toName(`${base}.${platform.replaceAll('/', '_')}${extension}`);
}

function nodeOf(path: string, size: number): FileNode {
  const { attributes } = newDirectory({ mode: 0o600 });
  const data = { archive: { kind: 'file' as const, path }, offset: 0, storedBytes: size, sparse: undefined };
  return { kind: 'file', type: '0', attributes, link: '', deviceMajor: 0, deviceMinor: 0, size, data };
}

/** Of regular files, by their names. */
async function digestsOf(
  host: BuildHost,
  tree: FileTree,
  signal: AbortSignal,
): Promise<{ name: string; digest: string }[]> {
  const regular = [...walk(tree.root)].filter(({ node }) => node.kind === 'file' && node.type === '0');
  const digests = new Map<TreeNode, string>();
  let hash = createHash('sha256');
  const nodes = new Set(regular.map(({ node }) => node as FileNode)); // filtered by kind
  for await (const { node, chunk, last } of readContents(host.layers, nodes)) {
    signal.throwIfAborted();
    hash.update(chunk);
    if (!last) continue;
    digests.set(node, `sha256:${hash.digest('hex')}`);
    hash = createHash('sha256');
  }
  const empty = `sha256:${createHash('sha256').digest('hex')}`;
  return regular.map(({ path, node }) => ({ name: displayName(path), digest: digests.get(node) ?? empty }));
}

/**
 * By way of a plain tar of ours: the client asks for files in an order of its own, and layers, which are compressed, can only
 * be read from their beginnings.
 */
async function readable(tar: Readable, path: string, signal: AbortSignal): Promise<FileTree> {
  await pipeline(tar, createWriteStream(path, { mode: 0o600 }), { signal });
  const entries = await readEntries(createReadStream(path) as AsyncIterable<Buffer>); // a stream of bytes
  const tree = new FileTree();
  applyArchive(new TreeChanges(tree), '', entries, { kind: 'file', path });
  return tree;
}
