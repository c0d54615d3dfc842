// Commits of others' repositories. Nothing is checked out on the host: git makes tars of what would be. No hook, filter or
// helper of a repository runs, and git asks nobody, has bounds of memory and disk, and speaks protocols that carry no commands.

import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DaemonError } from '../errors';
import { guarded } from './download';
import { FileTree, newDirectory, toName, type DirectoryNode } from './file-tree';
import { freeBytes } from '../storage/layers/space-guard';

const maxComplaint = 4000;
const maxLinks = 40;
const maxSubmoduleDepth = 10;
const maxSubmodules = 1000;
/** Of one commit: trees may name each other so that a few of them stand for billions of files. */
const maxFiles = 1_000_000;
const maxOutputBytes = 16 * 1024 * 1024;
/** Of the process: an object that isn't streamed may claim any size. */
const memoryBytes = 2 * 1024 ** 3;
/** A server that lets git say nothing for so long is given up. */
const silenceMs = 600_000;
const watchMs = 2000;

/** What reaching a repository needs. None of it is in arguments, which other users could read, nor in the repository. */
export interface GitAccess {
  /** Headers for requests below a URL, `https://host/`. */
  readonly headers?: readonly { url: string; header: string }[];
  /** The command for ssh, and the path of the agent's socket. */
  readonly ssh?: { command: string; agentPath: string | undefined };
}

export interface GitOptions {
  readonly signal: AbortSignal;
  readonly access?: GitAccess;
  /** A `.git` directory as of a checkout is wanted. */
  readonly keepsDirectory?: boolean;
}

export type FoundFolder = { kind: 'found'; path: string } | { kind: 'outside' | 'missing' | 'file' };

/** Its message is what git said, and its exit status, as Go prints them. */
export class GitError extends Error {
  override readonly name = 'GitError';
  readonly complaint: string;
  readonly status: string;

  constructor(complaint: string, status: string) {
    super(`${complaint}: ${status}`);
    this.complaint = complaint;
    this.status = status;
  }
}

/** Refs of a server by their full names, with `^{}` for what a tag leads to. `pattern` is a ref's name or the end of one. */
export async function listRemote(
  url: string,
  pattern: string,
  options: GitOptions,
): Promise<{ refs: ReadonlyMap<string, string>; text: string }> {
  requireArgument(url);
  requireRef(pattern);
  const text = await git(['ls-remote', '--', url, pattern, `${pattern}^{}`], options);
  const refs = text.split('\n').flatMap((line): [string, string][] => {
    const [, object = '', name = ''] = /^([0-9a-f]{40,64})\t(.*)$/.exec(line) ?? [];
    return name === '' ? [] : [[name, object]];
  });
  return { refs: new Map(refs), text };
}

/** A repository of one commit in a directory of its own; the caller removes that. */
export class GitRepository {
  readonly directory: string;
  readonly #workDir: string;
  readonly #options: GitOptions;
  readonly #gitDir: string;
  #commit = 'FETCH_HEAD';
  #submodules = { count: 0 };

  private constructor(workDir: string, directory: string, options: GitOptions) {
    this.#workDir = workDir;
    this.directory = directory;
    this.#options = options;
    this.#gitDir = options.keepsDirectory === true ? join(directory, '.git') : directory;
  }

