// Contexts that the client names instead of sending: a tar or a Dockerfile at a URL, or a git repository.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { DaemonError, errorMessage } from '../errors';
import { goQuote } from '../go/quote';
import { progressLine } from '../storage/transfers/progress-report';
import { buildEntry, emptyEntry, paddedLength, padding, tarBlock } from '../storage/tar/tar-header';
import { TarParser } from '../storage/tar/tar-parser';
import type { ProgressMessage } from '../storage/contract/stores';
import { guarded, isCutOff, isUrl, openUrl, type UrlAnswer } from './download';

interface RemoteOptions {
  workDir: string;
  /** The name of the Dockerfile. */
  dockerfile: string;
  signal: AbortSignal;
  progress: (message: ProgressMessage) => void;
}

const maxComplaint = 4000;
const maxLinks = 40;
const maxSubmoduleDepth = 10;

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

/**
 * A commit of the repository and of its submodules as git itself makes a tar of them: nothing is checked out.
 * `#ref:folder` at the end of the URL names what is meant.
 */
async function gitContext(remote: string, { workDir, signal }: RemoteOptions): Promise<Readable> {
  const [address, fragment] = cut(remote, '#');
  const [ref, folder] = cut(fragment, ':');
  const url = address.startsWith('github.com/') ? `https://${address}` : address;
  const wanted = ref === '' ? 'HEAD' : ref;
  if (wanted.startsWith('-') || url.startsWith('-')) {
    throw new DaemonError('InvalidParameter', `invalid refspec: ${wanted}`);
  }
  const root = await fetchCommit(url, wanted, { workDir, signal });
  const path = await findFolder(root, folder);
  const archives: string[] = [];
  await archiveTree(root, { url, path, prefix: '', workDir, archives });
  async function* all(): AsyncGenerator<Buffer> {
    for (const archive of archives) yield* withoutEnd(archive);
    yield Buffer.alloc(2 * tarBlock);
  }
  return Readable.from(all(), { objectMode: false });
}

