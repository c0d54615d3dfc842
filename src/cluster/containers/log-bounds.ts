// How much of a container's output is kept beside it.

import type { LogConfig } from '../../docker/types';
import { DaemonError, errorMessage } from '../../errors';
import { parseHumanSize } from '../../go/size-format';
import { logStartError } from '../../semantics/containers/runtime-errors';
import { fileLogOptions } from '../../semantics/logs/file-log-options';
import type { StartRequest } from '../supervisor/protocol';

/** JSON around a line in a file of Docker's `json-file`: names, quotes, stream, time. */
const jsonLineBytes = 70;

/**
 * What the supervisor keeps: bounds of the driver's options, which are counted as the driver would. 0: as Docker's `local` driver,
 * since a Pod's room has an end. Throws Internal, in Docker's words, for values that are none.
 */
export function logBounds(config: LogConfig | null | undefined): StartRequest['log'] {
  const options = config?.Config ?? {};
  const size = options['max-size'];
  requireOptions(config);
  return {
    maxBytes: size === undefined ? 0 : (parseHumanSize(size) ?? 0),
    maxFiles: options['max-file'] === undefined ? (size === undefined ? 0 : 1) : Number(options['max-file']),
    lineBytes: size === undefined || config?.Type === 'local' ? 0 : jsonLineBytes,
  };
}

function requireOptions(config: LogConfig | null | undefined): void {
  if (config?.Type === 'none') return;
  try {
    fileLogOptions(config?.Type === 'local' ? 'local' : 'json-file', config?.Config ?? {});
  } catch (error) {
    throw new DaemonError('Internal', logStartError(errorMessage(error)), { cause: error });
  }
}
