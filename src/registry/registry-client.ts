// A client of the registry API v2 (OCI distribution-spec, and Docker's token authentication): everything that is said
// to one registry. What an image is made of is the image store's business.

import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { DaemonError, errorMessage, systemErrorCode } from '../errors';
import type { RegistryAuth } from '../storage/stores';
import { readBody, sendRequest, type HttpRequest, type HttpResponse } from './http-client';

export interface RegistryOptions {
  insecureRegistries: readonly string[];
  mirrors: readonly string[];
}

/** One base address of a registry, `https://host`. */
interface Endpoint {
  base: string;
  insecure: boolean;
}

interface Challenge {
  scheme: 'basic' | 'bearer';
  parameters: Record<string, string>;
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
const userAgent = 'caisson';
const retries = 5;
const retryPauseMs = 200;

/** Errors that another try may get over. */
const passingCodes = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN']);

export class RegistryClient {
  readonly #domain: string;
  readonly #endpoints: readonly Endpoint[];
  readonly #auth: RegistryAuth;
  /** Authorization header by scope. */
  readonly #tokens = new Map<string, string>();
  /** The endpoint that has answered. */
  #endpoint: Endpoint | undefined;

  constructor(domain: string, auth: RegistryAuth, options: RegistryOptions) {
    this.#domain = domain;
    this.#auth = normaliseAuth(auth);
    this.#endpoints = endpointsOf(domain, options);
  }

  /** Throws Unauthorized when the registry refuses the credentials. */
  async login(signal: AbortSignal): Promise<void> {
    const response = await this.#send('GET', '/v2/', '', signal, {});
    response.body.resume();
    if (response.status === 401 || response.status === 403) {
      throw new DaemonError(
        'Unauthorized',
        `login attempt to ${this.#endpoint?.base ?? ''}/v2/ failed with status: ${response.status} ${response.body.statusMessage ?? ''}`,
      );
    }
    if (response.status !== 200) {
      throw new DaemonError('Internal', `login attempt failed with status: ${response.status}`);
    }
  }

  /** By tag or digest; a digest is checked. Throws NotFound in Docker's words. */
  async manifest(
    path: string,
    tagOrDigest: string,
    familiar: string,
    signal: AbortSignal,
  ): Promise<FetchedManifest> {
    const accept = Object.values(manifestTypes).join(', ');
    const url = `/v2/${path}/manifests/${tagOrDigest}`;
    const response = await this.#send('GET', url, pullScope(path), signal, { accept });
    const body = await readBody(response);
    if (response.status !== 200) throw registryError(response.status, body, familiar);
    const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
    if (tagOrDigest.includes(':') && tagOrDigest !== digest) {
      throw new DaemonError('Internal', `manifest verification failed for digest ${tagOrDigest}`);
    }
    return { mediaType: (response.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '', digest, body };
  }

  async tags(path: string, signal: AbortSignal): Promise<string[]> {
    const tags: string[] = [];
    let url: string | undefined = `/v2/${path}/tags/list`;
    while (url !== undefined) {
      const response: HttpResponse = await this.#send('GET', url, pullScope(path), signal, {});
      const body = await readBody(response);
      if (response.status !== 200) throw registryError(response.status, body, path);
      const list = JSON.parse(body.toString()) as { tags?: string[] | null };
      tags.push(...(list.tags ?? []));
      url = /<([^>]+)>;\s*rel="?next"?/.exec(String(response.headers['link'] ?? ''))?.[1];
    }
    return tags;
  }

  /** A small blob, checked against its digest. */
  async blob(path: string, digest: string, signal: AbortSignal): Promise<Buffer> {
    const response = await this.#send('GET', `/v2/${path}/blobs/${digest}`, pullScope(path), signal, {});
    const body = await readBody(response, 16 * 1024 * 1024);
    if (response.status !== 200) throw registryError(response.status, body, path);
    if (`sha256:${createHash('sha256').update(body).digest('hex')}` !== digest) {
      throw new DaemonError('Internal', `image config verification failed for digest ${digest}`);
    }
    return body;
  }

  /**
   * A layer's bytes. A connection that breaks is taken up again where it was (Range), a few times without progress.
   * The caller checks the digest.
   */
  async *openBlob(path: string, digest: string, signal: AbortSignal): AsyncGenerator<Buffer> {
    let received = 0;
    for (let failures = 0; ;) {
      const before = received;
      try {
        const range = received > 0 ? { range: `bytes=${received}-` } : {};
        const response = await this.#send(
          'GET',
          `/v2/${path}/blobs/${digest}`,
          pullScope(path),
          signal,
          range,
        );
        if (response.status !== 200 && response.status !== 206) {
          throw registryError(response.status, await readBody(response), path);
        }
        let skip = response.status === 200 ? received : 0; // a registry that knows no ranges
        for await (const chunk of response.body as AsyncIterable<Buffer>) {
          const useful = chunk.subarray(Math.min(skip, chunk.length));
          skip -= chunk.length - useful.length;
          received += useful.length;
          if (useful.length > 0) yield useful;
        }
        if (!response.body.complete) throw Object.assign(new Error('unexpected EOF'), { code: 'ECONNRESET' });
        return;
      } catch (error) {
        failures = received > before ? 1 : failures + 1;
        if (signal.aborted || error instanceof DaemonError || failures > retries) throw error;
        await pause(retryPauseMs * 2 ** failures, signal);
      }
    }
  }

