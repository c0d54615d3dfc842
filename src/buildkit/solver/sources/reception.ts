// Takes what a client sends of a directory: names and attributes in memory, contents one after the other in a file of ours.

import { createHash, randomBytes, type Hash } from 'node:crypto';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { baseOf, FileTree, parentOf, toName, type FileNode } from '../../../builder/file-tree';
import { BuildError } from '../../contract/errors';
import type { FilesReceiver, FileStat } from '../../contract/session';
import type { ContentDigests } from '../files/content-digests';
import { Listing, Spool } from './listings';

const maxEntries = 1_000_000;
/** Written at once: contents of many small files. */
const writeBytes = 1 << 20;

export interface ReceptionTools {
  readonly digests: ContentDigests;
  readonly temporaryDir: string;
}

interface OpenFile {
  readonly node: FileNode;
  readonly hash: Hash;
  readonly offset: number;
  readonly expected: number;
  written: number;
}

/** `finish` when everything has come, or `giveUp`. */
export class Reception implements FilesReceiver {
  readonly #tools: ReceptionTools;
  readonly #before: Listing | undefined;
  readonly #count: (bytes: number) => void;
  readonly #tree = new FileTree();
  readonly #files = new Map<string, { stat: FileStat; node: FileNode }>();
  readonly #spools = new Map<string, Spool>();
  readonly #open = new Map<number, OpenFile>();
  readonly #path: string;
  #handle: Promise<FileHandle> | undefined;
  #end = 0;
  #entries = 0;
  #pending: { offset: number; chunk: Buffer }[] = [];
  #pendingBytes = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor(tools: ReceptionTools, before: Listing | undefined, count: (bytes: number) => void) {
    this.#tools = tools;
    this.#before = before?.isReusable === true ? before : undefined;
    this.#count = count;
    this.#path = join(tools.temporaryDir, `context-${randomBytes(8).toString('hex')}`);
  }

  entry(stat: FileStat, index: number): boolean {
    this.#entries += 1;
    if (this.#entries > maxEntries)
      throw new BuildError('ResourceExhausted', `the context has more than ${maxEntries} files`);
    const path = toName(stat.path);
    const parent = this.#tree.lookup(parentOf(path));
    if (parent?.kind !== 'directory') throw new BuildError('InvalidArgument', `${stat.path} has no parent`);
    const attributes = {
      mode: stat.mode,
      uid: stat.uid,
      gid: stat.gid,
      mtime: Math.max(0, Number(stat.modifiedNs / 1_000_000_000n)),
      xattrs: new Map([...stat.xattrs].map(([key, value]) => [`SCHILY.xattr.${key}`, value])),
    };
    if (stat.type === 'directory') {
      parent.children.set(baseOf(path), { kind: 'directory', attributes, children: new Map() });
      return false;
    }
    if (stat.type === 'file' && stat.linkName !== '') {
      const target = this.#tree.lookup(toName(stat.linkName));
      if (target?.kind !== 'file') throw new BuildError('InvalidArgument', `${stat.path} links to no file`);
      parent.children.set(baseOf(path), target);
      return false;
    }
    const known = this.#before?.files.get(stat.path);
    const reused = known !== undefined && isSame(known.stat, stat) ? this.#reuse(known.node) : undefined;
    const node: FileNode = reused ?? {
      kind: 'file',
      type: fileTypes[stat.type],
      attributes,
      link: stat.type === 'symlink' ? toName(stat.linkName) : '',
      deviceMajor: stat.deviceMajor,
      deviceMinor: stat.deviceMinor,
      size: 0,
      data: undefined,
    };
    parent.children.set(baseOf(path), node);
    if (stat.type !== 'file') return false;
    this.#files.set(stat.path, { stat, node });
    if (reused !== undefined || stat.sizeBytes === 0) return false;
    const expected = stat.sizeBytes;
    const hash = createHash('sha256');
    this.#open.set(index, { node, hash, offset: this.#end, expected, written: 0 });
    this.#end += expected;
    return true;
  }

  data(index: number, chunk: Buffer): void | Promise<void> {
    const file = this.#open.get(index);
    if (file === undefined)
      throw new BuildError('InvalidArgument', 'content of a file that was not asked for');
    if (file.written + chunk.length > file.expected)
      throw new BuildError('FailedPrecondition', 'a file of the context grew while it was sent');
    file.hash.update(chunk);
    this.#pending.push({ offset: file.offset + file.written, chunk });
    file.written += chunk.length;
    this.#pendingBytes += chunk.length;
    this.#count(chunk.length);
    return this.#pendingBytes >= writeBytes ? this.#flush() : undefined;
  }

  end(index: number): void {
    const file = this.#open.get(index);
    if (file === undefined)
      throw new BuildError('InvalidArgument', 'the end of a file that was not asked for');
    this.#open.delete(index);
    file.node.size = file.written;
    this.#tools.digests.know(file.node, file.hash.digest('hex'));
    if (file.written === 0) return;
    const archive = { kind: 'file' as const, path: this.#path };
    file.node.data = { archive, offset: file.offset, storedBytes: file.written, sparse: undefined };
  }

  /** Everything has come. The caller releases the listing. */
  async finish(): Promise<Listing> {
    if (this.#open.size > 0) throw new BuildError('Unavailable', 'files of the context did not come');
    await this.#flush();
    await this.#close();
    if (this.#handle !== undefined) this.#spools.set(this.#path, new Spool(this.#path));
    return new Listing(this.#tree, this.#files, this.#spools);
  }

  async giveUp(): Promise<void> {
    await this.#writing.catch(() => undefined);
    await this.#close().catch(() => undefined);
    await rm(this.#path, { force: true });
    for (const spool of this.#spools.values()) spool.release();
  }

  /** Shared by two listings, neither of which changes it. */
  #reuse(node: FileNode): FileNode {
    const spool = this.#before?.spoolOf(node);
    if (spool !== undefined && !this.#spools.has(spool.path)) {
      spool.hold();
      this.#spools.set(spool.path, spool);
    }
    return node;
  }

  #flush(): Promise<void> {
    const pending = this.#pending.sort((a, b) => a.offset - b.offset);
    this.#pending = [];
    this.#pendingBytes = 0;
    if (pending.length > 0) this.#writing = this.#writing.then(() => this.#write(pending));
    return this.#writing;
  }

  /** What lies side by side in one go. */
  async #write(pending: readonly { offset: number; chunk: Buffer }[]): Promise<void> {
    this.#handle ??= open(this.#path, 'wx', 0o600);
    const handle = await this.#handle;
    for (let i = 0; i < pending.length;) {
      const offset = pending[i]?.offset ?? 0;
      const run: Buffer[] = [];
      let end = offset;
      for (let next = pending[i]; next?.offset === end; next = pending[i]) {
        run.push(next.chunk);
        end += next.chunk.length;
        i += 1;
      }
      const bytes = run.length > 1 ? Buffer.concat(run) : (run[0] ?? Buffer.alloc(0));
      for (let at = 0; at < bytes.length;)
        at += (await handle.write(bytes, at, bytes.length - at, offset + at)).bytesWritten;
    }
  }

  async #close(): Promise<void> {
    await (await this.#handle)?.close();
  }
}

const fileTypes: Readonly<Record<Exclude<FileStat['type'], 'directory'>, string>> = {
  file: '0',
  symlink: '2',
  character: '3',
  block: '4',
  fifo: '6',
  // tars have none; as an empty file it is at least there
  socket: '0',
};

function isSame(a: FileStat, b: FileStat): boolean {
  return (
    a.type === b.type &&
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.sizeBytes === b.sizeBytes &&
    a.modifiedNs === b.modifiedNs &&
    a.linkName === b.linkName &&
    a.xattrs.size === b.xattrs.size &&
    [...a.xattrs].every(([key, value]) => b.xattrs.get(key)?.equals(value) === true)
  );
}
