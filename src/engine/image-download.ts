// `docker import URL`: the archive is fetched by the daemon.

import { Readable } from 'node:stream';
import type { ProgressWriter } from '../api/v1.41/backend';
import { DaemonError, errorMessage } from '../errors';

/** The body at `source`; without a scheme it is http, as in Docker. Throws Internal when it can't be had. */
export async function downloadArchive(
  source: string,
  progress: ProgressWriter,
  signal: AbortSignal,
): Promise<NodeJS.ReadableStream> {
  const url = /^https?:\/\//.test(source) ? source : `http://${source}`;
  let response: Response;
  try {
    response = await fetch(url, { signal });
  } catch (error) {
    const reason = error instanceof Error && error.cause !== undefined ? error.cause : error;
    throw new DaemonError('Internal', `Get ${JSON.stringify(url)}: ${errorMessage(reason)}`, {
      cause: error,
    });
  }
  if (!response.ok || response.body === null) {
    throw new DaemonError(
      'Internal',
      `Got HTTP status code >= 400: ${response.status} ${response.statusText}`,
    );
  }
  progress({ status: `Downloading from ${url}` });
  return Readable.fromWeb(response.body);
}
