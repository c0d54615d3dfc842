// One address of a registry and how to get in: the ping that shows what authentication it wants, tokens, and requests.

import { systemErrorCode, type DaemonError } from '../errors';
import type { RegistryAuth } from './auth';
import {
  discardBody,
  readBody,
  sendRequest,
  type HttpRequest,
  type HttpResponse,
  type StreamBody,
} from './http-client';
import { CredentialsError, requestError, unexpectedStatus } from './registry-errors';

export interface EndpointAddress {
  /** `https://host:port` */
  base: string;
  /** Its certificate is not looked at. */
  insecure: boolean;
  isMirror: boolean;
}

interface Challenge {
  scheme: 'basic' | 'bearer';
  parameters: Record<string, string>;
}

export interface RegistryRequest {
  method: string;
  /** What messages show: dockerd asks for the digest of a tag with HEAD before anything else. */
  shownMethod?: string;
  /** Below the endpoint's base, or a whole URL. */
  url: string;
  /** What the token has to allow: `repository:library/busybox:pull`; several with blanks between. */
  scope: string;
  headers?: Record<string, string>;
  /** One that streams is sent once only: ask for something small first, which gets the credentials. */
  body?: Buffer | StreamBody;
  signal: AbortSignal;
}

/** Of a request that only tries the credentials; an identity token is asked for with it. */
export const loginScope = '';
const userAgent = 'caisson';
const attempts = 3;
/** A kept connection that the other side has closed looks like this. */
const passingCodes = new Set(['ECONNRESET', 'EPIPE']);

export class RegistryEndpoint {
  readonly address: EndpointAddress;
  readonly #auth: RegistryAuth;
  /** Authorization header by scope, or the way to it: who comes at the same time waits for the same. */
  readonly #tokens = new Map<string, Promise<string>>();
  #challenge: Challenge | undefined;
  /** What a login got besides: good for later logins in the password's place. */
  identityToken = '';

  constructor(address: EndpointAddress, auth: RegistryAuth) {
    this.address = address;
    this.#auth = auth;
  }

  /** Asks `/v2/` for the way in. Throws when nothing answers there. */
  async connect(signal: AbortSignal): Promise<void> {
    const url = `${this.address.base}/v2/`;
    const response = await this.#send({ method: 'GET', url, headers: {}, signal });
    discardBody(response);
    this.#challenge = parseChallenge(response.headers['www-authenticate']);
  }

