// The answer to operations that exist in the API and not in the engine: docs/compatibility.md lists them.

import { DaemonError } from '../../errors';

/** `what` completes "… is not supported". */
export function notImplemented(what: string): DaemonError {
  return new DaemonError('NotImplemented', `${what} is not supported by Caisson`);
}

export function noBuildKit(): DaemonError {
  return new DaemonError(
    'NotImplemented',
    'BuildKit is not supported in front of a cluster: with DOCKER_BUILDKIT=0 clients use the classic builder',
  );
}
