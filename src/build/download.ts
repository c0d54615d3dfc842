// Files from URLs: ADD's sources and remote contexts.

import { createWriteStream } from 'node:fs';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DaemonError } from '../errors';
import { readBody, sendRequest, type HttpResponse } from '../registry/http-client';
import { requestError } from '../registry/registry-errors';
import { ProgressReport } from '../storage/progress-report';
import { SpaceGuard } from '../storage/space-guard';
import type { ProgressMessage } from '../storage/stores';

export interface Download {
  /** '' if neither the URL nor the answer says one. */
  fileName: string;
  contentType: string;
  sizeBytes: number;
  /** Seconds since the epoch. */
  modified: number;
}

const maxErrorText = 64 * 1024;

export function isUrl(text: string): boolean {
  return /^https?:\/\//.test(text);
}

/** Writes what the URL has to `path`. Throws in dockerd's words. */
export async function download(
  url: string,
  path: string,
  options: { progress: (message: ProgressMessage) => void; action: string; id?: string; signal: AbortSignal },
): Promise<Download> {
  const { headers, body } = await openUrl(url, options.signal);
  const length = Number(headers['content-length'] ?? 0);
  const report = new ProgressReport(options.action, options.id ?? '', length, ({ id, ...line }) =>
    options.progress(id === '' ? line : { id: id ?? '', ...line }),
  );
  const file = createWriteStream(path, { mode: 0o600 });
  await pipeline(body, report, guarded(dirname(path)), file, { signal: options.signal });
  const modified = Date.parse(headers['last-modified'] ?? '');
  return {
    fileName: fileNameOf(url, headers['content-disposition'] ?? ''),
    contentType: headers['content-type'] ?? '',
    sizeBytes: report.received,
    modified: Number.isNaN(modified) ? 0 : Math.floor(modified / 1000),
  };
}

/** The answer to a GET. Throws in dockerd's words, also for statuses that are none of success. */
export async function openUrl(url: string, signal: AbortSignal): Promise<HttpResponse> {
  const response = await request(url, signal);
  const { status } = response;
  if (status < 200 || status >= 400) {
    const text = (await readBody(response, maxErrorText).catch(() => '')).toString().trim();
    throw new DaemonError(
      'Internal',
      `failed to GET ${url} with status ${status} ${response.reason}: ${text}`,
    );
  }
  return response;
}

async function request(url: string, signal: AbortSignal): Promise<HttpResponse> {
  try {
    return await sendRequest({ method: 'GET', url, headers: {}, insecure: false, signal });
  } catch (error) {
    signal.throwIfAborted();
    throw requestError('GET', url, error);
  }
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

function fileNameOf(url: string, disposition: string): string {
  const { pathname } = new URL(url);
  if (pathname !== '' && !pathname.endsWith('/')) {
    try {
      return decodeURIComponent(pathname.slice(pathname.lastIndexOf('/') + 1));
    } catch {
      return pathname.slice(pathname.lastIndexOf('/') + 1);
    }
  }
  const [, quoted, bare] = /filename="?(?:([^"/]+)"|([^;"/\s]+))/.exec(disposition) ?? [];
  return quoted ?? bare ?? '';
}
