// Contexts that the client names instead of sending: a tar or a Dockerfile at a URL, or a git repository.

import { createReadStream, createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { DaemonError, errorMessage, isDaemonError } from '../errors';
import { goQuote } from '../go/quote';
import { progressLine } from '../storage/transfers/progress-report';
import { buildEntry, emptyEntry, paddedLength, padding, tarBlock } from '../storage/tar/tar-header';
import { TarParser } from '../storage/tar/tar-parser';
import type { ProgressMessage } from '../storage/contract/stores';
import { guarded, isCutOff, isUrl, openUrl, type UrlAnswer } from './download';
import { GitRepository } from './git';

interface RemoteOptions {
  workDir: string;
  /** The name of the Dockerfile. */
  dockerfile: string;
  signal: AbortSignal;
  progress: (message: ProgressMessage) => void;
}

/** The context's tar. Throws Internal in dockerd's words. */
export async function remoteContext(remote: string, options: RemoteOptions): Promise<NodeJS.ReadableStream> {
  if (remote === 'client-session') {
    throw new DaemonError(
      'InvalidParameter',
      'experimental session with v1 builder is no longer supported, use builder version v2 (BuildKit) instead',
    );
  }
  if (isGitUrl(remote)) return gitContext(remote, options);
  if (isUrl(remote)) return urlContext(remote, options);
  throw new DaemonError('Internal', `remoteURL (${remote}) could not be recognized as URL`);
}

/** Types of contexts that dockerd takes, wherever in the header they stand. */
const contextTypes = /application\/(?:(?:x-)?tar|octet-stream|(?:x-)?(?:gzip|bzip2?|xz))|text\/plain/;
/** Go looks at so many bytes of a body when the server does not know what it is. */
const preambleBytes = 100;
/** dockerd tells of an archive no more often. */
const progressEvery = 512 * 1024;

/** A text is the Dockerfile, under the name that the client gave; all else must be an archive. */
async function urlContext(url: string, options: RemoteOptions): Promise<Readable> {
  const { workDir, signal, progress } = options;
  const path = join(workDir, 'remote');
  const response = await openUrl(url, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    const message = `error downloading remote context ${url}: ${errorMessage(error)}`;
    throw new DaemonError('Internal', message, { cause: error });
  });
  const { head, body } = await firstChunk(response.body);
  const isText = contextType(url, response, head) === 'text/plain';
  let current = 0;
  let told = 0;
  const tell = (): void => progress(progressLine(url, 'Downloading context', current, 0));
  async function* counted(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      current += chunk.length;
      if (current - told >= progressEvery) {
        told = current;
        tell();
      }
      yield chunk;
    }
  }
  try {
    const file = createWriteStream(path, { mode: 0o600 });
    await pipeline(body, counted, guarded(workDir), file, { signal });
  } catch (error) {
    signal.throwIfAborted();
    if (!isCutOff(error)) throw error;
    throw new DaemonError('Internal', 'unexpected EOF', { cause: error });
  }
  if (!isText) return createReadStream(path);
  tell();
  progress({});
  return Readable.from([await singleFile(options.dockerfile, path)], { objectMode: false });
}

/** By the header, or by what comes if that says nothing. Throws Internal in dockerd's words for what is no context. */
function contextType(url: string, { headers, sizeBytes }: UrlAnswer, head: Buffer): string {
  const fail = (why: string): DaemonError =>
    new DaemonError('Internal', `error detecting content type for remote ${url}: ${why}`);
  if (head.length === 0) throw fail('empty response');
  const given = headers['content-type'] ?? '';
  const isUnknown = given === '' || given === 'application/octet-stream';
  // dockerd's buffer has zeros behind a body of unknown length: those are no text
  const isPadded = sizeBytes <= 0 && head.length < preambleBytes;
  const type = isUnknown ? (isPadded ? 'application/octet-stream' : typeOf(head)) : given;
  const [known] = contextTypes.exec(type) ?? [];
  if (known === undefined) throw fail(`unsupported Content-Type ${goQuote(given)}`);
  return known;
}