/** `text` before and behind the first `mark`. */
function cut(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

/** A bare repository with one commit, FETCH_HEAD. */
interface Fetched {
  directory: string;
  signal: AbortSignal;
}

async function fetchCommit(
  url: string,
  wanted: string,
  { workDir, signal }: { workDir: string; signal: AbortSignal },
): Promise<Fetched> {
  const directory = join(workDir, `git-${randomBytes(6).toString('hex')}`);
  await mkdir(directory);
  await git(['init', '--quiet', '--bare', directory], signal);
  // What is archived is what would be checked out.
  await writeFile(join(directory, 'info', 'attributes'), '* -export-ignore -export-subst\n');
  try {
    await git(['-C', directory, 'fetch', '--quiet', '--depth', '1', '--', url, wanted], signal);
  } catch (error) {
    throw new DaemonError('Internal', `error fetching: ${errorMessage(error)}`, { cause: error });
  }
  return { directory, signal };
}

/** The folder's path without links, '' for the root. Throws Internal in dockerd's words. */
async function findFolder({ directory, signal }: Fetched, folder: string): Promise<string> {
  const todo = folder.split('/').reverse();
  let done: string[] = [];
  for (let links = 0; todo.length > 0;) {
    const part = todo.pop() ?? '';
    if (part === '' || part === '.') continue;
    if (part === '..') {
      if (done.pop() !== undefined) continue;
      throw new DaemonError('Internal', `error setting git context, "${folder}" not within git root`);
    }
    const path = [...done, part].join('/');
    const [entry = ''] = await treeOf({ directory, signal }, path);
    const type = entry.slice(0, 6);
    if (type === '120000' && links++ < maxLinks) {
      const target = await git(['-C', directory, 'cat-file', 'blob', `FETCH_HEAD:${path}`], signal);
      if (target.startsWith('/')) done = [];
      todo.push(...target.split('/').reverse());
    } else if (type === '040000' || type === '160000') done.push(part);
    else if (type === '')
      throw new DaemonError('Internal', `stat ${directory}/${folder}: no such file or directory`);
    else
      throw new DaemonError('Internal', `error setting git context, not a directory: ${directory}/${folder}`);
  }
  return done.join('/');
}

/** Lines `mode type object\tpath` of the commit's tree: one entry, or (`path` undefined) all of them. */
async function treeOf({ directory, signal }: Fetched, path?: string): Promise<string[]> {
  const which = path === undefined ? ['-r', 'FETCH_HEAD'] : ['FETCH_HEAD', '--', path];
  const text = await git(['-C', directory, '--literal-pathspecs', 'ls-tree', '-z', ...which], signal);
  return text.split('\0').filter((line) => line !== '');
}

interface ArchiveOptions {
  url: string;
  /** Of the commit's tree: what is below it. */
  path: string;
  /** Of the names in the archive. */
  prefix: string;
  workDir: string;
  /** Those that were made, in order. */
  archives: string[];
}

/** Archives a tree and, below the places where they belong, its submodules' commits. */
async function archiveTree(fetched: Fetched, options: ArchiveOptions): Promise<void> {
  const { directory, signal } = fetched;
  const { url, path, prefix, workDir, archives } = options;
  const archive = join(workDir, `git-${randomBytes(6).toString('hex')}.tar`);
  archives.push(archive);
  const name = prefix === '' ? [] : [`--prefix=${prefix}`];
  const tree = path === '' ? 'FETCH_HEAD' : `FETCH_HEAD:${path}`;
  const modes = ['-c', 'tar.umask=0022'];
  await git(['-C', directory, ...modes, 'archive', '--format=tar', ...name, '-o', archive, tree], signal);
  const links = (await treeOf(fetched)).filter((line) => line.startsWith('160000 '));
  if (links.length === 0) return;
  const urls = await submoduleUrls(fetched);
  for (const line of links) {
    const [, object = '', at = ''] = /^\d+ commit (\w+)\t(.*)$/s.exec(line) ?? [];
    const below = path === '' ? at : at.startsWith(`${path}/`) ? at.slice(path.length + 1) : undefined;
    const given = urls.get(at);
    if (given === undefined) {
      throw new DaemonError(
        'Internal',
        `error initializing submodules: fatal: No url found for submodule path '${at}' in .gitmodules\n: exit status 128`,
      );
    }
    if (below === undefined) continue;
    if (prefix.split('/').length > maxSubmoduleDepth) {
      throw new DaemonError('Internal', 'error initializing submodules: they are nested too deeply');
    }
    const address = /^\.\.?\//.test(given) ? relativeUrl(url, given) : given;
    if (address.startsWith('-')) throw new DaemonError('Internal', `invalid submodule url ${address}`);
    const module = await fetchCommit(address, object, { workDir, signal });
    await archiveTree(module, { ...options, url: address, path: '', prefix: `${prefix}${below}/` });
  }
}

/** By their paths, as .gitmodules has them. */
async function submoduleUrls({ directory, signal }: Fetched): Promise<Map<string, string>> {
  const args = ['config', '--blob', 'FETCH_HEAD:.gitmodules', '--null', '--list'];
  const text = await git(['-C', directory, ...args], signal).catch(() => '');
  const paths = new Map<string, string>();
  const urls = new Map<string, string>();
  for (const entry of text.split('\0')) {
    const [key, value] = cut(entry, '\n');
    const [, name = '', field] = /^submodule\.(.*)\.(path|url)$/s.exec(key) ?? [];
    if (field === 'path') paths.set(name, value);
    if (field === 'url') urls.set(name, value);
  }
  return new Map([...paths].map(([name, path]) => [path, urls.get(name) ?? '']));
}

/** git-submodule(1): `./` and `../` start from the URL of the repository that has the submodule. */
function relativeUrl(base: string, given: string): string {
  let from = base.replace(/\/+$/, '');
  let rest = given;
  for (; /^\.\.?\//.test(rest); rest = rest.slice(rest.indexOf('/') + 1)) {
    if (rest.startsWith('../')) from = from.slice(0, Math.max(from.lastIndexOf('/'), 0));
  }
  return `${from}/${rest}`;
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

/** Without a terminal to ask on, without the user's configuration, and only by protocols that carry no commands. */
async function git(args: readonly string[], signal: AbortSignal): Promise<string> {
  const child = spawn('git', args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: '/nonexistent',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
      GIT_ALLOW_PROTOCOL: 'git:http:https:ssh',
    },
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(0, maxComplaint);
  });
  await new Promise<void>((resolve, reject) => {
    child.once('error', (error) =>
      reject(new DaemonError('Internal', `unable to find 'git': ${error.message}`)),
    );
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new DaemonError('Internal', `${complaint}: exit status ${code ?? 'unknown'}`));
    });
  });
  return output;
}
