// Files from URLs, and what a client sends in the place of one (`http://buildkit-session/<id>`: a context from standard input).
// A source is what its content is: it is asked for in each build, with the mark that the server gave it the last time.

import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { errorMessage } from '../../../errors';
import { discardBody, guarded, requestUrl, type UrlAnswer } from '../../../builder/download';
import { fileNameOf, modifiedSeconds, urlProblem } from '../../../builder/download-headers';
import { FileTree, newDirectory, toName, type FileNode } from '../../../builder/file-tree';
import { BuildError } from '../../contract/errors';
import type { DocumentStore } from '../../contract/host';
import { sourceAttributes } from '../../contract/llb';
import type { SessionCaller } from '../../contract/session';
import type { BuildScope } from '../../contract/solver';
import type { ResolvedSource, Source, SourceRequest } from '../../contract/source';
import type { ContentDigests } from '../files/content-digests';
import type { LayerTrees } from '../files/layer-trees';
import { secretOf } from './callers';
import { HttpMarks, type HttpMark } from './http-marks';
import { Spool } from './listings';
import { TreeSnapshot } from './tree-snapshot';

const sessionHost = 'http://buildkit-session/';
const maxNameBytes = 255;
/** A server that sends nothing for so long is given up. */
const silenceMs = 300_000;
const headerNames = ['accept', 'user-agent'];

export interface HttpTools {
  readonly trees: LayerTrees;
  readonly digests: ContentDigests;
  readonly temporaryDir: string;
  readonly documents: DocumentStore;
  readonly sessionsOf: (scope: BuildScope, signal: AbortSignal) => Promise<readonly SessionCaller[]>;
}

/** What the attributes ask for. */
interface Wanted {
  readonly url: string;
  readonly checksum: string | undefined;
  readonly fileName: string | undefined;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly authSecret: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

interface Downloaded {
  readonly mark: HttpMark;
  readonly spool: Spool;
  readonly sizeBytes: number;
}

export function httpSource(tools: HttpTools): Source {
  const marks = new HttpMarks(tools.documents);
  /** What a build has had: a client's upload can't be had twice. */
  const ofBuilds = new WeakMap<BuildScope, Map<string, Promise<ResolvedSource>>>();
  const resolve = (request: SourceRequest, signal: AbortSignal): Promise<ResolvedSource> => {
    const known = ofBuilds.get(request.scope) ?? new Map<string, Promise<ResolvedSource>>();
    ofBuilds.set(request.scope, known);
    const key = JSON.stringify([request.op.identifier, [...request.op.attrs].sort()]);
    const resolved = known.get(key) ?? new HttpResolution(tools, marks, request).resolve(signal);
    known.set(key, resolved);
    resolved.catch(() => known.delete(key));
    return resolved;
  };
  const capabilities = [
    'source.http',
    'source.http.auth',
    'source.http.checksum',
    'source.http.perm',
    'source.http.uidgid',
    'source.http.header',
  ];
  return { schemes: ['http', 'https'], capabilities, resolve };
}

class HttpResolution {
  readonly #tools: HttpTools;
  readonly #marks: HttpMarks;
  readonly #request: SourceRequest;
  readonly #wanted: Wanted;

  constructor(tools: HttpTools, marks: HttpMarks, request: SourceRequest) {
    this.#tools = tools;
    this.#marks = marks;
    this.#request = request;
    this.#wanted = wantedOf(request);
  }

  async resolve(signal: AbortSignal): Promise<ResolvedSource> {
    const { url, checksum, fileName } = this.#wanted;
    if (checksum !== undefined && !url.startsWith(sessionHost)) {
      const name = fileName ?? nameOf(url, '');
      return this.#resolved({ checksum, fileName: name, lastModified: 0, etag: '' }, undefined);
    }
    const before = this.#marks.get(this.#markKey);
    const got = await this.#download(before, signal);
    if (got === 'same' && before !== undefined) return this.#resolved(before, undefined);
    if (got === 'same') throw new BuildError('Unknown', `invalid response status 304`);
    // for as long as the build may want it
    const { scope } = this.#request;
    const release = (): void => got.spool.release();
    if (scope.signal.aborted) release();
    else scope.signal.addEventListener('abort', release, { once: true });
    if (got.mark.etag !== '') this.#marks.put(this.#markKey, got.mark);
    return this.#resolved(got.mark, got);
  }

