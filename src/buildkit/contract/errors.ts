// What a build fails with. Clients print `message`; `details` let them show the Dockerfile's lines and know the step.

import type { Range, SourceInfo } from '../messages/ops';
import type { FailedOperation } from './solver';

/** gRPC's status codes, those that are used. */
export type BuildErrorCode =
  | 'Cancelled'
  | 'Unknown'
  | 'InvalidArgument'
  | 'DeadlineExceeded'
  | 'NotFound'
  | 'PermissionDenied'
  | 'ResourceExhausted'
  | 'FailedPrecondition'
  | 'Unimplemented'
  | 'Internal'
  | 'Unavailable'
  | 'Unauthenticated';

export type ErrorDetail =
  /** Where in a text: shown with an excerpt. */
  | { kind: 'source'; info: SourceInfo; ranges: readonly Range[] }
  | { kind: 'vertex'; digest: string }
  /** What failed and can be looked into. Clients are told of what they were given names of. */
  | { kind: 'failedOperation'; failed: FailedOperation }
  /** The same, told: ids of refs, '' where there is nothing. */
  | {
      kind: 'solve';
      failed: FailedOperation;
      inputIds: readonly string[];
      mountIds: readonly string[];
    }
  /** A subrequest (`frontend.outline`, …) that a frontend doesn't know. */
  | { kind: 'subrequest'; name: string }
  /** A capability that a frontend needs and doesn't have. */
  | { kind: 'frontendCapability'; name: string }
  /** A detail of another's, as it came: an error that went through a client's frontend. */
  | { kind: 'encoded'; typeUrl: string; value: Buffer };

/**
 * An expected failure of a build. Whatever else is thrown is shown as Unknown with its message. DaemonError is for the
 * parts below (storage, engine), whose codes control translates.
 */
export class BuildError extends Error {
  override readonly name = 'BuildError';
  readonly code: BuildErrorCode;
  readonly details: readonly ErrorDetail[];

  constructor(
    code: BuildErrorCode,
    message: string,
    { details = [], ...options }: ErrorOptions & { details?: readonly ErrorDetail[] } = {},
  ) {
    super(message, options);
    this.code = code;
    this.details = details;
  }
}

/** The same error with more details; `cause` is the one given. */
export function withDetails(error: unknown, details: readonly ErrorDetail[]): BuildError {
  if (error instanceof BuildError) {
    return new BuildError(error.code, error.message, {
      cause: error,
      details: [...error.details, ...details],
    });
  }
  const text = error instanceof Error ? error.message : String(error);
  return new BuildError('Unknown', text, { cause: error, details });
}
