// What a push asks of a registry (OCI distribution-spec, "Push"): blobs that are there already, mounted from another
// repository, or uploaded; and manifests.

import { createHash } from 'node:crypto';
import { Transform, type Readable, type TransformCallback } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { DaemonError } from '../errors';
import { discardBody, readBody, type HttpResponse } from './http-client';
import type { RegistryClient } from './registry-client';
import { CredentialsError, plainError } from './registry-errors';

export interface BlobDescriptor {
  digest: string;
  /** Bytes. */
  size: number;
}

/** Where an upload's bytes come from. It may be opened again after a failure. */
export interface BlobSource {
  /** Known ahead: the bytes are the same each time, and an upload can go on where it was cut off. */
  known?: BlobDescriptor;
  /** From the byte at `start`, which is not 0 only for a blob that is known. */
  open: (start: number) => Readable;
}

/** As dockerd: the first try and five more. */
const maxAttempts = 6;
const cancelTimeoutMs = 5000;
const octets = { 'content-type': 'application/octet-stream' };

/** Answers that stay the same however often one asks. */
class RefusedError extends DaemonError {}

export class RegistryUpload {
  readonly #client: RegistryClient;
  readonly #path: string;
  readonly #scope: string;

  /** `path` names the repository without its registry. */
  constructor(client: RegistryClient, path: string) {
    this.#client = client;
    this.#path = path;
    this.#scope = `repository:${path}:pull,push`;
  }

  /** The blob's size if the repository has it. */
  async stat(digest: string, signal: AbortSignal): Promise<number | undefined> {
    const url = `/v2/${this.#path}/blobs/${digest}`;
    const response = await this.#request({ method: 'HEAD', url, signal });
    discardBody(response);
    if (response.status === 404) return undefined;
    if (response.status !== 200) throw refused(response.status, Buffer.alloc(0));
    return Number(response.headers['content-length'] ?? 0);
  }