  /** Credentials may lead elsewhere. */
  get #markKey(): string {
    const { url, headers, authSecret } = this.#wanted;
    return JSON.stringify([url, headers, authSecret ?? null]);
  }

  #resolved(mark: HttpMark, downloaded: Downloaded | undefined): ResolvedSource {
    const { mode, uid, gid, fileName } = this.#wanted;
    const name = fileName ?? mark.fileName;
    return {
      cacheKey: JSON.stringify(['http', mark.checksum, name, mode, uid, gid, mark.lastModified]),
      metadata: {
        source: this.#request.op,
        http: {
          checksum: mark.checksum,
          filename: Buffer.from(name, 'latin1').toString('utf8'),
          ...(mark.lastModified === 0 ? {} : { lastModifiedMs: mark.lastModified * 1000 }),
        },
      },
      fetch: async (signal) => {
        const there = downloaded ?? (await this.#downloadAgain(mark, signal));
        if (downloaded !== undefined) there.spool.hold();
        return this.#snapshot(there, name);
      },
    };
  }

  async #downloadAgain(mark: HttpMark, signal: AbortSignal): Promise<Downloaded> {
    const got = await this.#download(undefined, signal);
    if (got === 'same') throw new BuildError('Unknown', `invalid response status 304`);
    if (got.mark.checksum === mark.checksum) return got;
    got.spool.release();
    const isAsked = this.#wanted.checksum !== undefined;
    throw new BuildError(
      isAsked ? 'Unknown' : 'Unavailable',
      isAsked
        ? `digest mismatch ${got.mark.checksum}: ${mark.checksum}`
        : `${this.#wanted.url} changed while it was built: build again`,
    );
  }

  #snapshot({ spool, sizeBytes, mark }: Downloaded, name: string): TreeSnapshot {
    const { mode, uid, gid } = this.#wanted;
    const archive = { kind: 'file' as const, path: spool.path };
    const node: FileNode = {
      kind: 'file',
      type: '0',
      attributes: { ...newDirectory().attributes, mode, uid, gid, mtime: mark.lastModified },
      link: '',
      deviceMajor: 0,
      deviceMinor: 0,
      size: sizeBytes,
      data: sizeBytes === 0 ? undefined : { archive, offset: 0, storedBytes: sizeBytes, sparse: undefined },
    };
    this.#tools.digests.know(node, mark.checksum.slice('sha256:'.length));
    const tree = new FileTree();
    tree.root.children.set(name, node);
    return new TreeSnapshot(tree, this.#tools.trees, () => spool.release());
  }

  /** The spool is the caller's. */
  async #download(before: HttpMark | undefined, signal: AbortSignal): Promise<Downloaded | 'same'> {
    const { url } = this.#wanted;
    if (url.startsWith(sessionHost)) {
      const mark = { fileName: this.#wanted.fileName ?? 'context', lastModified: 0, etag: '' };
      return this.#spool(await this.#upload(url.slice(sessionHost.length), signal), mark, signal);
    }
    const answer = await this.#ask(before, signal);
    const { status, headers, body } = answer;
    if (status === 304 && before !== undefined) {
      discardBody(answer);
      return 'same';
    }
    if (status < 200 || status >= 400) {
      discardBody(answer);
      throw new BuildError('Unknown', `invalid response status ${status}`);
    }
    const mark = {
      fileName: this.#wanted.fileName ?? nameOf(url, headers['content-disposition'] ?? ''),
      lastModified: modifiedSeconds(headers['last-modified'] ?? ''),
      etag: headers.etag ?? '',
    };
    return this.#spool(body, mark, signal);
  }

  async #ask(before: HttpMark | undefined, signal: AbortSignal): Promise<UrlAnswer> {
    const { url, authSecret, headers } = this.#wanted;
    const problem = urlProblem(url);
    if (problem !== undefined) throw new BuildError('InvalidArgument', problem);
    const authorization =
      authSecret === undefined
        ? undefined
        : await secretOf(await this.#tools.sessionsOf(this.#request.scope, signal), authSecret, signal);
    if (authSecret !== undefined && authorization === undefined)
      throw new BuildError('NotFound', `secret ${authSecret.slice(0, 200)}: not found`);
    return requestUrl(
      url,
      {
        ...headers,
        ...(authorization === undefined ? {} : { authorization: headerValue(authorization) }),
        ...(before === undefined ? {} : { 'if-none-match': before.etag }),
      },
      signal,
    );
  }

  async #upload(id: string, signal: AbortSignal): Promise<Readable> {
    const callers = await this.#tools.sessionsOf(this.#request.scope, signal);
    const serving = callers.filter((each) => each.supports('/moby.upload.v1.Upload/Pull'));
    // the body of a request is a session of its own, named by the upload
    const caller = serving.find((each) => each.id === id) ?? serving[0];
    if (caller === undefined)
      throw new BuildError('FailedPrecondition', 'the client serves no uploads for the context');
    return caller.pullUpload(id, signal);
  }

  async #spool(body: Readable, mark: Omit<HttpMark, 'checksum'>, signal: AbortSignal): Promise<Downloaded> {
    const { temporaryDir } = this.#tools;
    const path = join(temporaryDir, `http-${randomBytes(8).toString('hex')}`);
    const hash = createHash('sha256');
    let sizeBytes = 0;
    const silence = setTimeout(() => body.destroy(new Error('the server sends nothing')), silenceMs);
    async function* counted(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
      for await (const chunk of source) {
        silence.refresh();
        hash.update(chunk);
        sizeBytes += chunk.length;
        yield chunk;
      }
    }
    try {
      requireUsableName(this.#wanted.fileName ?? mark.fileName);
      const file = createWriteStream(path, { mode: 0o600, flags: 'wx' });
      await pipeline(body, counted, guarded(temporaryDir), file, { signal });
    } catch (error) {
      body.destroy();
      await rm(path, { force: true });
      signal.throwIfAborted();
      if (error instanceof BuildError) throw error;
      throw new BuildError('Unknown', errorMessage(error), { cause: error });
    } finally {
      clearTimeout(silence);
    }
    return { mark: { ...mark, checksum: `sha256:${hash.digest('hex')}` }, spool: new Spool(path), sizeBytes };
  }
}

