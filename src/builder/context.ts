// A build's context: a tar of whatever compression from the client, spooled to one file as it comes, indexed and summed
// in the same pass. It is hostile input, and nothing of it is unpacked.

import { createWriteStream } from 'node:fs';
import type { Hash } from 'node:crypto';
import { dirname } from 'node:path';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Gunzip } from 'node:zlib';
import { DaemonError, errorMessage, isDaemonError } from '../errors';
import {
  createDecompressor,
  gzipFailure,
  peekCompression,
  toolFailure,
  type Compression,
} from '../storage/layers/compression';
import { ParsedArchive } from '../storage/archives/parsed-archive';
import { TarError } from '../storage/tar/tar-header';
import { TarParser } from '../storage/tar/tar-parser';
import { applyArchive, type ArchivedEntry } from './archive-tree';
import { FileTree } from './file-tree';
import { headerOfEntry, startSum } from './tar-sum';
import { TreeChanges } from './tree-changes';

const maxEntries = 1_000_000;

export interface BuildContext {
  tree: FileTree;
  /** Checksums of entries by their names. */
  sums: ReadonlyMap<string, string>;
}

/** Writes the plain tar to `path`, which the caller removes. Rejects in Docker's words for what is no tar. */
export async function spoolContext(
  source: NodeJS.ReadableStream,
  path: string,
  signal: AbortSignal,
): Promise<BuildContext> {
  const indexer = new ContextIndexer(dirname(path));
  let corruption: (error: unknown) => string | undefined = () => undefined;
  try {
    const { compression, stream } = await peekCompression(source as AsyncIterable<Buffer>); // never a string stream
    const decompressor = createDecompressor(compression);
    corruption = (error) => corruptionOf(error, compression, decompressor);
    const file = createWriteStream(path, { mode: 0o600 });
    await pipeline(stream, decompressor, indexer, file, { signal });
    const tree = new FileTree();
    applyArchive(new TreeChanges(tree), '', indexer.entries, { kind: 'file', path });
    return { tree, sums: indexer.sums };
  } catch (error) {
    if (signal.aborted || (isDaemonError(error) && toolFailure(error) === undefined)) throw error;
    throw new DaemonError('Internal', contextError(error, corruption(error), indexer), { cause: error });
  }
}

/** What dockerd unpacks. */
const unpackedTypes = ['0', '1', '2', '3', '4', '5', '6'];

class UnhandledType extends TarError {}

/** dockerd unpacks in another process, which sees an archive that is broken after its first entry end there. */
function contextError(error: unknown, corruption: string | undefined, indexer: ContextIndexer): string {
  const inner = (reason: string): string => `Error processing tar file(exit status 1): ${reason}`;
  if (corruption !== undefined) return indexer.hasWholeEntry ? inner('unexpected EOF') : corruption;
  if (!(error instanceof TarError) || indexer.entries.length === 0) return errorMessage(error);
  return inner(error instanceof UnhandledType ? error.message : 'unexpected EOF');
}

/** What dockerd's decompressors say of such data: Go's own of gzip and bzip2, the tool of the rest. */
function corruptionOf(error: unknown, compression: Compression, decompressor: Duplex): string | undefined {
  const said = toolFailure(error);
  if (said === undefined) return gzipFailure(error, (decompressor as Partial<Gunzip>).bytesWritten ?? 0);
  if (compression !== 'bzip2') return `exit status 1: ${said}\n`;
  return said.includes('ends unexpectedly') ? 'unexpected EOF' : 'bzip2 data invalid';
}

class ContextIndexer extends ParsedArchive {
  readonly entries: ArchivedEntry[] = [];
  readonly sums = new Map<string, string>();
  protected override readonly parser: TarParser;
  #open: { name: string; hash: Hash; left: number } | undefined;

  constructor(directory: string) {
    super(directory);
    this.parser = new TarParser(
      {
        entry: (entry, offset) => {
          if (!unpackedTypes.includes(entry.type))
            throw new UnhandledType(`unhandled tar header type ${entry.type.charCodeAt(0)}`);
          if (this.entries.length >= maxEntries) throw new TarError('the context has too many entries');
          this.#finishSum();
          this.entries.push({ entry, offset });
          this.#open = {
            name: summedName(entry.name),
            hash: startSum(headerOfEntry(entry)),
            left: entry.size,
          };
          return true;
        },
        data: (chunk) => {
          if (this.#open === undefined) return;
          const data = chunk.subarray(0, this.#open.left); // without the padding
          this.#open.hash.update(data);
          this.#open.left -= data.length;
        },
      },
      { mayEndInPadding: true },
    );
  }

  /** Whether something came with all of its content. */
  get hasWholeEntry(): boolean {
    return this.entries.length > 1 || this.#open?.left === 0;
  }

  protected override ended(): void {
    this.#finishSum();
  }

  /** Of two entries of one name Docker takes the first one's sum. */
  #finishSum(): void {
    const open = this.#open;
    if (open !== undefined && !this.sums.has(open.name)) this.sums.set(open.name, open.hash.digest('hex'));
  }
}

function summedName(name: string): string {
  const parts: string[] = [];
  for (const part of name.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}
