// An image archive on its way in: spooled to a file as it comes, so that its members may stand in any order. They are
// read from there by name; nothing is unpacked.

import { createWriteStream } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { dirname, posix } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DaemonError, errorMessage, systemErrorCode } from '../../errors';
import { JsonSyntaxError, parseFirstValue } from '../../go/json';
import { createDecompressor, peekCompression } from '../layers/compression';
import type { ImageContents } from '../contract/stores';
import type { FileRange } from '../layers/conversion-job';
import { ParsedArchive } from './parsed-archive';
import { TarError, type TarEntry } from '../tar/tar-header';
import { TarParser } from '../tar/tar-parser';

/** A hard link is the member it leads to. Old archives share layers by symbolic links. */
type Member =
  | { kind: 'file'; offset: number; size: number }
  | { kind: 'directory' }
  | { kind: 'symlink'; target: string };
type FileMember = Extract<Member, { kind: 'file' }>;

const maxJsonBytes = 16 * 1024 * 1024;
const maxMembers = 200_000;
const maxLinks = 255;
/** Fewer, larger reads and writes: each is a turn of a thread. */
const chunkBytes = 1 << 20;

/** Writes the archive, of whatever compression, to `path`. Rejects with Internal in Docker's words for what is no tar. */
export async function spoolArchive(
  source: NodeJS.ReadableStream,
  path: string,
  signal: AbortSignal,
): Promise<ArchiveFile> {
  const members = new Map<string, Member>();
  try {
    const { compression, stream } = await peekCompression(source as AsyncIterable<Buffer>); // never a string stream
    const file = createWriteStream(path, { mode: 0o600, highWaterMark: chunkBytes });
    await pipeline(stream, createDecompressor(compression), new Indexer(members, dirname(path)), file, {
      signal,
    });
  } catch (error) {
    if (signal.aborted || error instanceof DaemonError) throw error;
    const text = systemErrorCode(error)?.startsWith('Z_') === true ? 'unexpected EOF' : errorMessage(error);
    throw new DaemonError('Internal', `Error processing tar file(exit status 1): ${text}`, { cause: error });
  }
  return new ArchiveFile(await open(path, 'r'), path, members);
}

export class ArchiveFile {
  readonly #handle: FileHandle;
  readonly #path: string;
  readonly #members: ReadonlyMap<string, Member>;

  constructor(file: FileHandle, path: string, members: ReadonlyMap<string, Member>) {
    this.#handle = file;
    this.#path = path;
    this.#members = members;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  has(name: string): boolean {
    return this.#members.has(this.#resolve(name));
  }

  /** Those at its top, in order, also what only the names of others tell of. */
  directories(): string[] {
    const tops = [...this.#members].flatMap(([name, { kind }]) => {
      const slash = name.indexOf('/');
      return slash > 0 ? [name.slice(0, slash)] : kind === 'directory' ? [name] : [];
    });
    const isDirectory = (name: string): boolean =>
      name !== '' && (this.#members.get(name)?.kind ?? 'directory') === 'directory';
    return [...new Set(tops)].filter(isDirectory).sort();
  }

  sizeOf(name: string): number {
    return this.#file(name).size;
  }

  async text(name: string): Promise<string> {
    const member = this.#file(name);
    if (member.size > maxJsonBytes) throw new DaemonError('Internal', `${name} in the archive is too large`);
    const data = Buffer.alloc(member.size);
    await this.#handle.read(data, 0, member.size, member.offset);
    return data.toString();
  }

  /** The first value of a file, with Go's words for what is none. */
  async json(name: string): Promise<unknown> {
    const text = await this.text(name);
    try {
      return parseFirstValue(text);
    } catch (error) {
      const eof = error instanceof JsonSyntaxError ? error.eof : 'none';
      const words = { none: errorMessage(error), empty: 'EOF', truncated: 'unexpected EOF' }[eof];
      throw new DaemonError('Internal', words, { cause: error });
    }
  }

  range(name: string): FileRange {
    const { offset, size } = this.#file(name);
    return { path: this.#path, start: offset, bytes: size };
  }

  #file(name: string): FileMember {
    const path = this.#resolve(name);
    const member = path === '' ? { kind: 'directory' as const } : this.#members.get(path);
    if (member?.kind === 'directory') throw new DaemonError('Internal', `read ${path}: is a directory`);
    if (member?.kind !== 'file') throw new DaemonError('Internal', `open ${path}: no such file or directory`);
    return member;
  }

  /** With symbolic links followed, which never lead out of the archive. */
  #resolve(name: string): string {
    const todo = name.split('/').reverse();
    let path = '';
    let links = 0;
    for (let part = todo.pop(); part !== undefined; part = todo.pop()) {
      const next = memberName(`${path}/${part}`);
      const member = this.#members.get(next);
      if (member?.kind !== 'symlink') {
        path = next;
        continue;
      }
      links += 1;
      if (links > maxLinks)
        throw new DaemonError('Internal', `evalSymlinksInScope: too many links in ${name}`);
      if (member.target.startsWith('/')) path = '';
      todo.push(...member.target.split('/').reverse());
    }
    return path;
  }
}

/** Passes an archive through and notes where its members are. */
class Indexer extends ParsedArchive {
  readonly #members: Map<string, Member>;
  protected override readonly parser: TarParser;

  constructor(members: Map<string, Member>, directory: string) {
    super(directory);
    this.#members = members;
    this.parser = new TarParser({
      entry: (entry, offset) => {
        this.#add(entry, offset);
        return false;
      },
      data: () => undefined,
    });
  }

  #add({ name: path, type, link, size, sparse }: TarEntry, offset: number): void {
    const name = memberName(path);
    if (type === '0' && sparse === undefined) this.#members.set(name, { kind: 'file', offset, size });
    else if (type === '1') this.#members.set(name, this.#linked(name, memberName(link)));
    else if (type === '2') this.#members.set(name, { kind: 'symlink', target: link });
    else if (type === '5') this.#members.set(name, { kind: 'directory' });
    if (this.#members.size > maxMembers) throw new TarError('the archive has too many members');
  }

  #linked(name: string, target: string): Member {
    const member = this.#members.get(target);
    if (member === undefined) throw new TarError(`link /${target} /${name}: no such file or directory`);
    return member;
  }
}

/** Relative, without dots. As in a chroot, nothing leads out of the root. */
function memberName(name: string): string {
  return posix.join('/', name).replace(/^\/|\/$/g, '');
}

/** One image of an archive: names of members. */
export interface ArchivedImage {
  config: string;
  repoTags: readonly string[];
  layers: readonly { name: string; blobDigest?: string }[];
  /** Of an image that may be in the archive too. */
  parentId?: string;
  /** The index that leads to it, read when it is asked for; undefined where it isn't whole. */
  index?: () => Promise<ArchivedIndex | undefined>;
}

/** An index with all that it leads to. */
export interface ArchivedIndex {
  readonly contents: ImageContents;
  /** Those that could run somewhere. */
  readonly images: readonly ArchivedImage[];
}