function wantedOf({ op }: SourceRequest): Wanted {
  const { attrs, identifier: url } = op;
  const checksum = attrs.get(sourceAttributes.httpChecksum);
  if (checksum !== undefined && !/^sha256:[0-9a-f]{64}$/.test(checksum))
    throw new BuildError('InvalidArgument', `invalid checksum ${JSON.stringify(checksum.slice(0, 200))}`);
  const fileName = attrs.get(sourceAttributes.httpFilename);
  const headers: Record<string, string> = {};
  for (const [key, value] of attrs) {
    if (!key.startsWith(sourceAttributes.httpHeaderPrefix)) continue;
    const name = key.slice(sourceAttributes.httpHeaderPrefix.length).toLowerCase();
    if (!headerNames.includes(name))
      throw new BuildError('InvalidArgument', `header ${JSON.stringify(name.slice(0, 100))} can't be set`);
    headers[name] = headerValue(value);
  }
  return {
    url,
    checksum,
    fileName: fileName === undefined || fileName === '' ? undefined : toName(fileName),
    mode: numberOf(attrs, sourceAttributes.httpMode, 0o600) & 0o777,
    uid: numberOf(attrs, sourceAttributes.httpUid, 0),
    gid: numberOf(attrs, sourceAttributes.httpGid, 0),
    authSecret: attrs.get(sourceAttributes.httpAuthHeaderSecret),
    headers,
  };
}

/** As Go reads them: octal where a zero comes first. */
function numberOf(attrs: ReadonlyMap<string, string>, key: string, otherwise: number): number {
  const text = attrs.get(key);
  if (text === undefined) return otherwise;
  const value = /^0[0-7]+$/.test(text) ? parseInt(text, 8) : /^\d+$/.test(text) ? Number(text) : NaN;
  if (!(value <= 0xffff_ffff))
    throw new BuildError('InvalidArgument', `invalid ${key}: ${text.slice(0, 100)}`);
  return value;
}

function headerValue(value: string): string {
  if (/[^\t\x20-\x7e\x80-\xff]/.test(value)) throw new BuildError('InvalidArgument', 'invalid header value');
  return value;
}

/** As a name in a tree. */
function nameOf(url: string, disposition: string): string {
  const plain = url.replace(/[?#].*$/s, '').replace(/\/+$/, '');
  return fileNameOf('', disposition) || fileNameOf(plain, '') || 'download';
}

function requireUsableName(name: string): void {
  const isUsable = name !== '.' && name !== '..' && name !== '' && !/[/\0]/.test(name);
  if (!isUsable || name.length > maxNameBytes)
    throw new BuildError('InvalidArgument', `invalid filename ${JSON.stringify(name.slice(0, 300))}`);
}
