// Git repositories: known by the commit, fetched when something reads their files. How git is kept from doing more than that:
// builder/git.ts.

import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorMessage, isDaemonError } from '../../../errors';
import { log } from '../../../log';
import { applyArchive, readEntries } from '../../../builder/archive-tree';
import { FileTree, toName } from '../../../builder/file-tree';
import {
  GitError,
  GitRepository,
  listRemote,
  withoutCredentials,
  type GitAccess,
} from '../../../builder/git';
import { TreeChanges } from '../../../builder/tree-changes';
import { BuildError } from '../../contract/errors';
import { sourceAttributes } from '../../contract/llb';
import type { SessionCaller } from '../../contract/session';
import type { BuildScope } from '../../contract/solver';
import type { ResolvedSource, Snapshot, Source, SourceRequest } from '../../contract/source';
import type { LayerTrees } from '../files/layer-trees';
import { secretOf } from './callers';
import { withGitSsh } from './git-ssh';
import { TreeSnapshot } from './tree-snapshot';

const scheme = 'git://';

export interface GitTools {
  readonly trees: LayerTrees;
  readonly temporaryDir: string;
  readonly sessionsOf: (scope: BuildScope, signal: AbortSignal) => Promise<readonly SessionCaller[]>;
}

interface Wanted {
  readonly url: string;
  /** '': what the server's HEAD is. */
  readonly ref: string;
  readonly folder: string;
  readonly keepsDirectory: boolean;
  readonly submodules: boolean;
  readonly checksum: string | undefined;
}

/** A commit of the server, and the name that led to it. */
interface Pinned {
  readonly ref: string;
  /** Of a tag its object, otherwise the commit. */
  readonly object: string;
  readonly commit: string;
}

export function gitSource(tools: GitTools): Source {
  const resolve = async (request: SourceRequest, signal: AbortSignal): Promise<ResolvedSource> => {
    const wanted = wantedOf(request);
    const git = new GitFetch(tools, request, wanted);
    const pinned = await git.pin(signal);
    requireChecksum(wanted.checksum, pinned);
    const { folder, keepsDirectory, submodules } = wanted;
    return {
      cacheKey: JSON.stringify(['git', pinned.commit, folder, keepsDirectory, submodules]),
      metadata: {
        source: request.op,
        git: { ref: pinned.ref, checksum: pinned.object, commitChecksum: pinned.commit },
      },
      fetch: (own) => git.fetch(pinned, own),
    };
  };
  const capabilities = [
    'source.git',
    'source.git.keepgitdir',
    'source.git.fullurl',
    'source.git.httpauth',
    'source.git.knownsshhosts',
    'source.git.mountsshsock',
    'source.git.subdir',
    'source.git.checksum',
    'source.git.skipsubmodules',
  ];
  return { schemes: ['git'], capabilities, resolve };
}

class GitFetch {
  readonly #tools: GitTools;
  readonly #request: SourceRequest;
  readonly #wanted: Wanted;

  constructor(tools: GitTools, request: SourceRequest, wanted: Wanted) {
    this.#tools = tools;
    this.#request = request;
    this.#wanted = wanted;
  }

