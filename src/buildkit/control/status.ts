// A build's failures as gRPC's status: code, message, and details that clients show the Dockerfile's lines by.

import { errorMessage, isDaemonError, type ErrorCode } from '../../errors';
import { log } from '../../log';
import { BuildError, type BuildErrorCode, type ErrorDetail } from '../contract/errors';
import { Status, type Any } from '../messages/google';
import { Definition } from '../messages/ops';
import { GrpcError, statusCodes } from '../wire/status';
import { protoJson } from '../wire/proto-json';

const codes: Readonly<Record<BuildErrorCode, number>> = {
  Cancelled: statusCodes.cancelled,
  Unknown: statusCodes.unknown,
  InvalidArgument: statusCodes.invalidArgument,
  DeadlineExceeded: statusCodes.deadlineExceeded,
  // as BuildKit's: clients print other codes before the message
  NotFound: statusCodes.unknown,
  PermissionDenied: statusCodes.permissionDenied,
  ResourceExhausted: statusCodes.resourceExhausted,
  FailedPrecondition: statusCodes.failedPrecondition,
  Unimplemented: statusCodes.unimplemented,
  Internal: statusCodes.internal,
  Unavailable: statusCodes.unavailable,
  Unauthenticated: statusCodes.unauthenticated,
};

/** Of the parts below. */
const daemonCodes: Readonly<Record<ErrorCode, BuildErrorCode>> = {
  InvalidParameter: 'InvalidArgument',
  Unauthorized: 'Unauthenticated',
  Forbidden: 'PermissionDenied',
  NotFound: 'NotFound',
  Conflict: 'FailedPrecondition',
  NotModified: 'FailedPrecondition',
  NotAcceptable: 'FailedPrecondition',
  TooLarge: 'ResourceExhausted',
  NotImplemented: 'Unimplemented',
  Unavailable: 'Unavailable',
  Internal: 'Unknown',
};

const typePrefix = 'github.com/moby/buildkit/errdefs.';

/** Of anything that was thrown. What nobody expected is logged. */
export function grpcErrorOf(error: unknown): GrpcError {
  if (error instanceof GrpcError) return error;
  if (!(error instanceof BuildError) && !isDaemonError(error)) {
    log.error('a build call failed', { error });
    return new GrpcError(statusCodes.unknown, errorMessage(error), { cause: error });
  }
  const { code, message, details } = statusOfError(error);
  return new GrpcError(code, message, {
    cause: error,
    details: details.length === 0 ? undefined : Status.encode({ code, message, details }),
  });
}

/** As a message. */
export function statusOfError(error: unknown): Status {
  if (error instanceof BuildError) {
    return { code: codes[error.code], message: error.message, details: error.details.flatMap(anyOf) };
  }
  const code = isDaemonError(error) ? daemonCodes[error.code] : 'Unknown';
  return { code: codes[code], message: errorMessage(error), details: [] };
}

/** Values are JSON, in the shape that Go gives these messages. */
function anyOf(detail: ErrorDetail): Any | [] {
  switch (detail.kind) {
    case 'source': {
      const { filename, data, language, definition } = detail.info;
      return json('Source', {
        info: {
          filename,
          data: data.toString('base64'),
          ...(definition.length === 0 ? {} : { definition: definitionOf(definition) }),
          ...(language === '' ? {} : { language }),
        },
        ranges: detail.ranges,
      });
    }
    case 'vertex':
      return json('Vertex', { digest: detail.digest });
    case 'failedOperation':
      return []; // nobody was given names of what is in it
    case 'solve': {
      const { op, description, at } = detail.failed;
      return json('Solve', {
        inputIDs: detail.inputIds,
        mountIDs: detail.mountIds,
        op: protoJson(op),
        ...(at === undefined ? {} : { [at.kind]: { index: String(at.index) } }),
        description: Object.fromEntries(description),
      });
    }
    case 'subrequest':
      return json('Subrequest', { name: detail.name });
    case 'frontendCapability':
      return json('FrontendCap', { name: detail.name });
    case 'encoded':
      return { type_url: detail.typeUrl, value: detail.value };
  }
}

/** The graph that a text was read from: its operations, which say it all. */
function definitionOf(bytes: Buffer): object {
  return { def: Definition.decode(bytes).def.map((op) => op.toString('base64')) };
}

function json(name: string, value: object): Any {
  return { type_url: `${typePrefix}${name}+json`, value: Buffer.from(JSON.stringify(value)) };
}
