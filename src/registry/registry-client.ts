// registry/: registries, names of images, platforms.
//
// A client of the registry API v2 (OCI distribution-spec): everything that is asked of one registry. What an image is
// made of is the image store's business.

import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { DaemonError, errorMessage } from '../errors';
import type { RegistryAuth } from './auth';
import { discardBody, readBody, type HttpResponse } from './http-client';
import {
  loginScope,
  RegistryEndpoint,
  type EndpointAddress,
  type RegistryRequest,
} from './registry-endpoint';
import { blobError, registryError, type NamedImage } from './registry-errors';

export interface RegistryOptions {
  insecureRegistries: readonly string[];
  mirrors: readonly string[];
  /** How often a download that breaks is taken up again. */
  maxDownloadAttempts: number;
}

/** A repository, and how messages name what is asked of it. */
export interface RepositoryName extends NamedImage {
  /** `library/busybox` */
  path: string;
}

export interface FetchedManifest {
  mediaType: string;
  digest: string;
  body: Buffer;
}

const hubHost = 'registry-1.docker.io';
export const manifestTypes = {
  schema1: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
  schema2: 'application/vnd.docker.distribution.manifest.v2+json',
  list: 'application/vnd.docker.distribution.manifest.list.v2+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
} as const;
const maxConfigBytes = 16 * 1024 * 1024;

export class RegistryClient {
  readonly #endpoints: readonly RegistryEndpoint[];
  readonly #maxDownloadAttempts: number;
  /** The endpoint that has what is asked for. */
  #chosen: RegistryEndpoint | undefined;

  constructor(domain: string, auth: RegistryAuth, options: RegistryOptions) {
    const own = withDecodedAuth(auth);
    this.#maxDownloadAttempts = options.maxDownloadAttempts;
    this.#endpoints = endpointsOf(domain, options).map(
      // Docker Hub's credentials are not the mirrors' business.
      (address) => new RegistryEndpoint(address, address.isMirror ? {} : own),
    );
  }

  /**
   * Resolves with the identity token, '' where the registry has none. Throws Internal in Docker's words when it refuses
   * the credentials.
   */
  async login(signal: AbortSignal): Promise<string> {
    return this.#choose(signal, async (endpoint) => {
      const response = await endpoint.request({ method: 'GET', url: '/v2/', scope: loginScope, signal });
      discardBody(response);
      if (response.status === 200) return endpoint.identityToken;
      const text = `${response.status} ${response.body.statusMessage ?? ''}`;
      throw new DaemonError(
        'Internal',
        `login attempt to ${endpoint.address.base}/v2/ failed with status: ${text}`,
      );
    });
  }

  /** By tag or digest; a digest is checked. Throws what `errorOf` makes of a refusal: for a pull, NotFound in Docker's words. */
  async manifest(
    name: RepositoryName,
    tagOrDigest: string,
    signal: AbortSignal,
    errorOf: typeof registryError = registryError,
  ): Promise<FetchedManifest> {
    const url = `/v2/${name.path}/manifests/${tagOrDigest}`;
    const headers = { accept: Object.values(manifestTypes).join(', ') };
    const scope = pullScope(name);
    const isDigest = tagOrDigest.includes(':');
    const shownMethod = isDigest ? 'GET' : 'HEAD';
    const { response, body } = await this.#choose(signal, async (endpoint) => {
      const answer = await endpoint.request({ method: 'GET', shownMethod, url, scope, headers, signal });
      const text = await readBody(answer);
      if (answer.status !== 200) throw errorOf(answer.status, text, name);
      return { response: answer, body: text };
    });
    const digest = sha256(body);
    if (isDigest && tagOrDigest !== digest) {
      throw new DaemonError('Internal', `manifest verification failed for digest ${tagOrDigest}`);
    }
    return { mediaType: (response.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '', digest, body };
  }

  async tags(name: RepositoryName, signal: AbortSignal): Promise<string[]> {
    const tags: string[] = [];
    const scope = pullScope(name);
    let url: string | undefined = `/v2/${name.path}/tags/list`;
    while (url !== undefined) {
      const page: string = url;
      const { response, body } = await this.#choose(signal, async (endpoint) => {
        const answer = await endpoint.request({ method: 'GET', url: page, scope, signal });
        const text = await readBody(answer);
        if (answer.status !== 200) throw registryError(answer.status, text, name);
        return { response: answer, body: text };
      });
      const list = Object(JSON.parse(body.toString())) as { tags?: unknown };
      if (Array.isArray(list.tags)) tags.push(...list.tags.filter((tag) => typeof tag === 'string'));
      url = /<([^>]+)>;\s*rel="?next"?/.exec(String(response.headers['link'] ?? ''))?.[1];
    }
    return tags;
  }

  /** An image's configuration, checked against its digest. */
  async config(name: RepositoryName, digest: string, signal: AbortSignal): Promise<Buffer> {
    const failed = (why: string, cause?: unknown): DaemonError =>
      new DaemonError('Internal', `error pulling image configuration: ${why}`, { cause });
    const chunks: Buffer[] = [];
    let length = 0;
    try {
      for await (const chunk of this.openBlob(name, digest, signal)) {
        chunks.push(chunk);
        length += chunk.length;
        if (length > maxConfigBytes) throw failed('it is too large');
      }
    } catch (error) {
      throw signal.aborted ? error : failed(errorMessage(error), error);
    }
    const body = Buffer.concat(chunks);
    if (sha256(body) !== digest) throw failed(`image config verification failed for digest ${digest}`);
    return body;
  }

  /**
   * A blob's bytes. What breaks is taken up again where it was (Range), a few times without progress; `onRetry` hears
   * how long that waits. The caller checks the digest.
   */
  async *openBlob(
    name: RepositoryName,
    digest: string,
    signal: AbortSignal,
    onRetry: (seconds: number) => void = () => undefined,
  ): AsyncGenerator<Buffer> {
    let received = 0;
    for (let attempt = 1; ; attempt += 1) {
      const before = received;
      try {
        const response = await this.#blobFrom(name, digest, received, signal);
        let skip = response.status === 200 ? received : 0; // a registry that knows no ranges
        for await (const chunk of response.body as AsyncIterable<Buffer>) {
          const useful = chunk.subarray(Math.min(skip, chunk.length));
          skip -= chunk.length - useful.length;
          received += useful.length;
          if (useful.length > 0) yield useful;
        }
        if (!response.body.complete) throw new Error('unexpected EOF');
        return;
      } catch (error) {
        if (signal.aborted || error instanceof FinalError) throw error;
        if (received > before) attempt = 0;
        if (attempt > this.#maxDownloadAttempts) {
          throw new DaemonError(
            'Internal',
            `download failed after attempts=${attempt}: ${errorMessage(error)}`,
            { cause: error },
          );
        }
        for (let seconds = attempt; seconds > 0; seconds -= 1) {
          onRetry(seconds);
          await sleep(1000, undefined, { signal });
        }
      }
    }
  }

  /** Throws FinalError for an answer that would be the same the next time. */
  async #blobFrom(
    name: RepositoryName,
    digest: string,
    start: number,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    const response = await this.#choose(signal, (endpoint) =>
      endpoint.request({
        method: 'GET',
        url: `/v2/${name.path}/blobs/${digest}`,
        scope: pullScope(name),
        headers: start > 0 ? { range: `bytes=${start}-` } : {},
        signal,
      }),
    );
    const { status } = response;
    if (status === 200 || (status === 206 && rangeStart(response) === start)) return response;
    const error = blobError(status, await readBody(response), name);
    throw status >= 500 || status === 429 ? error : new FinalError(error.code, error.message);
  }

  /** Finds out which endpoint answers. Throws in Docker's words when none does. */
  async connect(signal: AbortSignal): Promise<void> {
    await this.#choose(signal, () => Promise.resolve());
  }

  /** Any other question, of the endpoint that is chosen. The answer may have any status. */
  async request(request: RegistryRequest): Promise<HttpResponse> {
    return this.#choose(request.signal, (endpoint) => endpoint.request(request));
  }

  /**
   * Lets the endpoint do it that has been chosen; else each in turn, which chooses the first that can. A mirror that
   * fails in whatever way is passed over, others only if nothing answers there.
   */
  async #choose<T>(signal: AbortSignal, work: (endpoint: RegistryEndpoint) => Promise<T>): Promise<T> {
    if (this.#chosen !== undefined) return work(this.#chosen);
    let failure: unknown;
    for (const endpoint of this.#endpoints) {
      let isConnected = false;
      try {
        await endpoint.connect(signal);
        isConnected = true;
        const result = await work(endpoint);
        this.#chosen = endpoint;
        return result;
      } catch (error) {
        if (signal.aborted || (isConnected && !endpoint.address.isMirror)) throw error;
        failure = error;
      }
    }
    throw failure;
  }
}

