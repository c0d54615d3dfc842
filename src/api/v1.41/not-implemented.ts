// The answer to operations that exist in the API and not, or not yet, in the engine: docs/compatibility.md lists them.

import { DaemonError } from '../../errors';

/** `method`, or NotImplemented where the engine has none. `what` completes "… is not supported". */
export function supported<T>(method: T | undefined, what: string): T {
  if (method === undefined) throw notImplemented(what);
  return method;
}

export function notImplemented(what: string): DaemonError {
  return new DaemonError('NotImplemented', `${what} is not supported by Caisson`);
}
