// Contexts that the client names instead of sending: a tar or a Dockerfile at a URL, or a git repository.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { DaemonError, errorMessage } from '../errors';
import { buildEntry, emptyEntry, padding, tarBlock } from '../storage/tar-header';
import type { ProgressMessage } from '../storage/stores';
import { download, isUrl } from './download';

interface RemoteOptions {
  workDir: string;
  signal: AbortSignal;
  progress: (message: ProgressMessage) => void;
}

const maxComplaint = 4000;

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

async function urlContext(url: string, { workDir, signal, progress }: RemoteOptions): Promise<Readable> {
  const path = join(workDir, 'remote');
  try {
    const id = url;
    const got = await download(url, path, { progress, action: 'Downloading context', id, signal });
    if (!got.contentType.startsWith('text/plain')) return createReadStream(path);
  } catch (error) {
    signal.throwIfAborted();
    const message = `error downloading remote context ${url}: ${errorMessage(error)}`;
    throw new DaemonError('Internal', message, { cause: error });
  }
  return Readable.from([await singleFile('Dockerfile', path)], { objectMode: false });
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
 * A commit of the repository as git itself makes a tar of it: nothing is checked out. `#ref:folder` at the end of the
 * URL names what is meant.
 */
async function gitContext(remote: string, { workDir, signal }: RemoteOptions): Promise<Readable> {
  const [address = '', fragment = ''] = remote.split('#', 2);
  const [ref = '', folder = ''] = fragment.split(':', 2);
  const url = address.startsWith('github.com/') ? `https://${address}` : address;
  const repository = join(workDir, `git-${randomBytes(6).toString('hex')}`);
  await mkdir(repository);
  const wanted = ref === '' ? 'HEAD' : ref;
  if (wanted.startsWith('-') || url.startsWith('-')) {
    throw new DaemonError('InvalidParameter', `invalid refspec: ${wanted}`);
  }
  await git(['init', '--quiet', '--bare', repository], signal);
  try {
    const fetch = ['-C', repository, 'fetch', '--quiet', '--depth', '1', '--', url, wanted];
    await git(fetch, signal);
  } catch (error) {
    throw new DaemonError('Internal', `error fetching: ${errorMessage(error)}`, { cause: error });
  }
  const tree = folder === '' ? 'FETCH_HEAD' : `FETCH_HEAD:${folder.replace(/^\/+|\/+$/g, '')}`;
  const archive = join(workDir, `git-${randomBytes(6).toString('hex')}.tar`);
  await git(['-C', repository, 'archive', '--format=tar', '-o', archive, tree], signal);
  return createReadStream(archive);
}

/** Without a terminal to ask on, without the user's configuration, and only by protocols that carry no commands. */
async function git(args: readonly string[], signal: AbortSignal): Promise<void> {
  const child = spawn('git', args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    signal,
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: '/nonexistent',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
      GIT_ALLOW_PROTOCOL: 'git:http:https:ssh',
    },
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
}