  static async create(workDir: string, options: GitOptions): Promise<GitRepository> {
    const repository = new GitRepository(workDir, join(workDir, `git-${randomName()}`), options);
    await mkdir(repository.directory, { mode: 0o700 });
    const kind = options.keepsDirectory === true ? [] : ['--bare'];
    await git(['init', '--quiet', '--template=', ...kind, repository.directory], options);
    // What is archived is what would be checked out.
    await mkdir(join(repository.#gitDir, 'info'), { recursive: true });
    await writeFile(join(repository.#gitDir, 'info', 'attributes'), '* -export-ignore -export-subst\n');
    return repository;
  }

  /** The commit's object. */
  get commit(): string {
    return this.#commit;
  }

  /**
   * What the server has under a name or, where it gives those, under an object's; without what came before it, unless the server can't do
   * without. Throws GitError, and InvalidParameter for what is no name.
   */
  async fetch(url: string, wanted: string): Promise<void> {
    requireArgument(url);
    if (wanted.startsWith('-')) throw new DaemonError('InvalidParameter', `invalid refspec: ${wanted}`);
    const fetch = ['fetch', '--progress', '--no-tags', '--no-recurse-submodules'];
    try {
      await this.#git([...fetch, '--depth', '1', '--', url, wanted]);
    } catch (error) {
      if (!(error instanceof GitError) || !error.message.includes('dumb http transport')) throw error;
      await this.#git([...fetch, '--', url, wanted]);
    }
    this.#commit = (await this.#git(['rev-parse', '--verify', 'FETCH_HEAD^{commit}'])).trim();
  }

  /** A commit wherever it is in the server's history. Throws GitError. */
  async fetchObject(url: string, object: string): Promise<void> {
    try {
      await this.fetch(url, object);
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      await this.#git(['fetch', '--progress', '--', url, '+refs/*:refs/all/*']);
      this.#commit = (await this.#git(['rev-parse', '--verify', `${object}^{commit}`])).trim();
    }
  }

  /** Where a folder is when links are followed; '' for the root. */
  async findFolder(folder: string): Promise<FoundFolder> {
    const todo = folder.split('/').reverse();
    let done: string[] = [];
    for (let links = 0; todo.length > 0;) {
      const part = todo.pop() ?? '';
      if (part === '' || part === '.') continue;
      if (part === '..') {
        if (done.pop() !== undefined) continue;
        return { kind: 'outside' };
      }
      const path = [...done, part].join('/');
      const list = ['--literal-pathspecs', 'ls-tree', '-z', this.#commit, '--', path];
      const type = (await this.#git(list)).slice(0, 6);
      if (type === '120000' && links++ < maxLinks) {
        const target = await this.#git(['cat-file', 'blob', `${this.#commit}:${path}`]);
        if (target.startsWith('/')) done = [];
        todo.push(...target.split('/').reverse());
      } else if (type === '040000' || type === '160000') done.push(part);
      else return { kind: type === '' ? 'missing' : 'file' };
    }
    return { kind: 'found', path: done.join('/') };
  }

  /** Paths of tars, each to be unpacked over those before: what is below `path`, and the commits of its submodules. */
  async archives(url: string, path: string, { submodules = true } = {}): Promise<string[]> {
    const archives: string[] = [];
    await this.#archive({ url, path, prefix: '', archives, submodules });
    return archives;
  }

  /** Makes `.git` what a checkout of the commit from there has, and gives it as a tree of these files. */
  async keptDirectory(url: string): Promise<DirectoryNode> {
    await this.#git(['remote', 'add', 'origin', '--', withoutCredentials(url)]);
    await this.#git(['update-ref', '--no-deref', 'HEAD', this.#commit]);
    await this.#git(['read-tree', this.#commit]);
    await rm(join(this.#gitDir, 'FETCH_HEAD'), { force: true });
    await rm(join(this.#gitDir, 'info', 'attributes'));
    const tree = new FileTree();
    await this.#addFiles(this.#gitDir, tree.root);
    return tree.root;
  }

  async #addFiles(directory: string, node: DirectoryNode): Promise<void> {
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      const { mode, mtimeMs, size } = await stat(path);
      // what the daemon keeps to itself is, in an image, everybody's to read
      const forAll = mode & 0o500;
      const shownMode = (mode & 0o700) | (forAll >> 3) | (forAll >> 6);
      const attributes = { mode: shownMode, mtime: Math.floor(mtimeMs / 1000) };
      const made = newDirectory(attributes);
      if (entry.isDirectory()) {
        node.children.set(toName(entry.name), made);
        await this.#addFiles(path, made);
        continue;
      }
      const archive = { kind: 'file' as const, path };
      node.children.set(toName(entry.name), {
        kind: 'file',
        type: '0',
        attributes: made.attributes,
        link: '',
        deviceMajor: 0,
        deviceMinor: 0,
        size,
        data: size === 0 ? undefined : { archive, offset: 0, storedBytes: size, sparse: undefined },
      });
    }
  }

  async #archive(options: {
    url: string;
    /** Of the commit's tree: what is below it. */
    path: string;
    /** Of the names in the archive. */
    prefix: string;
    /** Those that were made, in order. */
    archives: string[];
    submodules: boolean;
  }): Promise<void> {
    const { url, path, prefix, archives } = options;
    const links = await this.#links();
    const archive = join(this.#workDir, `git-${randomName()}.tar`);
    archives.push(archive);
    const name = prefix === '' ? [] : [`--prefix=${prefix}`];
    const tree = path === '' ? this.#commit : `${this.#commit}:${path}`;
    await this.#writeTar(['-c', 'tar.umask=0022', 'archive', '--format=tar', ...name, tree], archive);
    if (links.length === 0 || !options.submodules) return;
    const urls = await this.#submoduleUrls();
    for (const { object, at } of links) {
      const below = path === '' ? at : at.startsWith(`${path}/`) ? at.slice(path.length + 1) : undefined;
      const given = urls.get(at);
      if (given === undefined) {
        throw new DaemonError(
          'Internal',
          `error initializing submodules: fatal: No url found for submodule path '${at}' in .gitmodules\n: exit status 128`,
        );
      }
      if (below === undefined) continue;
      this.#submodules.count += 1;
      if (prefix.split('/').length > maxSubmoduleDepth || this.#submodules.count > maxSubmodules)
        throw new DaemonError(
          'Internal',
          'error initializing submodules: they are too many or nested too deeply',
        );
      const address = /^\.\.?\//.test(given) ? relativeUrl(url, given) : given;
      const module = await GitRepository.create(this.#workDir, { ...this.#options, keepsDirectory: false });
      module.#submodules = this.#submodules;
      await module.fetchObject(address, object);
      await module.#archive({ ...options, url: address, path: '', prefix: `${prefix}${below}/` });
      await rm(module.directory, { recursive: true, force: true });
    }
  }

  /** Where other repositories belong. Throws where the commit has too many files. */
  async #links(): Promise<{ object: string; at: string }[]> {
    const links: { object: string; at: string }[] = [];
    let files = 0;
    let rest = '';
    await git(['--git-dir', this.#gitDir, 'ls-tree', '-r', '-z', this.#commit], this.#options, (chunk) => {
      const lines = (rest + chunk.toString('utf8')).split('\0');
      rest = lines.pop() ?? '';
      files += lines.length;
      if (files > maxFiles) throw new DaemonError('Internal', `the commit has more than ${maxFiles} files`);
      for (const line of lines) {
        const [, object = '', at = ''] = /^160000 commit (\w+)\t(.*)$/s.exec(line) ?? [];
        if (at !== '') links.push({ object, at });
      }
    });
    return links;
  }

  /** By their paths, as .gitmodules has them. */
  async #submoduleUrls(): Promise<Map<string, string>> {
    const args = ['config', '--blob', `${this.#commit}:.gitmodules`, '--null', '--list'];
    const text = await this.#git(args).catch(() => '');
    const paths = new Map<string, string>();
    const urls = new Map<string, string>();
    for (const entry of text.split('\0')) {
      const at = entry.indexOf('\n');
      const [, name = '', field] =
        /^submodule\.(.*)\.(path|url)$/s.exec(entry.slice(0, Math.max(0, at))) ?? [];
      if (field === 'path') paths.set(name, entry.slice(at + 1));
      if (field === 'url') urls.set(name, entry.slice(at + 1));
    }
    return new Map([...paths].map(([name, path]) => [path, urls.get(name) ?? '']));
  }

  async #writeTar(args: readonly string[], path: string): Promise<void> {
    const child = start(['--git-dir', this.#gitDir, ...args], this.#options);
    const output = createWriteStream(path, { mode: 0o600, flags: 'wx' });
    const { stdout } = child;
    if (stdout === null) throw new DaemonError('Internal', 'git has no output');
    const ended = exitOf(child, this.#options.signal);
    try {
      await Promise.all([pipeline(stdout, guarded(this.#workDir), output), ended]);
    } finally {
      child.kill('SIGKILL');
    }
  }

  #git(args: readonly string[]): Promise<string> {
    return git(['--git-dir', this.#gitDir, ...args], this.#options, undefined, this.directory);
  }
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

/** What is kept in an image tells no password. */
export function withoutCredentials(url: string): string {
  return url.replace(/^(https?:\/\/)[^/?#]*@/, '$1');
}

function requireArgument(url: string): void {
  if (url === '' || url.startsWith('-') || url.includes('\0'))
    throw new DaemonError('Internal', `invalid repository url ${JSON.stringify(url.slice(0, 200))}`);
}

/** git-check-ref-format(1): what is more would be a pattern or an option. */
function requireRef(ref: string): void {
  if (ref.startsWith('-') || !/^[^\0-\x20\x7f~^:?*[\\]+$/.test(ref))
    throw new DaemonError('InvalidParameter', `invalid ref ${JSON.stringify(ref.slice(0, 200))}`);
}

function randomName(): string {
  return randomBytes(6).toString('hex');
}

/** What git prints, all of it where nobody takes it in parts. Throws GitError. */
async function git(
  args: readonly string[],
  options: GitOptions,
  take?: (chunk: Buffer) => void,
  watched?: string,
): Promise<string> {
  const child = start(args, options);
  const chunks: Buffer[] = [];
  let length = 0;
  let failure: unknown;
  const fail = (error: unknown): void => {
    failure ??= error;
    child.kill('SIGKILL');
  };
  child.stdout?.on('data', (chunk: Buffer) => {
    if (failure !== undefined) return;
    length += chunk.length;
    try {
      if (take !== undefined) take(chunk);
      else if (length > maxOutputBytes) throw new DaemonError('Internal', 'git says too much');
      else chunks.push(chunk);
    } catch (error) {
      fail(error);
    }
  });
  const stop = watched === undefined ? undefined : watch(child, watched, fail);
  try {
    await exitOf(child, options.signal);
  } catch (error) {
    throw failure ?? error;
  } finally {
    stop?.();
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Gives up what fills the disk, or waits for a server that sends nothing. Returns how to stop. */
function watch(child: ChildProcess, directory: string, fail: (error: unknown) => void): () => void {
  let lastSeenMs = Date.now();
  child.stderr?.on('data', () => (lastSeenMs = Date.now()));
  const timer = setInterval(() => {
    if (Date.now() - lastSeenMs > silenceMs) fail(new GitError('the server sends nothing', 'given up'));
    freeBytes(directory).then((free) => {
      if (free <= 0) fail(new DaemonError('Internal', 'write: no space left on device'));
    }, fail);
  }, watchMs);
  timer.unref();
  return () => clearInterval(timer);
}

async function exitOf(child: ChildProcess, signal: AbortSignal): Promise<void> {
  let complaint = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint = withoutProgress(complaint + text).slice(0, maxComplaint);
  });
  await new Promise<void>((resolve, reject) => {
    child.once('error', (error) => {
      if (signal.aborted) reject(error);
      else reject(new DaemonError('Internal', `unable to find 'git': ${error.message}`));
    });
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new GitError(complaint, `exit status ${code ?? 'unknown'}`));
    });
  });
}

/** Lines that count up end in a carriage return, the last of them in `done.` */
function withoutProgress(text: string): string {
  return text.replace(/^.*\r/gm, '').replace(/^(remote: )?[A-Z][a-z]+ \w+(:.*| \d+.*)done\.\n/gm, '');
}

function start(args: readonly string[], { signal, access }: GitOptions): ChildProcess {
  const config: [string, string][] = [
    // without a limit, files of any size would be read into memory
    ['core.bigFileThreshold', '16m'],
    ['core.packedGitWindowSize', '32m'],
    ['core.packedGitLimit', '256m'],
    ['pack.threads', '1'],
    ['gc.auto', '0'],
    ['maintenance.auto', 'false'],
    ...(access?.headers ?? []).map(({ url, header }): [string, string] => [
      `http.${url}.extraHeader`,
      header,
    ]),
  ];
  const numbered = config.flatMap(([key, value], i): [string, string][] => [
    [`GIT_CONFIG_KEY_${i}`, key],
    [`GIT_CONFIG_VALUE_${i}`, value],
  ]);
  const ssh = access?.ssh;
  return spawn('prlimit', [`--data=${memoryBytes}`, '--core=0', '--', 'git', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
    killSignal: 'SIGKILL',
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: '/nonexistent',
      LC_ALL: 'C.UTF-8',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_TERMINAL_PROMPT: '0',
      GIT_ALLOW_PROTOCOL: 'git:http:https:ssh',
      GIT_CONFIG_COUNT: String(config.length),
      ...Object.fromEntries(numbered),
      ...(ssh === undefined ? {} : { GIT_SSH_COMMAND: ssh.command }),
      ...(ssh?.agentPath === undefined ? {} : { SSH_AUTH_SOCK: ssh.agentPath }),
    },
  });
}
