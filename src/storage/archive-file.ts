// An image archive on its way in: spooled to a file as it comes, so that its members may stand in any order. They are
// read from there by name; nothing is unpacked.

import { createReadStream, createWriteStream } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { DaemonError, errorMessage, systemErrorCode } from '../errors';
import { createDecompressor, peekCompression } from './compression';
import { ParsedArchive } from './parsed-archive';
import { TarError, type TarEntry } from './tar-header';
import { TarParser } from './tar-parser';

interface Member {
  offset: number;
  size: number;
  /** Target of a link to another member: old archives share layers that way. */
  link?: string;
}

const maxJsonBytes = 16 * 1024 * 1024;
const maxMembers = 200_000;
const maxLinks = 8;
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
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #members: ReadonlyMap<string, Member>;

  constructor(file: FileHandle, path: string, members: ReadonlyMap<string, Member>) {
    this.#file = file;
    this.#path = path;
    this.#members = members;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  has(name: string): boolean {
    return this.#members.has(memberName(name));
  }

  sizeOf(name: string): number {
    return this.#member(name).size;
  }

  async text(name: string): Promise<string> {
    const member = this.#member(name);
    if (member.size > maxJsonBytes) throw new DaemonError('Internal', `${name} in the archive is too large`);
    const data = Buffer.alloc(member.size);
    await this.#file.read(data, 0, member.size, member.offset);
    return data.toString();
  }

  async json(name: string): Promise<unknown> {
    try {
      return JSON.parse(await this.text(name));
    } catch (error) {
      if (error instanceof DaemonError) throw error;
      throw new DaemonError('Internal', `${name} in the archive is not JSON: ${errorMessage(error)}`, {
        cause: error,
      });
    }
  }

  open(name: string): Readable {
    const { offset, size } = this.#member(name);
    if (size === 0) return Readable.from([], { objectMode: false });
    return createReadStream(this.#path, { start: offset, end: offset + size - 1, highWaterMark: chunkBytes });
  }

  #member(name: string, links = 0): Member {
    const member = this.#members.get(memberName(name));
    if (member === undefined || links > maxLinks) {
      throw new DaemonError('Internal', `open ${name}: no such file or directory`);
    }
    return member.link === undefined ? member : this.#member(member.link, links + 1);
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
    if (type === '0' && sparse === undefined) this.#members.set(name, { offset, size });
    else if (type === '1') this.#members.set(name, { offset, size: 0, link });
    else if (type === '2') this.#members.set(name, { offset, size: 0, link: linkedMember(name, link) });
    if (this.#members.size > maxMembers) throw new TarError('the archive has too many members');
  }
}

function memberName(name: string): string {
  return name.replace(/^(\.?\/)+/, '');
}

/** A symbolic link's target as a member's name; one that leads out of the archive names no member. */
function linkedMember(name: string, link: string): string {
  const parts = name.split('/').slice(0, -1);
  for (const part of link.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.' && part !== '') parts.push(part);
  }
  return parts.join('/');
}