  /** Tries each endpoint until one answers, and asks again with credentials when it wants them. */
  async #send(
    method: string,
    url: string,
    scope: string,
    signal: AbortSignal,
    headers: Record<string, string>,
  ): Promise<HttpResponse> {
    const candidates = this.#endpoint === undefined ? this.#endpoints : [this.#endpoint];
    let failure: unknown;
    for (const endpoint of candidates) {
      try {
        const response = await this.#sendTo(endpoint, { method, url, scope, signal, headers });
        const mirrorMisses =
          endpoint !== this.#endpoints.at(-1) && this.#endpoint === undefined && response.status === 404;
        if (mirrorMisses && candidates.length > 1) {
          response.body.resume();
          continue;
        }
        this.#endpoint = endpoint;
        return response;
      } catch (error) {
        if (signal.aborted || error instanceof DaemonError) throw error;
        failure = new DaemonError('Internal', goStyleError(method, `${endpoint.base}/v2/`, error), {
          cause: error,
        });
      }
    }
    throw failure;
  }

  async #sendTo(
    endpoint: Endpoint,
    request: {
      method: string;
      url: string;
      scope: string;
      signal: AbortSignal;
      headers: Record<string, string>;
    },
  ): Promise<HttpResponse> {
    const { method, scope, signal } = request;
    const url = new URL(request.url, endpoint.base).href;
    const send = (): Promise<HttpResponse> => {
      const token = this.#tokens.get(scope);
      const headers = {
        'user-agent': userAgent,
        ...request.headers,
        ...(token === undefined ? {} : { authorization: token }),
      };
      return sendWithRetry({ method, url, headers, insecure: endpoint.insecure, signal });
    };
    const response = await send();
    if (response.status !== 401 || this.#tokens.has(scope)) return response;
    const challenge = parseChallenge(response.headers['www-authenticate']);
    if (challenge === undefined) return response;
    response.body.resume();
    this.#tokens.set(scope, await this.#authorization(challenge, scope, endpoint, signal));
    return send();
  }

  async #authorization(
    challenge: Challenge,
    scope: string,
    endpoint: Endpoint,
    signal: AbortSignal,
  ): Promise<string> {
    const { username, password, registrytoken, identitytoken } = this.#auth;
    const basic =
      username === undefined || username === ''
        ? undefined
        : `Basic ${Buffer.from(`${username}:${password ?? ''}`).toString('base64')}`;
    if (challenge.scheme === 'basic') {
      if (basic === undefined) throw new DaemonError('Internal', `no basic auth credentials`);
      return basic;
    }
    if (registrytoken !== undefined && registrytoken !== '') return `Bearer ${registrytoken}`;
    const realm = challenge.parameters['realm'];
    if (realm === undefined) throw new DaemonError('Internal', 'the registry names no token server');
    const service = challenge.parameters['service'] ?? '';
    const scopes = scope === '' ? (challenge.parameters['scope'] ?? '') : scope;
    const common = { insecure: endpoint.insecure, signal };
    const token = new URL(realm);
    let response: HttpResponse;
    if (identitytoken !== undefined && identitytoken !== '') {
      const form = new URLSearchParams({
        grant_type: 'refresh_token',
        refresh_token: identitytoken,
        service,
        scope: scopes,
        client_id: userAgent,
      });
      const body = Buffer.from(form.toString());
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      response = await sendRequest({
        method: 'POST',
        url: token.href,
        headers,
        body,
        bodyLength: body.length,
        ...common,
      });
    } else {
      if (service !== '') token.searchParams.set('service', service);
      if (scopes !== '') token.searchParams.set('scope', scopes);
      if (username !== undefined && username !== '') token.searchParams.set('account', username);
      response = await sendWithRetry({
        method: 'GET',
        url: token.href,
        headers: basic === undefined ? {} : { authorization: basic },
        ...common,
      });
    }
    const body = await readBody(response);
    if (response.status === 401 || response.status === 403) {
      throw new DaemonError(
        'Unauthorized',
        `Get "${token.href}": unauthorized: incorrect username or password`,
      );
    }
    if (response.status !== 200) throw registryError(response.status, body, this.#domain);
    const answer = JSON.parse(body.toString()) as { token?: string; access_token?: string };
    return `Bearer ${answer.token ?? answer.access_token ?? ''}`;
  }
}