/** As far as it matters here, what Go's net/http makes of the first bytes (WHATWG mimesniff). */
function typeOf(head: Buffer): string {
  const text = head.toString('latin1', 0, preambleBytes);
  if (/^\s*<(?:!doctype html|html|head|script|body|!--)/i.test(text)) return 'text/html';
  return /[\0-\x08\x0b\x0e-\x1a\x1c-\x1f]/.test(text) ? 'application/octet-stream' : 'text/plain';
}

async function firstChunk(
  source: AsyncIterable<Buffer>,
): Promise<{ head: Buffer; body: AsyncIterable<Buffer> }> {
  const iterator = source[Symbol.asyncIterator]();
  const first = await iterator.next();
  const head = first.done === true ? Buffer.alloc(0) : first.value;
  async function* body(): AsyncGenerator<Buffer> {
    if (head.length > 0) yield head;
    yield* { [Symbol.asyncIterator]: () => iterator };
  }
  return { head, body: body() };
}

async function singleFile(name: string, path: string): Promise<Buffer> {
  const content = await readFile(path);
  const header = buildEntry(emptyEntry({ name, type: '0', mode: 0o600, size: content.length }));
  return Buffer.concat([header, content, padding(content.length), Buffer.alloc(2 * tarBlock)]);
}

function isGitUrl(text: string): boolean {
  if (/^(git:\/\/|git@|github\.com\/)/.test(text)) return true;
  return /^https?:\/\/[^#]*\.git(#.*)?$/.test(text);
}

/** A commit of the repository and of its submodules. `#ref:folder` at the end of the URL names what is meant. */
async function gitContext(remote: string, { workDir, signal }: RemoteOptions): Promise<Readable> {
  const [address, fragment] = cut(remote, '#');
  const [ref, folder] = cut(fragment, ':');
  const url = address.startsWith('github.com/') ? `https://${address}` : address;
  const root = await GitRepository.create(workDir, { signal });
  let archives: string[];
  try {
    await root.fetch(url, ref === '' ? 'HEAD' : ref);
    archives = await root.archives(url, await findFolder(root, folder));
  } catch (error) {
    if (isDaemonError(error) || signal.aborted) throw error;
    throw new DaemonError('Internal', `error fetching: ${errorMessage(error)}`, { cause: error });
  }
  async function* all(): AsyncGenerator<Buffer> {
    for (const archive of archives) yield* withoutEnd(archive);
    yield Buffer.alloc(2 * tarBlock);
  }
  return Readable.from(all(), { objectMode: false });
}

/** The folder's path without links, '' for the root. Throws Internal in dockerd's words. */
async function findFolder(repository: GitRepository, folder: string): Promise<string> {
  const found = await repository.findFolder(folder);
  switch (found.kind) {
    case 'found':
      return found.path;
    case 'outside':
      throw new DaemonError('Internal', `error setting git context, "${folder}" not within git root`);
    case 'missing':
      throw new DaemonError('Internal', `stat ${repository.directory}/${folder}: no such file or directory`);
    case 'file': {
      const path = `${repository.directory}/${folder}`;
      throw new DaemonError('Internal', `error setting git context, not a directory: ${path}`);
    }
  }
}

/** A tar without the zeros at its end, so that another may follow. */
async function* withoutEnd(path: string): AsyncGenerator<Buffer> {
  const entries: { end: number }[] = [];
  const parser = new TarParser({
    entry: (entry, offset) => {
      entries.push({ end: offset + paddedLength(entry.size) });
      return false;
    },
    data: () => undefined,
  });
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) parser.write(chunk);
  const end = entries.at(-1)?.end ?? 0;
  if (end > 0) yield* createReadStream(path, { end: end - 1 }) as AsyncIterable<Buffer>;
}

/** `text` before and behind the first `mark`. */
function cut(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
