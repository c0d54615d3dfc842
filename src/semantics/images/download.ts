// `docker import URL`: the archive is fetched by the daemon.

import { STATUS_CODES } from 'node:http';
import type { ProgressWriter } from '../../api/v1.41/backend';
import { DaemonError } from '../../errors';
import { goQuote } from '../../go/quote';
import { discardBody, sendRequest, type HttpResponse } from '../../registry/http-client';
import { requestError } from '../../registry/registry-errors';

/** The body at `source`; without a scheme it is http, as in Docker. Throws Internal when it can't be had. */
export async function downloadArchive(
  source: string,
  progress: ProgressWriter,
  signal: AbortSignal,
): Promise<NodeJS.ReadableStream> {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(source)?.[1];
  const url = scheme === undefined ? `http://${source}` : source;
  if (scheme !== undefined && !/^https?$/i.test(scheme)) {
    throw new DaemonError(
      'Internal',
      `Get ${goQuote(url)}: unsupported protocol scheme ${goQuote(scheme.toLowerCase())}`,
    );
  }
  let response: HttpResponse;
  try {
    const request = { method: 'GET', url, headers: {}, insecure: false, isPatient: true };
    response = await sendRequest({ ...request, signal });
  } catch (error) {
    signal.throwIfAborted();
    throw requestError('GET', url, error);
  }
  const { status, body } = response;
  if (status >= 400) {
    discardBody(response);
    const text = `${status} ${STATUS_CODES[status] ?? ''}`;
    throw new DaemonError('Internal', `Got HTTP status code >= 400: ${text}`);
  }
  progress({ status: `Downloading from ${url}` });
  return body;
}
