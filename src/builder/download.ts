// Files from URLs: ADD's sources and remote contexts.

import { createWriteStream } from 'node:fs';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { DaemonError, systemErrorCode } from '../errors';
import { discardBody, readBody, sendRequest, type HttpResponse } from '../registry/http-client';
import { requestError } from '../registry/registry-errors';
import { progressLine, ProgressReport } from '../storage/transfers/progress-report';
import { SpaceGuard } from '../storage/layers/space-guard';
import type { ProgressMessage } from '../storage/contract/stores';
import { fileNameOf, modifiedSeconds, urlProblem } from './download-headers';

export interface Download {
  /** As names in trees are; '' if neither the URL nor the answer says one. */
  fileName: string;
  sizeBytes: number;
  /** Seconds since the epoch. */
  modified: number;
}

/** An answer whose body is as it was before `Content-Encoding`. */
export type UrlAnswer = Omit<HttpResponse, 'body'> & {
  body: Readable;
  /** -1 if that will be seen at the end. */
  sizeBytes: number;
};

const maxErrorText = 64 * 1024;
const maxNameBytes = 255;
const action = 'Downloading';
/** Servers that refuse who does not say who asks are not rare. */
const requestHeaders = { 'user-agent': 'caisson', 'accept-encoding': 'gzip' };

export function isUrl(text: string): boolean {
  return /^https?:\/\//.test(text);
}

/** Writes what the URL has to `path`. Throws in dockerd's words. */
export async function download(
  url: string,
  path: string,
  { progress, signal }: { progress: (message: ProgressMessage) => void; signal: AbortSignal },
): Promise<Download> {
  const { headers, body, sizeBytes } = await openUrl(url, signal);
  const fileName = fileNameOf(url, headers['content-disposition'] ?? '');
  let told = -1;
  const tell = (message: ProgressMessage): void => {
    const line = { ...message };
    delete line.id;
    told = line.progressDetail?.current ?? 0;
    progress(line);
  };
  const report = new ProgressReport(action, '', sizeBytes, tell);
  const file = createWriteStream(path, { mode: 0o600 });
  try {
    requireUsableName(fileName);
    await pipeline(body, report, guarded(dirname(path)), file, { signal });
  } catch (error) {
    signal.throwIfAborted();
    body.destroy();
    file.destroy();
    if (!isCutOff(error)) throw error;
    tell(progressLine(action, '', report.received, sizeBytes));
    progress({});
    throw new DaemonError('Internal', 'unexpected EOF', { cause: error });
  }
  if (report.received === 0) tell({ status: action, progressDetail: {} });
  else if (told !== report.received) tell(progressLine(action, '', report.received, sizeBytes));
  // dockerd's reader sees the end by itself where no length and no last chunk announced it
  if (sizeBytes === 0 || (sizeBytes < 0 && isOpenEnded(headers))) progress({});
  const modified = modifiedSeconds(headers['last-modified'] ?? '');
  return { fileName, sizeBytes: report.received, modified };
}

/** dockerd makes a file of that name, next to which there are `.` and `..`. */
function requireUsableName(name: string): void {
  const fail = (why: string): DaemonError =>
    new DaemonError('Internal', `open ${Buffer.from(name, 'latin1').toString()}: ${why}`);
  if (name === '.' || name === '..') throw fail('file exists');
  if (name.includes('\0')) throw fail('invalid argument');
  if (name.length > maxNameBytes) throw fail('file name too long');
}

export function isCutOff(error: unknown): boolean {
  const code = systemErrorCode(error);
  return code === 'ECONNRESET' || code === 'Z_BUF_ERROR';
}

function isOpenEnded(headers: HttpResponse['headers']): boolean {
  return headers['transfer-encoding'] === undefined && headers['content-encoding'] === undefined;
}

/** The answer to a GET. Throws in dockerd's words, also for statuses that are none of success. */
export async function openUrl(url: string, signal: AbortSignal): Promise<UrlAnswer> {
  const problem = urlProblem(url);
  if (problem !== undefined) throw new DaemonError('Internal', problem);
  const response = await requestUrl(url, {}, signal);
  const { status } = response;
  if (status < 200 || status >= 400) {
    const text = (await readBody(response, maxErrorText).catch(() => '')).toString().trim();
    const shown = `${status} ${response.reason}`.trim();
    throw new DaemonError('Internal', `failed to GET ${url} with status ${shown}: ${text}`);
  }
  return response;
}

/** The answer, whatever its status, decoded. Throws in the words of Go's net/http. */
export async function requestUrl(
  url: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<UrlAnswer> {
  return decoded(await request(url, headers, signal));
}

export { discardBody };

function decoded(response: HttpResponse): UrlAnswer {
  const { headers, status, body } = response;
  const isEmpty = status === 204 || status === 304;
  const length = isEmpty ? 0 : Number(headers['content-length'] ?? -1);
  if (headers['content-encoding']?.toLowerCase() !== 'gzip' || length === 0) {
    return { ...response, sizeBytes: length };
  }
  const plain = createGunzip();
  pipeline(body, plain).catch(() => undefined); // whoever reads `plain` sees it
  return { ...response, body: plain, sizeBytes: -1 };
}

async function request(
  url: string,
  more: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<HttpResponse> {
  const fail = (why: string): DaemonError => requestError('GET', url, new Error(why));
  const [, host = '', port = ''] =
    /^https?:\/\/(?:[^/?#]*@)?([^/?#]*?)(?::(\d*))?(?=[/?#]|$)/.exec(url) ?? [];
  if (host === '') throw requestError('GET', hostlessUrl(url), new Error('http: no Host in request URL'));
  if (Number(port) > 65_535) throw fail(`dial tcp: address ${port}: invalid port`);
  try {
    const headers = { ...requestHeaders, ...more };
    return await sendRequest({ method: 'GET', url, headers, insecure: false, isPatient: true, signal });
  } catch (error) {
    signal.throwIfAborted();
    throw requestError('GET', url, error);
  }
}

/** As Go writes a URL without a host: no slashes if there is no path either, and no fragment. */
function hostlessUrl(url: string): string {
  return url.replace(/#.*$/s, '').replace(/^(https?:)\/\/(?=\?|$)/, '$1');
}

/** A step of a pipeline that fails before the file system of `directory` is full. */
export function guarded(directory: string): (source: AsyncIterable<Buffer>) => AsyncGenerator<Buffer> {
  const guard = new SpaceGuard(directory);
  return async function* (source) {
    for await (const chunk of source) {
      await new Promise<void>((resolve, reject) =>
        guard.use(chunk.length, (error) => (error === null ? resolve() : reject(error))),
      );
      yield chunk;
    }
  };
}