  /** Has the registry take the blob over from another repository of its own. False if it doesn't. */
  async mount(digest: string, fromPath: string, signal: AbortSignal): Promise<boolean> {
    const query = new URLSearchParams({ mount: digest, from: fromPath });
    const response = await this.#request({
      method: 'POST',
      url: `/v2/${this.#path}/blobs/uploads/?${query.toString()}`,
      scope: `${this.#scope} repository:${fromPath}:pull`,
      signal,
    });
    discardBody(response);
    if (response.status === 201) return true;
    // An upload was begun in its place.
    if (response.status === 202) await this.#cancel(locationOf(response));
    return false;
  }

  /**
   * Uploads a blob; after a failure that may pass, again, a few times: where it was if the bytes are known to be the
   * same. What is not finished is taken back. `onRetry` hears how many seconds it waits.
   */
  async upload(
    source: BlobSource,
    signal: AbortSignal,
    onRetry: (seconds: number) => void = () => undefined,
  ): Promise<BlobDescriptor> {
    let location: string | undefined;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const sent = location === undefined ? undefined : await this.#progressOf(source, location, signal);
        location = sent?.location ?? (await this.#begin(signal));
        return await this.#send(source, location, sent?.offset ?? 0, signal);
      } catch (error) {
        const isFinal = error instanceof RefusedError || error instanceof CredentialsError;
        if (signal.aborted || isFinal || attempt >= maxAttempts) {
          if (location !== undefined) await this.#cancel(location);
          throw error;
        }
        for (let seconds = attempt; seconds > 0; seconds -= 1) {
          onRetry(seconds);
          await sleep(1000, undefined, { signal });
        }
      }
    }
  }

  async putManifest(tag: string, mediaType: string, body: Buffer, signal: AbortSignal): Promise<void> {
    const response = await this.#request({
      method: 'PUT',
      url: `/v2/${this.#path}/manifests/${tag}`,
      headers: { 'content-type': mediaType },
      body,
      signal,
    });
    const answer = await readBody(response);
    if (response.status < 200 || response.status > 299) throw plainError(response.status, answer);
  }

  async #begin(signal: AbortSignal): Promise<string> {
    const url = `/v2/${this.#path}/blobs/uploads/`;
    const response = await this.#request({ method: 'POST', url, signal });
    const body = await readBody(response);
    if (response.status !== 202) throw refused(response.status, body);
    return locationOf(response);
  }

  /** How far an upload has come, if it can go on; undefined: begin anew. */
  async #progressOf(
    source: BlobSource,
    location: string,
    signal: AbortSignal,
  ): Promise<{ location: string; offset: number } | undefined> {
    if (source.known === undefined) {
      await this.#cancel(location);
      return undefined;
    }
    const response = await this.#request({ method: 'GET', url: location, signal });
    discardBody(response);
    const last = Number(/^0-(\d+)$/.exec(response.headers.range ?? '')?.[1] ?? Number.NaN);
    if (response.status !== 204 || !(last < source.known.size)) return undefined;
    // `0-0` stands for nothing as well as for one byte.
    return { location: locationOf(response), offset: last === 0 ? 0 : last + 1 };
  }

  async #send(
    source: BlobSource,
    location: string,
    offset: number,
    signal: AbortSignal,
  ): Promise<BlobDescriptor> {
    const { known } = source;
    const counter = new DigestCounter();
    const stream = source.open(offset);
    stream.on('error', (error) => counter.destroy(error)).pipe(counter);
    counter.on('close', () => stream.destroy());
    const length = known === undefined ? undefined : known.size - offset;
    const range = known !== undefined && offset > 0 ? `${offset}-${known.size - 1}` : undefined;
    let response: HttpResponse;
    try {
      response = await this.#request({
        method: 'PATCH',
        url: location,
        headers: { ...octets, ...(range === undefined ? {} : { 'content-range': range }) },
        body: { stream: counter, length },
        signal,
      });
    } finally {
      counter.destroy();
    }
    const body = await readBody(response);
    if (response.status !== 202) throw refused(response.status, body, true);
    const descriptor = known ?? { digest: counter.digest(), size: counter.bytes };
    const url = new URL(locationOf(response));
    url.searchParams.set('digest', descriptor.digest);
    const finished = await this.#request({ method: 'PUT', url: url.href, headers: octets, signal });
    const text = await readBody(finished);
    if (finished.status !== 201) throw refused(finished.status, text, true);
    return descriptor;
  }

  /** Best effort: registries forget what nobody ends after some days. */
  async #cancel(location: string): Promise<void> {
    try {
      const signal = AbortSignal.timeout(cancelTimeoutMs);
      discardBody(await this.#request({ method: 'DELETE', url: location, signal }));
    } catch {
      // The connection may be what has failed.
    }
  }

  async #request(
    request: Omit<Parameters<RegistryClient['request']>[0], 'scope'> & { scope?: string },
  ): Promise<HttpResponse> {
    try {
      return await this.#client.request({ scope: this.#scope, ...request });
    } catch (error) {
      // Docker's push names the reason alone.
      if (error instanceof CredentialsError)
        throw new RefusedError('Internal', error.reason, { cause: error });
      throw error;
    }
  }
}

/** An error that repeating would not change, unless the registry is at fault or busy, or has lost an upload. */
function refused(status: number, body: Buffer, isUnderWay = false): DaemonError {
  const error = plainError(status, body);
  const mayPass = status >= 500 || status === 429 || (isUnderWay && (status === 404 || status === 416));
  return mayPass ? error : new RefusedError(error.code, error.message);
}

function locationOf(response: HttpResponse): string {
  const { location } = response.headers;
  if (location === undefined || !URL.canParse(location, response.url)) {
    throw new DaemonError('Internal', 'the registry names no place for an upload');
  }
  return new URL(location, response.url).href;
}

class DigestCounter extends Transform {
  bytes = 0;
  readonly #hash = createHash('sha256');

  constructor() {
    super({ readableHighWaterMark: 1 << 18, writableHighWaterMark: 1 << 18 });
  }

  digest(): string {
    return `sha256:${this.#hash.copy().digest('hex')}`;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.bytes += chunk.length;
    this.#hash.update(chunk);
    done(null, chunk);
  }
}
