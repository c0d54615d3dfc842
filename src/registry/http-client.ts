// HTTP to registries: one request with redirects, by Node's own client, since bodies are streams of any size.

import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { Agent as HttpAgent } from 'node:http';

export interface HttpRequest {
  method: string;
  url: string;
  headers: Record<string, string>;
  /** TLS certificates of insecure registries are not looked at. */
  insecure: boolean;
  signal: AbortSignal;
  body?: Buffer | NodeJS.ReadableStream;
  bodyLength?: number;
}

export interface HttpResponse {
  status: number;
  headers: IncomingHttpHeaders;
  body: IncomingMessage;
}

/** A connection that says nothing for so long is given up. */
const idleTimeoutMs = 60_000;
const maxRedirects = 10;

const httpAgent = new HttpAgent({ keepAlive: true, maxSockets: 16 });
const httpsAgent = new HttpsAgent({ keepAlive: true, maxSockets: 16 });
const insecureAgent = new HttpsAgent({ keepAlive: true, maxSockets: 16, rejectUnauthorized: false });

/** Credentials go to the first host only, never to where it redirects. */
export async function sendRequest(request: HttpRequest): Promise<HttpResponse> {
  let url = new URL(request.url);
  let headers = request.headers;
  for (let redirects = 0; ; redirects += 1) {
    const response = await sendOnce(request, url, headers);
    const location = response.headers.location;
    if (
      response.status < 300 ||
      response.status >= 400 ||
      location === undefined ||
      request.body !== undefined
    ) {
      return response;
    }
    response.body.resume();
    if (redirects >= maxRedirects) throw new Error(`stopped after ${maxRedirects} redirects`);
    const next = new URL(location, url);
    if (next.host !== url.host) {
      headers = Object.fromEntries(
        Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'authorization'),
      );
    }
    url = next;
  }
}

/** The whole body as text, up to a limit: manifests, tokens and errors are small. */
export async function readBody(response: HttpResponse, maxBytes = 4 * 1024 * 1024): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > maxBytes) {
      response.body.destroy();
      throw new Error(`the answer is longer than ${maxBytes} bytes`);
    }
  }
  return Buffer.concat(chunks);
}

function sendOnce(request: HttpRequest, url: URL, headers: Record<string, string>): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    const secure = url.protocol === 'https:';
    const outgoing = (secure ? httpsRequest : httpRequest)(
      url,
      {
        method: request.method,
        headers: {
          ...headers,
          ...(request.bodyLength === undefined ? {} : { 'content-length': String(request.bodyLength) }),
        },
        agent: secure ? (request.insecure ? insecureAgent : httpsAgent) : httpAgent,
        signal: request.signal,
        timeout: idleTimeoutMs,
      },
      (incoming) => {
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: incoming });
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error('i/o timeout')));
    outgoing.on('error', reject);
    if (request.body === undefined || Buffer.isBuffer(request.body)) outgoing.end(request.body);
    else request.body.on('error', (error: Error) => outgoing.destroy(error)).pipe(outgoing);
  });
}
