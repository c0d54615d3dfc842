// COPY and ADD as a step: what is copied, whether the cache has it, and the layer it becomes.

import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { join, posix } from 'node:path';
import { Readable, Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { DaemonError, errorMessage, isDaemonError } from '../errors';
import { createDecompressor, gzipFailure, peekCompression, toolFailure } from '../storage/layers/compression';
import { SpaceGuard } from '../storage/layers/space-guard';
import { checksumIsRight, isZeroBlock, tarBlock, TarError } from '../storage/tar/tar-header';
import { TarParser } from '../storage/tar/tar-parser';
import { unpackingError, type ArchivedEntry } from './archive-tree';
import type { BuildHost } from './host';
import type { BuildOutput } from './output';
import { copyItem } from './copy';
import { findItems, type CopyItem, type CopySource } from './copy-source';
import { download, isUrl } from './download';
import { readContents, type LayerReader } from './file-contents';
import { newDirectory, toName, type Archive, type FileNode, type FileTree } from './file-tree';
import type { CopyCommand } from '../dockerfile/instructions';
import { layerStream } from './layer-stream';
import { headerOfNode, startSum } from './tar-sum';
import { TreeChanges } from './tree-changes';
import { parseChown } from './user-lookup';

export interface CopyTools {
  host: BuildHost;
  output: BuildOutput;
  /** Of this build; emptied at its end. */
  workDir: string;
  signal: AbortSignal;
}

const unnamedFile = '__unnamed__';

/** The files that the instruction names, with their checksums. Throws `COPY failed: …`. */
export async function itemsToCopy(
  command: CopyCommand,
  source: CopySource,
  tools: CopyTools,
): Promise<CopyItem[]> {
  const name = command.kind.toUpperCase();
  const items: CopyItem[] = [];
  try {
    for (const given of command.sources) {
      if (!isUrl(given)) items.push(...(await findItems(source, given)));
      else if (command.kind === 'add') items.push(await downloadItem(given, command.destination, tools));
      else throw new DaemonError('InvalidParameter', "source can't be a URL for COPY");
    }
    if (items.length === 0) throw new DaemonError('InvalidParameter', 'no source files were specified');
  } catch (error) {
    tools.signal.throwIfAborted();
    const code = isDaemonError(error) ? error.code : 'Internal';
    throw new DaemonError(code, `${name} failed: ${errorMessage(error)}`, { cause: error });
  }
  if (items.length > 1 && !command.destination.endsWith('/')) {
    throw new DaemonError(
      'InvalidParameter',
      `When using ${name} with more than one source file, the destination must be a directory and end with a /`,
    );
  }
  return items;
}

/** Copies into the stage's tree and stores the layer; its diff ID. */
export async function copyToLayer(
  command: CopyCommand,
  items: readonly CopyItem[],
  stage: { tree: FileTree; workingDir: string | undefined },
  tools: CopyTools,
): Promise<string | undefined> {
  const { host, signal } = tools;
  const changes = new TreeChanges(stage.tree);
  const root = { uid: 0, gid: 0 };
  const given = command.chown === '' ? undefined : await parseChown(command.chown, stage.tree, host.layers);
  const destination = toName(destinationPath(stage.workingDir, command.destination));
  for (const item of items) {
    signal.throwIfAborted();
    await copyItem(changes, item, destination, {
      owner: given ?? (command.from === '' ? root : undefined),
      unpack: (file) =>
        command.kind === 'add'
          ? unpackable(file, { ...tools, layers: host.layers })
          : Promise.resolve(undefined),
    });
  }
  return storeChanges(changes, host, signal);
}

/** Undefined if nothing changed. */
export async function storeChanges(
  changes: TreeChanges,
  host: BuildHost,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (changes.isEmpty) return undefined;
  const stream = Readable.from(layerStream(changes, host.layers), { objectMode: false });
  return host.addLayer(stream, signal);
}

/** Absolute; a trailing slash stays, for it says that a directory is meant. */
function destinationPath(workingDir: string | undefined, given: string): string {
  if (given.startsWith('/')) return given;
  const path = posix.join('/', workingDir ?? '', given);
  return given.endsWith('/') && !path.endsWith('/') ? `${path}/` : path;
}

async function downloadItem(url: string, destination: string, tools: CopyTools): Promise<CopyItem> {
  const path = join(tools.workDir, `download-${randomBytes(6).toString('hex')}`);
  const got = await download(url, path, { progress: tools.output.send, signal: tools.signal });
  tools.output.stdout('\n');
  if (got.fileName === '' && destination.endsWith('/')) {
    throw new DaemonError('InvalidParameter', `cannot determine filename for source ${url}`);
  }
  const name = got.fileName === '' ? unnamedFile : got.fileName;
  const node: FileNode = {
    kind: 'file',
    type: '0',
    attributes: { ...newDirectory().attributes, mode: 0o600, mtime: got.modified },
    link: '',
    deviceMajor: 0,
    deviceMinor: 0,
    size: got.sizeBytes,
    data: { archive: { kind: 'file', path }, offset: 0, storedBytes: got.sizeBytes, sparse: undefined },
  };
  const sum = startSum(headerOfNode(name, node));
  for await (const { chunk } of readContents(tools.host.layers, [node])) sum.update(chunk);
  return { path: name, node, hash: sum.digest('hex'), keepsPacked: true };
}

/**
 * The archive that a file is, spooled plain into `workDir`; undefined if it is none, of whatever compression. `zstd`: that
 * counts too.
 */
export async function unpackable(
  file: FileNode,
  {
    layers,
    workDir,
    signal,
    zstd = false,
  }: { layers: LayerReader; workDir: string; signal: AbortSignal; zstd?: boolean },
): Promise<{ entries: ArchivedEntry[]; archive: Archive } | undefined> {
  if (file.type !== '0' || file.size === 0) return undefined;
  const { compression, stream } = await peekCompression(contentOf(file, layers));
  // dockerd 20.10 does not know it, and copies the file.
  if (compression === 'zstd' && !zstd) return undefined;
  const plain = createDecompressor(compression);
  const path = join(workDir, `archive-${randomBytes(6).toString('hex')}`);
  const spool = new ArchiveSpool(workDir);
  try {
    await pipeline(stream, plain, spool, createWriteStream(path, { mode: 0o600 }), { signal });
  } catch (error) {
    signal.throwIfAborted();
    if (!spool.isArchive) return undefined;
    throw brokenArchive(error, file.size);
  }
  return spool.isArchive ? { entries: spool.entries, archive: { kind: 'file', path } } : undefined;
}

/** In dockerd's words, as it says it of layers. */
function brokenArchive(error: unknown, fileBytes: number): unknown {
  if (error instanceof TarError) return unpackingError(error.message, error);
  const reason = gzipFailure(error, fileBytes) ?? toolFailure(error);
  if (reason === undefined) return error;
  if (reason === 'unexpected EOF') return unpackingError(reason, error);
  return new DaemonError('Internal', `Error processing tar file(${reason}): `, { cause: error });
}

/** In small pieces at first: what a decompressor makes of bytes that come with bad ones never gets out of it. */
async function* contentOf(file: FileNode, layers: LayerReader): AsyncGenerator<Buffer> {
  let left = 16_384;
  for await (const { chunk } of readContents(layers, [file])) {
    let at = 0;
    for (; at < chunk.length && left > 0; at += 256, left -= 256) yield chunk.subarray(at, at + 256);
    if (at < chunk.length) yield chunk.subarray(at);
  }
}

class NoArchive extends Error {}

/** Passes a plain archive on and notes its entries; breaks off when the first block is no tar header. */
class ArchiveSpool extends Transform {
  isArchive = false;
  readonly entries: ArchivedEntry[] = [];
  #head = Buffer.alloc(0);
  readonly #space: SpaceGuard;
  readonly #parser = new TarParser({
    entry: (entry, offset) => {
      this.entries.push({ entry, offset });
      return false;
    },
    data: () => undefined,
  });

  constructor(directory: string) {
    super({ readableHighWaterMark: 1 << 20, writableHighWaterMark: 1 << 20 });
    this.#space = new SpaceGuard(directory);
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    try {
      let data = chunk;
      if (!this.isArchive) {
        this.#head = Buffer.concat([this.#head, chunk]);
        if (this.#head.length < tarBlock) {
          done();
          return;
        }
        if (!isHeader(this.#head)) {
          done(new NoArchive());
          return;
        }
        this.isArchive = true;
        data = this.#head;
      }
      this.#parser.write(data);
      this.#space.use(data.length, (error) => done(error, data));
    } catch (error) {
      done(error as Error); // everything thrown there is an Error
    }
  }

  override _flush(done: TransformCallback): void {
    try {
      if (this.isArchive) this.#parser.end();
      done();
    } catch (error) {
      done(error as Error);
    }
  }
}

function isHeader(head: Buffer): boolean {
  const block = head.subarray(0, tarBlock);
  try {
    return !isZeroBlock(block) && checksumIsRight(block);
  } catch {
    return false;
  }
}
