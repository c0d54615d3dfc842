// The one error class of the daemon. Nothing below `api` knows HTTP; api/v1.41/error-handler.ts maps codes.

import { types } from 'node:util';

export type ErrorCode =
  | 'InvalidParameter'
  | 'Unauthorized'
  | 'Forbidden'
  | 'NotFound'
  | 'Conflict'
  | 'NotModified'
  | 'NotAcceptable'
  | 'TooLarge'
  | 'NotImplemented'
  | 'Unavailable'
  | 'Internal';

/** An expected failure. `message` reaches the user word for word, so use Docker's wording where clients match on it. */
export class DaemonError extends Error {
  override readonly name = 'DaemonError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** What a client has asked for can't be read, or can't be. */
export function invalid(message: string): DaemonError {
  return new DaemonError('InvalidParameter', message);
}

/** True when `error` is a DaemonError, of `code` if one is named. */
export function isDaemonError(error: unknown, code?: ErrorCode): error is DaemonError {
  return error instanceof DaemonError && (code === undefined || error.code === code);
}

/** Also for errors of Node itself where a test runs in a realm of its own, which `instanceof` does not know. */
function isError(error: unknown): error is Error {
  return error instanceof Error || types.isNativeError(error);
}

/** As Go words ENOSPC. */
export const noSpaceText = 'no space left on device';

/** The text of anything that was thrown. A full disk is told of as Go, and so dockerd, does: `write PATH: no space left on device`. */
export function errorMessage(error: unknown): string {
  if (systemErrorCode(error) === 'ENOSPC') {
    const { syscall = '', path = '' } = error as NodeJS.ErrnoException;
    const what = `${syscall} ${path}`.trim();
    return what === '' ? noSpaceText : `${what}: ${noSpaceText}`;
  }
  return isError(error) ? error.message : String(error);
}

/** The `code` of a Node system error (`ENOENT`), or undefined for anything else. */
export function systemErrorCode(error: unknown): string | undefined {
  return isError(error) && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