/** GETs only: they may be sent again. */
async function sendWithRetry(request: HttpRequest): Promise<HttpResponse> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const response = await sendRequest(request);
      if (response.status < 500 && response.status !== 429) return response;
      if (attempt > 2) return response;
      response.body.resume();
    } catch (error) {
      if (attempt > 2 || request.signal.aborted || !passingCodes.has(systemErrorCode(error) ?? ''))
        throw error;
    }
    await pause(retryPauseMs * 2 ** attempt, request.signal);
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function pullScope(path: string): string {
  return `repository:${path}:pull`;
}

function isLoopback(host: string): boolean {
  const name = host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'));
}

/** As dockerd: mirrors for Docker Hub, https before http, and http only for loopback and insecure registries. */
function endpointsOf(domain: string, options: RegistryOptions): Endpoint[] {
  if (domain === 'docker.io') {
    const mirrors = options.mirrors.map((mirror) => ({
      base: new URL(mirror).origin,
      insecure: isInsecure(new URL(mirror).host, options),
    }));
    return [...mirrors, { base: `https://${hubHost}`, insecure: false }];
  }
  const insecure = isInsecure(domain, options);
  const secure = { base: `https://${domain}`, insecure };
  return insecure ? [secure, { base: `http://${domain}`, insecure }] : [secure];
}

function isInsecure(host: string, options: RegistryOptions): boolean {
  return isLoopback(host) || options.insecureRegistries.includes(host);
}

function normaliseAuth(auth: RegistryAuth): RegistryAuth {
  if (auth.auth === undefined || auth.auth === '' || (auth.username !== undefined && auth.username !== ''))
    return auth;
  const [username = '', ...rest] = Buffer.from(auth.auth, 'base64').toString().split(':');
  return { ...auth, username, password: rest.join(':') };
}

/** RFC 7235, as far as registries use it. */
function parseChallenge(header: string | undefined): Challenge | undefined {
  const match = /^(basic|bearer)\s*(.*)$/i.exec(header ?? '');
  if (match === null) return undefined;
  const parameters: Record<string, string> = {};
  for (const [, name = '', value = ''] of (match[2] ?? '').matchAll(/(\w+)="([^"]*)"/g))
    parameters[name.toLowerCase()] = value;
  return { scheme: match[1]?.toLowerCase() === 'basic' ? 'basic' : 'bearer', parameters };
}

/** Docker's words for what a registry answers. */
function registryError(status: number, body: Buffer, familiar: string): DaemonError {
  let code = '';
  let message = '';
  try {
    const first = (JSON.parse(body.toString()) as { errors?: { code?: string; message?: string }[] })
      .errors?.[0];
    code = (first?.code ?? '').toLowerCase().replaceAll('_', ' ');
    message = first?.message ?? '';
  } catch {
    message = body.toString().slice(0, 200);
  }
  if (code === 'manifest unknown') {
    return new DaemonError('NotFound', `manifest for ${familiar} not found: manifest unknown: ${message}`);
  }
  if (status === 401 || status === 403 || code === 'name unknown') {
    const repository = familiar.replace(/[:@][^/]*$/, '');
    const reason =
      code === 'name unknown'
        ? `${code}: ${message}`
        : `${code || 'unauthorized'}: ${message || 'authentication required'}`;
    return code === 'name unknown'
      ? new DaemonError('NotFound', `manifest for ${familiar} not found: ${reason}`)
      : new DaemonError(
          'NotFound',
          `pull access denied for ${repository}, repository does not exist or may require 'docker login': ${reason}`,
        );
  }
  return new DaemonError('Internal', `received unexpected HTTP status: ${status} ${code} ${message}`.trim());
}

/** What Go's HTTP client says, since people and tools look for it. */
function goStyleError(method: string, url: string, error: unknown): string {
  const verb = method.charAt(0) + method.slice(1).toLowerCase();
  const cause = error as { code?: string; address?: string; port?: number; hostname?: string };
  const where = cause.address === undefined ? '' : `${cause.address}:${cause.port ?? ''}`;
  const texts: Record<string, string> = {
    ECONNREFUSED: `dial tcp ${where}: connect: connection refused`,
    EHOSTUNREACH: `dial tcp ${where}: connect: no route to host`,
    ENETUNREACH: `dial tcp ${where}: connect: network is unreachable`,
    ENOTFOUND: `dial tcp: lookup ${cause.hostname ?? ''}: no such host`,
    EAI_AGAIN: `dial tcp: lookup ${cause.hostname ?? ''}: Temporary failure in name resolution`,
    ECONNRESET: 'EOF',
    EPROTO: 'http: server gave HTTP response to HTTPS client',
  };
  return `${verb} "${url}": ${texts[cause.code ?? ''] ?? errorMessage(error)}`;
}
