// What `docker import` asks for, checked; and where its archive comes from.

import type { ImageBackend, ProgressWriter } from '../../api/v1.41/backend';
import { DaemonError } from '../../errors';
import { parsePlatform, type Platform } from '../../registry/platform';
import { downloadArchive } from './download';
import { withTag } from './tag-target';

export interface ImportRequest {
  source: NodeJS.ReadableStream;
  reference?: string;
  platform?: Platform;
  changes: string[];
  message: string;
}

/** `body`: the client's, for `fromSrc=-`. Throws InvalidParameter in Docker's words, Internal for a URL that can't be had. */
export async function importRequest(
  options: Parameters<ImageBackend['importImage']>[0],
  body: NodeJS.ReadableStream,
  progress: ProgressWriter,
  signal: AbortSignal,
): Promise<ImportRequest> {
  const { fromSrc, changes } = options;
  const platform = parsePlatform(options.platform);
  if (platform !== undefined && platform.os !== 'linux') {
    throw new DaemonError('InvalidParameter', 'operating system is not supported');
  }
  const reference = withTag(options.repo, options.tag);
  if (reference.includes('@')) throw new DaemonError('InvalidParameter', 'cannot import digest reference');
  const source = fromSrc === '-' ? body : await downloadArchive(fromSrc, progress, signal);
  return {
    source,
    ...(reference === '' ? {} : { reference }),
    ...(platform === undefined ? {} : { platform }),
    changes,
    message: options.message === '' ? `Imported from ${fromSrc}` : options.message,
  };
}