  /** The answer, whatever its status; asked again with credentials where those are wanted. */
  async request(request: RegistryRequest): Promise<HttpResponse> {
    const { method, scope, signal, body } = request;
    const isStream = body !== undefined && !Buffer.isBuffer(body);
    const shownMethod = request.shownMethod ?? method;
    const url = new URL(request.url, this.address.base).href;
    const send = async (): Promise<{ response: HttpResponse; token: Promise<string> | undefined }> => {
      const token = this.#authorization(shownMethod, url, scope, signal);
      const headers = { ...request.headers, ...(token === undefined ? {} : { authorization: await token }) };
      const sent = { method, url, headers, signal, ...(body === undefined ? {} : { body }) };
      return { response: await this.#send(sent), token };
    };
    const { response, token } = await send();
    if (response.status !== 401 || isStream) return response;
    // A token that has expired, or a registry that asks only here.
    if (token !== undefined && this.#tokens.get(scope) === token) this.#tokens.delete(scope);
    const challenge = parseChallenge(response.headers['www-authenticate']);
    const isNew = token === undefined && challenge !== undefined;
    const mayBeRenewed = token !== undefined && this.#challenge?.scheme === 'bearer';
    if (!isNew && !mayBeRenewed) return response;
    this.#challenge = challenge ?? this.#challenge;
    discardBody(response);
    return (await send()).response;
  }

  #authorization(
    method: string,
    url: string,
    scope: string,
    signal: AbortSignal,
  ): Promise<string> | undefined {
    const challenge = this.#challenge;
    if (challenge === undefined) return undefined;
    const known = this.#tokens.get(scope);
    if (known !== undefined) return known;
    const failed = (why: string, cause?: unknown): DaemonError =>
      new CredentialsError(method, url, why, cause);
    const token = this.#credentialsFor(challenge, scope, signal, failed);
    this.#tokens.set(scope, token);
    token.catch(() => {
      if (this.#tokens.get(scope) === token) this.#tokens.delete(scope);
    });
    return token;
  }

  async #credentialsFor(
    challenge: Challenge,
    scope: string,
    signal: AbortSignal,
    failed: (why: string, cause?: unknown) => DaemonError,
  ): Promise<string> {
    if (challenge.scheme === 'bearer') return this.#fetchToken(challenge.parameters, scope, signal, failed);
    const credentials = basicCredentials(this.#auth);
    if (credentials === undefined) throw failed('no basic auth credentials');
    return credentials;
  }

  /** Docker's token authentication: with a password, or the identity token of an earlier login. */
  async #fetchToken(
    challenge: Record<string, string>,
    scope: string,
    signal: AbortSignal,
    failed: (why: string, cause?: unknown) => DaemonError,
  ): Promise<string> {
    const { username, registrytoken, identitytoken } = this.#auth;
    if (registrytoken !== undefined && registrytoken !== '') return `Bearer ${registrytoken}`;
    const { realm = '', service = '' } = challenge;
    if (!URL.canParse(realm)) throw failed('the registry names no token server');
    const scopes = scope === loginScope ? (challenge['scope'] ?? '') : scope;
    const isRefresh = identitytoken !== undefined && identitytoken !== '';
    const query = new URLSearchParams({ ...(service === '' ? {} : { service }) });
    if (scopes !== '') query.set('scope', scopes);
    let response: HttpResponse;
    if (isRefresh) {
      query.set('grant_type', 'refresh_token');
      query.set('refresh_token', identitytoken);
      query.set('client_id', userAgent);
      const body = Buffer.from(query.toString());
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      response = await this.#send({ method: 'POST', url: realm, headers, body, signal });
    } else {
      if (username !== undefined && username !== '') query.set('account', username);
      if (scope === loginScope) {
        query.set('client_id', userAgent);
        query.set('offline_token', 'true');
      }
      const url = new URL(realm);
      for (const [name, value] of query) {
        const values = name === 'scope' ? value.split(' ') : [value];
        for (const each of values) url.searchParams.append(name, each);
      }
      const credentials = basicCredentials(this.#auth);
      const headers = credentials === undefined ? {} : { authorization: credentials };
      response = await this.#send({ method: 'GET', url: url.href, headers, signal });
    }
    const body = await readBody(response);
    if (response.status === 401) throw failed('unauthorized: incorrect username or password');
    if (response.status === 403) throw failed('denied: the token server refuses access');
    if (response.status !== 200) throw failed(unexpectedStatus(response.status).message);
    const answer = parseTokens(body);
    if (answer === undefined) throw failed('authorization server did not include a token in the response');
    this.identityToken = answer.identityToken;
    return `Bearer ${answer.token}`;
  }

  async #send(request: Omit<HttpRequest, 'insecure'>): Promise<HttpResponse> {
    const headers = { 'user-agent': userAgent, ...request.headers };
    for (let attempt = 1; ; attempt += 1) {
      try {
        // Registries take long to put a large blob in its place.
        const isPatient = request.method !== 'GET' && request.method !== 'HEAD';
        return await sendRequest({ ...request, headers, insecure: this.address.insecure, isPatient });
      } catch (error) {
        if (request.signal.aborted) throw error;
        const isStream = request.body !== undefined && !Buffer.isBuffer(request.body);
        if (isStream || attempt >= attempts || !passingCodes.has(systemErrorCode(error) ?? ''))
          throw requestError(request.method, withoutQuery(request.url), error);
      }
    }
  }
}

function basicCredentials({ username, password }: RegistryAuth): string | undefined {
  if (username === undefined || username === '') return undefined;
  return `Basic ${Buffer.from(`${username}:${password ?? ''}`).toString('base64')}`;
}

function parseTokens(body: Buffer): { token: string; identityToken: string } | undefined {
  try {
    const answer = Object(JSON.parse(body.toString())) as Record<string, unknown>;
    const token = answer['token'] ?? answer['access_token'];
    const identityToken = answer['refresh_token'] ?? '';
    if (typeof token !== 'string' || token === '' || typeof identityToken !== 'string') return undefined;
    return { token, identityToken };
  } catch {
    return undefined;
  }
}

/** Storage servers are named with signatures in their queries: nothing for a message. */
function withoutQuery(url: string): string {
  return url.replace(/\?.*$/s, '');
}

/** RFC 7235, as far as registries use it. */
function parseChallenge(header: string | undefined): Challenge | undefined {
  const match = /\b(basic|bearer)\b\s*(.*)$/is.exec(header ?? '');
  if (match === null) return undefined;
  const parameters: Record<string, string> = {};
  for (const [, name = '', quoted, bare] of (match[2] ?? '').matchAll(/(\w+)=(?:"([^"]*)"|([^\s,"]+))/g))
    parameters[name.toLowerCase()] = quoted ?? bare ?? '';
  return { scheme: match[1]?.toLowerCase() === 'basic' ? 'basic' : 'bearer', parameters };
}
