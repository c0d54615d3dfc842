// How a gRPC call ends: a code, a message, and details for those who read them (grpc.io, "Status codes"; PROTOCOL-HTTP2.md).

import type { Metadata } from './metadata';

export const statusCodes = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

/** A call that ended otherwise than well. */
export class GrpcError extends Error {
  override readonly name = 'GrpcError';
  /** One of `statusCodes`, or what the peer says. */
  readonly code: number;
  /** An encoded google.rpc.Status: `grpc-status-details-bin`. */
  readonly details: Buffer | undefined;

  constructor(code: number, message: string, options: ErrorOptions & { details?: Buffer | undefined } = {}) {
    super(message, options);
    this.code = code;
    this.details = options.details;
  }
}

/** Headers have their limits, ours and the client's. */
const maxMessageBytes = 16 * 1024;
const maxDetailsBytes = 512 * 1024;

/** The trailers of a call. */
export function trailersOf(error: GrpcError | undefined): Record<string, string> {
  if (error === undefined) return { 'grpc-status': '0' };
  const { details } = error;
  return {
    'grpc-status': String(error.code),
    'grpc-message': percentEncode(error.message),
    ...(details === undefined || details.length > maxDetailsBytes
      ? {}
      : { 'grpc-status-details-bin': details.toString('base64') }),
  };
}

/** What trailers say; undefined for a call that ended well. */
export function statusOf(trailers: Metadata): GrpcError | undefined {
  const [code] = trailers.get('grpc-status') ?? [];
  if (code === '0') return undefined;
  const [text = ''] = trailers.get('grpc-message') ?? [];
  const [details] = trailers.get('grpc-status-details-bin') ?? [];
  return new GrpcError(
    /^\d{1,3}$/.test(code ?? '') ? Number(code) : statusCodes.unknown,
    percentDecode(text),
    {
      details: details === undefined ? undefined : Buffer.from(details, 'base64'),
    },
  );
}

function percentEncode(text: string): string {
  const bytes = Buffer.from(text).subarray(0, maxMessageBytes);
  let encoded = '';
  for (const byte of bytes) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

/** What is no escape stays as it is. */
function percentDecode(text: string): string {
  const bytes = text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(parseInt(hex, 16)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
