// What a client's services fail with, as failures of a build.

import { BuildError, type BuildErrorCode, type ErrorDetail } from '../contract/errors';
import { Status } from '../messages/google';
import { CodecError } from '../wire/codec';
import { GrpcError } from '../wire/status';

/** By gRPC's numbers; those that builds don't use are the nearest that they do. */
const codes: readonly BuildErrorCode[] = [
  'Unknown',
  'Cancelled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'FailedPrecondition',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Unknown',
  'InvalidArgument',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'Internal',
  'Unauthenticated',
];

/** Any error but a GrpcError is given back as it is. */
export function buildErrorOf(error: unknown): Error {
  if (!(error instanceof GrpcError)) return error instanceof Error ? error : new Error(String(error));
  return new BuildError(codes[error.code] ?? 'Unknown', error.message, {
    cause: error,
    details: error.details === undefined ? [] : detailsOf(error.details),
  });
}

/** A status that came as a message. */
export function buildErrorOfStatus({ code, message, details }: Status): BuildError {
  return new BuildError(codes[code] ?? 'Unknown', message, {
    details: details.map(({ type_url: typeUrl, value }) => ({ kind: 'encoded', typeUrl, value })),
  });
}

function detailsOf(encoded: Buffer): ErrorDetail[] {
  try {
    return [...buildErrorOfStatus(Status.decode(encoded)).details];
  } catch (error) {
    if (error instanceof CodecError) return [];
    throw error;
  }
}