class FinalError extends DaemonError {}

function sha256(data: Buffer): string {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`;
}

function pullScope(name: RepositoryName): string {
  return `repository:${name.path}:pull`;
}

function rangeStart(response: HttpResponse): number {
  return Number(/^bytes (\d+)-/.exec(response.headers['content-range'] ?? '')?.[1] ?? -1);
}

/** As dockerd: mirrors for Docker Hub, https before http, and http only for loopback and insecure registries. */
function endpointsOf(domain: string, options: RegistryOptions): EndpointAddress[] {
  const isInsecure = (host: string): boolean => isLoopback(host) || options.insecureRegistries.includes(host);
  if (domain === 'docker.io') {
    const mirrors = options.mirrors.map((mirror) => {
      const { origin, host } = new URL(mirror);
      return { base: origin, insecure: isInsecure(host), isMirror: true };
    });
    return [...mirrors, { base: `https://${hubHost}`, insecure: false, isMirror: false }];
  }
  const insecure = isInsecure(domain);
  const secure = { base: `https://${domain}`, insecure, isMirror: false };
  return insecure ? [secure, { ...secure, base: `http://${domain}` }] : [secure];
}

function isLoopback(host: string): boolean {
  const name = host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'));
}

/** `auth` is `username:password` in base64, as in Docker's configuration file. */
function withDecodedAuth(auth: RegistryAuth): RegistryAuth {
  if (auth.auth === undefined || auth.auth === '' || (auth.username ?? '') !== '') return auth;
  const [username = '', ...rest] = Buffer.from(auth.auth, 'base64').toString().split(':');
  return { ...auth, username, password: rest.join(':') };
}