  async pin(signal: AbortSignal): Promise<Pinned> {
    const { url, ref } = this.#wanted;
    if (isObject(ref)) return { ref, object: ref, commit: ref };
    const name = ref === '' ? 'HEAD' : ref;
    const { refs, text } = await this.#accessing(signal, (access) =>
      listRemote(url, name, { signal, access }),
    );
    this.#log(text);
    const pinned = pinnedBy(name, refs);
    if (pinned === undefined)
      throw new BuildError(
        'Unknown',
        `repository does not contain ref ${name}, output: ${JSON.stringify(text)}`,
      );
    return pinned;
  }

  async fetch(pinned: Pinned, signal: AbortSignal): Promise<Snapshot> {
    const directory = await mkdtemp(join(this.#tools.temporaryDir, 'git-'));
    try {
      const tree = await this.#accessing(signal, (access) => this.#tree(pinned, directory, access, signal));
      return new TreeSnapshot(tree, this.#tools.trees, () => remove(directory));
    } catch (error) {
      remove(directory);
      throw error;
    }
  }

  async #tree(pinned: Pinned, directory: string, access: GitAccess, signal: AbortSignal): Promise<FileTree> {
    const { url, folder, submodules } = this.#wanted;
    const keepsDirectory = this.#wanted.keepsDirectory && folder === '';
    const repository = await GitRepository.create(directory, { signal, access, keepsDirectory });
    await fetchPinned(repository, url, pinned);
    const found = await repository.findFolder(folder);
    if (found.kind !== 'found') {
      const name = JSON.stringify(folder);
      const why =
        found.kind === 'file'
          ? 'not a directory'
          : `failed to lstat ${name}: statat ${folder}: no such file or directory`;
      throw new BuildError('Unknown', `invalid subdir /${folder}: ${why}`);
    }
    const changes = new TreeChanges(new FileTree());
    for (const path of await repository.archives(url, found.path, { submodules })) {
      const entries = await readEntries(createReadStream(path) as AsyncIterable<Buffer>);
      applyArchive(changes, '', entries, { kind: 'file', path });
    }
    if (keepsDirectory) changes.tree.root.children.set(toName('.git'), await repository.keptDirectory(url));
    else await rm(repository.directory, { recursive: true, force: true });
    return changes.tree;
  }

  /** With what the clients have for this server: a header's secret or an agent. */
  async #accessing<T>(signal: AbortSignal, work: (access: GitAccess) => Promise<T>): Promise<T> {
    const { url } = this.#wanted;
    try {
      if (/^https?:\/\//.test(url)) return await work(await this.#httpAccess(signal));
      if (!isSsh(url)) return await work({});
      const { attrs } = this.#request.op;
      const callers = await this.#tools.sessionsOf(this.#request.scope, signal);
      const options = {
        knownHosts: attrs.get(sourceAttributes.gitKnownSshHosts),
        agentId: attrs.get(sourceAttributes.gitMountSshSocket),
      };
      return await withGitSsh(callers, options, signal, (ssh) => work({ ssh }));
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof BuildError || isDaemonError(error)) throw error;
      const why =
        error instanceof GitError
          ? `git error: ${error.status}\nstderr:\n${error.complaint}`
          : errorMessage(error);
      const message = `failed to fetch remote ${withoutCredentials(url)}: ${why}`;
      throw new BuildError('Unknown', message, { cause: error });
    }
  }

  async #httpAccess(signal: AbortSignal): Promise<GitAccess> {
    const { attrs } = this.#request.op;
    const { url } = this.#wanted;
    const names = [
      { id: attrs.get(sourceAttributes.gitAuthHeaderSecret), isToken: false },
      { id: attrs.get(sourceAttributes.gitAuthTokenSecret), isToken: true },
    ];
    const callers = await this.#tools.sessionsOf(this.#request.scope, signal);
    for (const { id, isToken } of names) {
      if (id === undefined || id === '') continue;
      const secret =
        (await secretOf(callers, `${id}.${hostOf(url)}`, signal)) ?? (await secretOf(callers, id, signal));
      if (secret === undefined) continue;
      if (/[\r\n\0]/.test(secret)) throw new BuildError('InvalidArgument', `secret ${id} is no header`);
      const basic = (): string => Buffer.from(`x-access-token:${secret}`, 'latin1').toString('base64');
      const value = isToken ? `basic ${basic()}` : secret;
      return { headers: [{ url: headerScope(url), header: `Authorization: ${value}` }] };
    }
    return {};
  }

  #log(text: string): void {
    const { scope, vertex } = this.#request;
    if (text !== '') scope.progress.log(vertex, 'stdout', Buffer.from(text));
  }
}

/** By the name, which may lead to another commit by now; then by the object. */
async function fetchPinned(repository: GitRepository, url: string, pinned: Pinned): Promise<void> {
  if (pinned.ref !== pinned.object) {
    await repository.fetch(url, pinned.ref);
    if (repository.commit === pinned.commit) return;
  }
  await repository.fetchObject(url, pinned.object);
}

function wantedOf({ op }: SourceRequest): Wanted {
  const { attrs } = op;
  const rest = op.identifier.slice(scheme.length);
  const at = rest.indexOf('#');
  const fragment = at < 0 ? '' : rest.slice(at + 1);
  const colon = fragment.indexOf(':');
  const ref = colon < 0 ? fragment : fragment.slice(0, colon);
  const folder = colon < 0 ? '' : fragment.slice(colon + 1);
  const url = attrs.get(sourceAttributes.gitFullUrl) ?? `https://${at < 0 ? rest : rest.slice(0, at)}`;
  return {
    url: url.replace(/#.*$/s, ''),
    ref,
    folder: folder.replace(/^\/+|\/+$/g, ''),
    keepsDirectory: attrs.get(sourceAttributes.gitKeepDirectory) === 'true',
    submodules: attrs.get(sourceAttributes.gitSkipSubmodules) !== 'true',
    checksum: attrs.get(sourceAttributes.gitChecksum),
  };
}

/** As git-checkout(1) chooses where a name is several: what it says fully, a branch, a tag. */
function pinnedBy(name: string, refs: ReadonlyMap<string, string>): Pinned | undefined {
  const below = (prefix: string): string =>
    prefix + (name.startsWith(prefix) ? name.slice(prefix.length) : name);
  for (const ref of [name === 'HEAD' ? name : below('refs/'), below('refs/heads/'), below('refs/tags/')]) {
    const object = refs.get(ref);
    if (object !== undefined) return { ref, object, commit: refs.get(`${ref}^{}`) ?? object };
  }
  return undefined;
}

function requireChecksum(expected: string | undefined, { object, commit }: Pinned): void {
  if (expected === undefined || expected === '') return;
  const isMet = /^[0-9a-f]{7,64}$/.test(expected) && [object, commit].some((id) => id.startsWith(expected));
  if (!isMet)
    throw new BuildError('Unknown', `expected checksum to match ${expected.slice(0, 100)}, got ${commit}`);
}

function isObject(ref: string): boolean {
  return /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(ref);
}

/** `ssh://…`, or `user@host:path`. */
function isSsh(url: string): boolean {
  return url.startsWith('ssh://') || !url.includes('://');
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : '';
}

/** A token of GitHub's is good for submodules there too. */
function headerScope(url: string): string {
  const whole = 'https://github.com/';
  return url.startsWith(whole) ? whole : withoutCredentials(url);
}

function remove(directory: string): void {
  rm(directory, { recursive: true, force: true }).catch((error: unknown) =>
    log.error('a repository of a build could not be removed', { directory, error }),
  );
}
