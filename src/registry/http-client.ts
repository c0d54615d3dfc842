// HTTP to registries: one request with redirects, by Node's own client, since bodies are streams of any size.

import { readFileSync } from 'node:fs';
import {
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createSecureContext, rootCertificates } from 'node:tls';

/** A body that is sent as it comes; it can be sent once. */
export interface StreamBody {
  stream: Readable;
  /** Bytes, if they are known. */
  length?: number | undefined;
}

export interface HttpRequest {
  method: string;
  url: string;
  headers: Record<string, string>;
  /** TLS certificates of insecure registries are not looked at. */
  insecure: boolean;
  signal: AbortSignal;
  body?: Buffer | StreamBody;
  /** The server may take its time with the answer: it is waited for until `signal` says otherwise. */
  isPatient?: boolean;
}

export interface HttpResponse {
  /** Whose answer it is, after redirects. */
  url: string;
  status: number;
  /** As the server words the status. */
  reason: string;
  headers: IncomingHttpHeaders;
  body: IncomingMessage;
}

/** A connection that says nothing for so long is given up, unless the request is patient and has gone out. */
const idleTimeoutMs = 60_000;
/** Of an answer that nobody reads: with no more the connection can be used again. */
const maxDiscardedBytes = 256 * 1024;
const discardTimeoutMs = 5000;
const maxRedirects = 10;
const agentOptions = { keepAlive: true, maxSockets: 16 };
/** Debian's bundle (ca-certificates), where people put the certificates of their own registries. */
const systemBundle = '/etc/ssl/certs/ca-certificates.crt';

const httpAgent = new HttpAgent(agentOptions);
let secureAgent: HttpsAgent | undefined;
let insecureAgent: HttpsAgent | undefined;

/** Credentials go to the first host only, never to where it redirects. */
export async function sendRequest(request: HttpRequest): Promise<HttpResponse> {
  let url = new URL(request.url);
  let headers = request.headers;
  for (let redirects = 0; ; redirects += 1) {
    const response = await sendOnce(request, url, headers);
    const { location } = response.headers;
    const isRedirect = response.status >= 300 && response.status < 400 && location !== undefined;
    if (!isRedirect || request.body !== undefined) return response;
    discardBody(response);
    if (redirects >= maxRedirects) throw new Error(`stopped after ${maxRedirects} redirects`);
    const next = new URL(location, url);
    if (next.protocol !== 'https:' && next.protocol !== 'http:')
      throw new Error(`unsupported protocol scheme "${next.protocol}"`);
    if (next.origin !== url.origin) {
      headers = Object.fromEntries(
        Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'authorization'),
      );
    }
    url = next;
  }
}

/** Lets go of an answer whose body is of no interest, however long that is. */
export function discardBody({ body }: { body: Readable }): void {
  let left = maxDiscardedBytes;
  const timer = setTimeout(() => body.destroy(), discardTimeoutMs).unref();
  body
    .on('error', () => undefined)
    .on('close', () => clearTimeout(timer))
    .on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left < 0) body.destroy();
    });
}

/** The whole body, up to a limit: manifests, tokens and errors are small. */
export async function readBody(response: { body: Readable }, maxBytes = 4 * 1024 * 1024): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > maxBytes) throw new Error(`the answer is longer than ${maxBytes} bytes`);
  }
  return Buffer.concat(chunks);
}

function sendOnce(request: HttpRequest, url: URL, headers: Record<string, string>): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    const secure = url.protocol === 'https:';
    const { method, signal, body } = request;
    const length = body?.length === undefined ? {} : { 'content-length': String(body.length) };
    const outgoing = (secure ? httpsRequest : httpRequest)(
      url,
      {
        method,
        headers: { ...headers, ...length },
        agent: secure ? httpsAgent(request.insecure) : httpAgent,
        signal,
        timeout: idleTimeoutMs,
      },
      (incoming) => {
        // A registry that refuses may do so before it has everything.
        if (body !== undefined && !Buffer.isBuffer(body) && (incoming.statusCode ?? 0) >= 400) {
          body.stream.destroy();
        }
        resolve({
          url: url.href,
          status: incoming.statusCode ?? 0,
          reason: incoming.statusMessage ?? '',
          headers: incoming.headers,
          body: incoming,
        });
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error('net/http: TLS handshake or answer timeout')));
    if (request.isPatient === true) outgoing.on('finish', () => outgoing.setTimeout(0));
    outgoing.on('error', reject);
    if (body === undefined || Buffer.isBuffer(body)) outgoing.end(body);
    else pipeline(body.stream, outgoing).catch(reject); // has destroyed both
  });
}

/** Made when first needed: parsing the certificates takes some milliseconds, and memory. */
function httpsAgent(insecure: boolean): HttpsAgent {
  if (insecure) {
    insecureAgent ??= new HttpsAgent({ ...agentOptions, rejectUnauthorized: false });
    return insecureAgent;
  }
  secureAgent ??= new HttpsAgent({
    ...agentOptions,
    secureContext: createSecureContext({ ca: [...rootCertificates, ...systemCertificates()] }),
  });
  return secureAgent;
}

function systemCertificates(): string[] {
  try {
    return [readFileSync(systemBundle, 'utf8')];
  } catch {
    return [];
  }
}
